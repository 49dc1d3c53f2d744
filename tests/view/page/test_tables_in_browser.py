"""Pages of sweeps, comparisons and data sets in a real browser, which must neither complain nor request anything."""

import browser as chromium
import pytest
from run_folders import Study
from sweep_folders import write_grid, write_inspection, write_search

from segment.commands import compare
from segment.view.page.comparison import write_comparison_page
from segment.view.page.data_set import write_data_set_page
from segment.view.page.sweep import write_sweep_page

pytestmark = pytest.mark.xdist_group("browser")

HOSTILE = ["<script>alert(1)</script>", "x" * 300, "\u202eכבד مريض", "🫁 <img src=x onerror=alert(2)>"]
PHONE = {"viewport": {"width": 390, "height": 800}}


@pytest.fixture(scope="module")
def browser():
    with chromium.started() as started:
        yield started


@pytest.fixture(scope="module")
def search_file(tmp_path_factory):
    nets = ["vnet", *HOSTILE]
    trials = [("complete", 0.5 + lr / 10, lr / 1000, nets[lr % 5], "") for lr in range(1, 8)]
    trials += [("pruned", 0.3, 0.01, "vnet", HOSTILE[0]), ("fail", "", 0.02, HOSTILE[1], HOSTILE[3])]
    folder = write_search(tmp_path_factory.mktemp("s") / HOSTILE[2], trials, pages=[6])
    write_sweep_page(folder / "index.html", folder)
    return folder / "index.html"


def opened(browser, path, **options):
    return chromium.opened(browser, path, ready="page", **options)


def first_column(page):
    return page.locator(".trials tbody td:first-child").all_text_contents()


def test_headings_sort_the_trials_and_missing_values_stay_last(browser, search_file):
    with opened(browser, search_file) as page:
        assert first_column(page)[:2] == ["trial 6", "trial 5"]
        page.get_by_role("button", name="val/dice/mean").click()
        assert first_column(page)[0] == "trial 7"
        assert first_column(page)[-1] == "trial 8"  # it has no value
        page.get_by_role("button", name="optimizer.lr").click()
        assert first_column(page)[0] == "trial 8"
        assert page.locator(".trials th[aria-sort=descending]").text_content() == "optimizer.lr ▼"


def test_a_range_on_an_axis_filters_lines_and_table(browser, search_file):
    with opened(browser, search_file) as page:
        axis = page.locator(".axis-handle").first  # the learning rate, from 0.001 below to 0.01 above
        axis.scroll_into_view_if_needed()
        box = axis.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 1)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.25, steps=3)
        page.mouse.up()
        chosen = first_column(page)
        assert chosen == ["trial 6", "trial 5", "trial 7"]  # 0.007, 0.006 and 0.01 on a logarithmic axis
        assert page.locator("polyline.trial.off").count() == 8 - len(chosen)
        page.get_by_role("button", name="show all lines").click()
        assert len(first_column(page)) == 9


def test_a_trial_opens_with_its_reason_and_links_to_its_run(browser, search_file):
    with opened(browser, search_file) as page:
        page.get_by_label("find a trial").fill("failed")
        page.get_by_role("button", name="trial 8").click()
        assert page.locator(".opened .warning").text_content() == HOSTILE[3]
        page.locator("[data-trial='6']").click()
        assert page.locator(".opened h3").text_content() == "trial 6"
        assert page.locator(".opened a").get_attribute("href") == "trials/6/index.html"


def test_lines_state_their_trial(browser, search_file):
    with opened(browser, search_file) as page:
        axis = page.locator(".parallel line.axis").last  # of the value, the best one at the top
        axis.scroll_into_view_if_needed()
        box = axis.bounding_box()
        page.mouse.move(box["x"] - 2, box["y"] + 1)
        assert "trial 6: " in page.locator(".parallel .readout").text_content()


def test_a_grid_and_an_empty_search(browser, tmp_path):
    grid = write_grid(tmp_path / "g", [([f"seed={seed}"], [0.1 * seed]) for seed in range(3)])
    write_sweep_page(grid / "index.html", grid)
    with opened(browser, grid / "index.html") as page:
        assert "job 2" in page.locator("section").first.text_content()
    search = write_search(tmp_path / "s", [])
    write_sweep_page(search / "index.html", search)
    with opened(browser, search / "index.html") as page:
        assert "No trial has finished yet" in page.locator("main").text_content()


@pytest.fixture(scope="module")
def comparison_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    study = Study(patients=9)
    study.sweep(folder / "a", range(2))
    study.run(folder / HOSTILE[0] / "b", 5, shift=-0.3, channels=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["segment", "runs=[a,'<script>alert(1)</script>/b']", "output=out", "resamples=999"])
        compare.main()
    return folder / "out" / "index.html"


def test_a_comparison_states_a_reason_once_and_rows_refer_to_it(browser, comparison_file):
    with opened(browser, comparison_file) as page:
        reasons = page.locator(".reasons li").all_text_contents()
        assert len(reasons) == len(set(reasons)) > 0
        rows = page.locator(".tests tbody tr")
        assert rows.count() == 9
        link = page.locator(".tests td a").first
        assert page.locator(link.get_attribute("href")).text_content().startswith(link.text_content())
        page.get_by_label("only tests that show a difference").check()
        assert rows.count() == page.locator(".tests tr.marked").count()
        assert "<script>alert(1)</script>/b" in page.locator("section").last.text_content()
        assert page.locator(".figure img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 500


def test_the_page_of_a_comparison_is_made_again_from_its_files(comparison_file, tmp_path):
    write_comparison_page(tmp_path / "x.html", comparison_file.parent)
    assert (tmp_path / "x.html").read_bytes() == comparison_file.read_bytes()


@pytest.fixture(scope="module")
def data_set_file(tmp_path_factory):
    names = [f"set/c{number:02d}" for number in range(66)] + [f"set/{text}" for text in HOSTILE]
    findings = [("set/c05", "sides", "error", "it is mirrored"), ("set/c06, set/c05", "spacing", "warning", "9 mm")]
    findings += [(f"set/{text}", text, "note", text) for text in HOSTILE] + [("set", "codes", "warning", "unknown")]
    folder = write_inspection(tmp_path_factory.mktemp("d") / "d", names, findings)
    write_data_set_page(folder / "index.html", folder)
    return folder / "index.html"


def test_cases_are_filtered_by_finding_and_a_click_opens_one(browser, data_set_file):
    with opened(browser, data_set_file) as page:
        tiles, status = page.locator(".tile"), page.get_by_role("status")
        assert (tiles.count(), status.text_content()) == (60, "70 of 70 cases")
        assert "unknown" in page.locator("section").first.text_content()  # of the whole set
        page.get_by_role("button", name="spacing 2").click()
        assert page.locator(".tile-name").all_text_contents() == ["set/c05", "set/c06"]
        tiles.first.click()
        assert page.locator(".opened h3").text_content() == "set/c05"
        assert page.locator(".opened .findings strong").all_text_contents() == ["sides", "spacing"]
        assert "also: set/c06" in page.locator(".opened").text_content()
        assert page.locator(".large img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 600
        page.get_by_role("button", name="spacing 2").click()  # again: no filter
        page.get_by_role("button", name="show all 70 cases").click()
        assert tiles.count() == 70
        page.get_by_label("find a case or a finding").fill("MIRRORED")
        assert status.text_content() == "1 of 70 cases"


def test_hostile_names_are_text_and_every_page_fits_a_phone(browser, search_file, comparison_file, data_set_file):
    for path in (search_file, comparison_file, data_set_file):
        with opened(browser, path, **PHONE) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert page.locator("script[src], img[onerror]").count() == 0
            text = page.locator("main").text_content()
            assert "<script>alert(1)</script>" in text


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_is_readable_in_dark_and_light(browser, data_set_file, scheme):
    with opened(browser, data_set_file, color_scheme=scheme) as page:
        colors = page.locator(".tile.error .severity").first.evaluate(
            "(text) => [getComputedStyle(text).color, getComputedStyle(text.parentElement).backgroundColor]"
        )
        assert contrast(*colors) > 4.5


def contrast(one, other):
    """Contrast of two CSS colours as WCAG defines it."""
    bright = sorted(luminance([int(part) for part in css.strip("rgb()").split(",")]) for css in (one, other))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def luminance(color):
    shares = [part / 255 for part in color]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
