import numpy as np
import pytest
from viewed import ORGANS, anatomy, viewed_scan

from segment.view.page.organs import organ_rows


def test_volume_hu_and_cut():
    scan, mask, _ = viewed_scan()
    mask[6:12, 8:16, 16:] = 2
    liver, spleen = organ_rows(scan, mask, ORGANS, anatomy())
    assert liver["volume_ml"] == pytest.approx(16 * 16 * 10 * 0.02)
    assert (liver["hu_mean"], liver["hu_sd"], liver["cut"]) == (100.0, 0.0, [])
    assert liver["remarks"] == ["Volume outside 500 to 4500 mL."]
    assert spleen["cut"] == ["upper"]
    assert spleen["range_ml"] is None
    assert spleen["remarks"][0].startswith("Cut by the upper end")


def test_a_part_of_an_organ_may_be_small_but_not_too_bright():
    scan, mask, _ = viewed_scan()
    mask[28:44, 16:32, 18:] = 1
    scan.data[mask == 1] = 900
    (liver, _) = organ_rows(scan, mask, ORGANS, anatomy())
    assert [remark.split()[0] for remark in liver["remarks"]] == ["Cut", "Median"]


def test_an_absent_organ():
    scan, mask, _ = viewed_scan()
    (_, spleen) = organ_rows(scan, np.where(mask == 2, 0, mask), ORGANS, anatomy())
    assert (spleen["volume_ml"], spleen["hu_mean"], spleen["remarks"]) == (0.0, None, ["Not found."])
