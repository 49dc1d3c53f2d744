import numpy as np
import pytest
from viewed import ORGANS, anatomy, viewed_scan

from segment.inference.confidence.confidence import Confidence
from segment.view.page.organs import organ_rows


def test_rows_have_measurements_ranges_and_remarks():
    scan, mask, _ = viewed_scan()
    mask[6:12, 8:16, 16:] = 2
    liver, spleen = organ_rows(scan, mask, ORGANS, anatomy())
    assert liver["volume_ml"] == pytest.approx(16 * 16 * 10 * 0.02)
    assert (liver["hu_mean"], liver["hu_sd"], liver["cut"]) == (100.0, 0.0, [])
    assert (liver["range_ml"], liver["range_hu"]) == ([500, 4500], [-40, 250])
    assert liver["remarks"][0].startswith("volume: 51.2 mL")
    assert spleen["cut"] == ["upper"]
    assert spleen["range_ml"] is None
    assert spleen["remarks"] == ["cut: by the upper end of the scan"]


def test_an_absent_organ():
    scan, mask, _ = viewed_scan()
    (_, spleen) = organ_rows(scan, np.where(mask == 2, 0, mask), ORGANS, anatomy())
    assert (spleen["volume_ml"], spleen["hu_mean"]) == (0.0, None)
    assert spleen["remarks"][0].startswith("absent")


def test_a_row_states_its_confidence_and_each_reason_once():
    scan, mask, _ = viewed_scan()
    flag = organ_rows(scan, mask, ORGANS, anatomy())[0]["remarks"][0]
    known = {"liver": Confidence("amber", 0.9, 0.7, 0.95, (flag, "agreement: Dice 0.70 with a second look"))}
    liver, spleen = organ_rows(scan, mask, ORGANS, anatomy(), known)
    assert liver["remarks"] == [flag, "agreement: Dice 0.70 with a second look"]
    assert (liver["confidence"]["color"], liver["confidence"]["dice"]) == ("amber", 0.9)
    assert spleen["confidence"] is None
