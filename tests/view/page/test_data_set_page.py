import base64
import io
import json
import re

import numpy as np
import pytest
from page_data import data_of
from PIL import Image
from sweep_folders import write_inspection

from segment.errors import UserError
from segment.view.page import data_set
from segment.view.page.data_set import write_data_set_page

FINDINGS = [
    ("set/c", "spacing", "note", "voxels of 9 mm"),
    ("set/a, set/b", "duplicate", "error", "these contain the same CT"),
    ("set/d", "unreadable", "error", "it is damaged"),
    ("set", "label codes", "warning", "3 is not declared"),
]


@pytest.fixture
def folder(tmp_path):
    return write_inspection(tmp_path / "d", ["set/c", "set/e", "set/a", "set/b"], FINDINGS)


def page_of(folder):
    write_data_set_page(folder / "index.html", folder)
    return data_of(folder / "index.html")


def picture(folder, case):
    text = (folder / "index.html").read_text(encoding="utf-8")
    content = re.search(rf'id="{case["picture"]}">(.*?)</script>', text)[1]
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")


def test_the_worst_cases_come_first_with_their_findings(folder):
    data = page_of(folder)
    assert [case["name"] for case in data["cases"]] == ["set/a", "set/b", "set/d", "set/c", "set/e"]
    found = {case["name"]: [data["findings"][index]["check"] for index in case["findings"]] for case in data["cases"]}
    assert found["set/a"] == found["set/b"] == ["duplicate"]
    assert found["set/e"] == []
    assert data["subtitle"] == "4 cases; 2 errors, 1 warning, 1 note"


def test_a_case_has_its_own_picture_from_the_sheet(folder):
    data = page_of(folder)
    shown = np.asarray(picture(folder, data["cases"][0]), int)
    assert shown.shape[:2] == (236, 600)
    assert (shown[..., 0] - shown[..., 2] > 60).sum() > 200  # the contour of the liver, which is orange
    assert data["cases"][2]["picture"] is None  # unreadable, so it is on no sheet


def test_pictures_of_large_sets_are_smaller(folder, monkeypatch):
    monkeypatch.setattr(data_set, "_MAX_SHARP", 3)
    monkeypatch.setattr(data_set, "_LIMIT", 4)
    data = page_of(folder)
    assert picture(folder, data["cases"][0]).size == (300, 118)
    assert "first 4 cases" in data["notes"][0]


def test_an_inspection_without_a_sheet_is_shown(folder):
    (folder / "sheet.json").unlink()
    assert all(case["picture"] is None for case in page_of(folder)["cases"])


def test_names_of_cases_may_have_commas(tmp_path):
    cut = ("set/Doe, Jane", "cut", "note", "liver is cut")
    data = page_of(write_inspection(tmp_path / "d", ["set/Doe, Jane", "set/e"], [cut]))
    assert {case["name"]: len(case["findings"]) for case in data["cases"]} == {"set/Doe, Jane": 1, "set/e": 0}


def test_damaged_files_are_named(folder):
    (folder / "findings.json").write_text(json.dumps({"cases": 1}))
    with pytest.raises(UserError, match="lacks a part of what segment doctor writes"):
        page_of(folder)
