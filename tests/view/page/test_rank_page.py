import browser as chromium
import pytest
from candidates import candidate, organ
from page_data import data_of

from segment.commands.pages import page_of
from segment.curve.ranking import Ranking, write_ranking
from segment.errors import UserError
from segment.view.page import rank
from segment.view.page.rank import write_rank_page

pytestmark = pytest.mark.xdist_group("browser")

HOSTILE = "<script>alert(1)</script>.nii.gz"


@pytest.fixture
def folder(tmp_path):
    """What `segment curve rank=` writes for its page, with 70 CTs."""
    cts = {f"p{number}/ct.nii.gz": candidate(number, liver=0.9, left_kidney=0.8) for number in range(69)}
    cts[HOSTILE] = candidate(99, liver=organ(0.1, color="red", reasons=["side: <b>wrong</b>"]), left_kidney=organ(None))
    write_ranking(tmp_path, Ranking.of(cts, {"set/x": {"noise": 0.0}}, ["liver", "left_kidney"]), ["a note"])
    return tmp_path


def test_the_page_holds_the_order_and_a_picture_of_each_ct(folder, monkeypatch):
    monkeypatch.setattr(rank, "_SHOWN", 69)
    write_rank_page(folder / "index.html", folder)
    data = data_of(folder / "index.html")
    assert (data["kind"], data["notes"], data["has_labelled"]) == ("rank", ["a note"], True)
    assert data["cts"][0]["file"] == HOSTILE
    assert [one["picture"] is None for one in data["cts"]] == [False] * 69 + [True]
    text = (folder / "index.html").read_text()
    assert "<script>alert(1)" not in text
    assert "<b>wrong" not in text


def test_a_folder_with_a_ranking_has_this_page(folder):
    assert page_of(folder) is write_rank_page


def test_a_missing_part_is_named(folder):
    (folder / "pictures" / "0001.webp").unlink()
    with pytest.raises(
        UserError, match=r"lacks a part of a ranking .*0001\.webp.*; run segment curve rank=<folder> again"
    ):
        write_rank_page(folder / "index.html", folder)


def test_the_browser_shows_the_first_cts_and_then_all(folder):
    write_rank_page(folder / "index.html", folder)
    with chromium.started() as browser, chromium.opened(browser, folder / "index.html", ready="page") as page:
        assert page.locator(".ranked > li").count() == 60
        first = page.locator(".ranked > li").first
        assert first.locator("h3").text_content() == f"1. {HOSTILE}"
        assert "side: <b>wrong</b>" in first.text_content()
        page.get_by_role("button", name="show all 70 CTs").click()
        assert page.locator(".ranked > li").count() == 70
