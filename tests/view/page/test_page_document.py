import json
import re

import numpy as np
import pytest

from segment.view.page.document import is_page, page, write_page

DATA = {
    "kind": "run",
    "words": "</script><script>alert(1)</script>\u2028",
    "number": float("nan"),
    "to": "/home/jane/x",
}


def test_no_text_can_end_the_data_or_become_markup():
    text = page("<b>title</b>", DATA, {"blob-0": "QUJD"})
    assert "<b>" not in text
    assert "&lt;b&gt;title&lt;/b&gt;" in text
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    content = json.loads(data)
    assert content["words"] == DATA["words"]
    assert content["number"] is None
    assert text.count("<script") == 3


def test_absolute_paths_are_shortened():
    text = page("/home/jane/masks", DATA, {})
    assert "jane" not in text
    assert "<title>masks</title>" in text


def test_the_page_allows_only_its_own_style_and_script():
    text = page("x", {"kind": "run"}, {})
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]
    assert "default-src 'none'" in policy
    assert len(re.findall(r"'sha256-[\w+/]+=*'", policy)) == 2
    assert "unsafe" not in policy
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_a_name_that_is_not_unicode_can_be_written(tmp_path):
    write_page(tmp_path / "x.html", "caf\udce9", {"kind": "run", "name": "caf\udce9"}, {})
    assert "caf?" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_a_blob_must_be_base64():
    with pytest.raises(ValueError, match="base64"):
        page("x", {"kind": "run"}, {"blob-0": "</script>"})


def test_pages_are_recognised(tmp_path):
    write_page(tmp_path / "ours.html", "x", {"kind": "run", "mean": np.float64(0.5)}, {})
    (tmp_path / "other.html").write_text("<html><title>notes</title></html>")
    assert is_page(tmp_path / "ours.html")
    assert not is_page(tmp_path / "other.html")
