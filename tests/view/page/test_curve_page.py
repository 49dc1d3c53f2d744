import json

import numpy as np
import pytest
from page_data import data_of

from segment.curve.answer import answer
from segment.curve.picture import write_picture
from segment.curve.scores import Scores
from segment.errors import UserError
from segment.view.page.curve import write_curve_page


@pytest.fixture
def folder(tmp_path):
    """What `segment curve` writes for its page."""
    sizes = np.tile([5, 10, 20], 3)
    scores = Scores(sizes, 0.9 - 0.8 / sizes + 0.01 * np.random.default_rng(0).standard_normal((8, 9)))
    one = answer("left_kidney", scores, 0.87, have=24, seed=0)
    write_picture(tmp_path / "curve.png", [one], [scores], have=24)
    estimate = {"value": 0.8, "low": 0.7, "high": None}
    organ = {"organ": "left_kidney", "sentence": one.sentence, "measured": {"5": estimate}, "predicted": {}}
    trainings = [{"trial": 0, "cts": 5, "repeat": 0, "state": "complete", "validation": 0.7, "why": ""}]
    trainings.append(trainings[0] | {"trial": 1, "state": "fail", "validation": None, "why": "<b>no memory</b>"})
    content = {"target": 0.87, "have": 24, "validate": 3, "test": 8, "steps": "equal steps", "finished": 1}
    content |= {"organs": [organ], "trainings": trainings}
    (tmp_path / "curve.json").write_text(json.dumps(content))
    (tmp_path / "trials" / "0").mkdir(parents=True)
    (tmp_path / "trials" / "0" / "index.html").touch()
    return tmp_path


def test_the_page_holds_answers_picture_and_links_to_its_trainings(folder):
    write_curve_page(folder / "index.html", folder)
    data = data_of(folder / "index.html")
    assert data["kind"] == "curve"
    assert data["subtitle"] == "1 of 2 trainings have finished"
    assert data["organs"][0]["sentence"].startswith("Dice of the left kidney 0.87 needs ")
    assert [training["page"] for training in data["trainings"]] == ["trials/0/index.html", None]
    assert "<b>no memory" not in (folder / "index.html").read_text()


def test_a_page_elsewhere_has_no_links(folder, tmp_path_factory):
    page = tmp_path_factory.mktemp("elsewhere") / "index.html"
    write_curve_page(page, folder)
    assert [training["page"] for training in data_of(page)["trainings"]] == [None, None]


def test_a_missing_part_is_named(folder):
    (folder / "curve.png").unlink()
    with pytest.raises(UserError, match=r"lacks a part of a curve .*curve\.png.*; resume it with segment curve"):
        write_curve_page(folder / "index.html", folder)
