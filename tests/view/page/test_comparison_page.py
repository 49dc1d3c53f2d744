import json

import pytest

from segment.errors import UserError
from segment.view.page.comparison import write_comparison_page


def test_a_comparison_without_a_table_or_a_part_is_refused(tmp_path):
    (tmp_path / "comparison.json").write_text(json.dumps({"overview": "2 arms"}))
    with pytest.raises(UserError, match=r"summary\.csv is missing; compare the runs again"):
        write_comparison_page(tmp_path / "x.html", tmp_path)
    for name in ("summary.csv", "differences.csv"):
        (tmp_path / name).write_text("arm,organ,metric\n")
    (tmp_path / "figure.png").write_bytes(b"picture")
    with pytest.raises(UserError, match=r"lacks a part of a comparison \('cases'\); compare the runs again"):
        write_comparison_page(tmp_path / "x.html", tmp_path)
