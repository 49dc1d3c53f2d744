import numpy as np
import pytest
from torso import torso

from segment.io.hounsfield import check_hu, check_possible


def found(values):
    return [(finding.severity, finding.check) for finding in check_hu(values)]


@pytest.fixture(scope="module")
def hu():
    return torso()[0]


def test_hu_are_accepted(hu):
    assert found(hu) == []


def test_padding_far_below_air_and_metal_are_accepted(hu):
    padded = hu.copy()
    padded[:4], padded[60, 50, :30] = -3024, 3071
    assert found(padded) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda hu: np.full_like(hu, 40), ("error", "constant")),
        (lambda hu: np.clip((hu + 160) / 400, 0, 1).astype(np.float32), ("error", "no HU")),
        (lambda hu: (np.clip((hu + 160) / 400, 0, 1) * 255).astype(np.int16), ("error", "no HU")),
        (lambda hu: (hu + 1024).clip(0), ("error", "no rescale")),
        (lambda hu: np.where(np.indices(hu.shape)[0] < 3, -2000, hu + 1024), ("error", "no rescale")),  # padded
        (lambda hu: hu.clip(0), ("warning", "clipped")),
        (lambda hu: ((hu - hu.mean()) / hu.std()).astype(np.float32), ("error", "no HU")),
        (lambda hu: -hu, ("error", "wrong sign")),
        (lambda hu: hu - 1024, ("error", "no HU")),  # the intercept applied twice
        (lambda hu: hu * np.float32(10), ("error", "no HU")),
        (lambda hu: hu.clip(-160, 240), ("warning", "clipped")),
        (lambda hu: hu.clip(-1024, 100), ("warning", "clipped")),
        (lambda hu: hu[8:122, 45:55], ("warning", "no air")),
    ],
)
def test_numbers_other_than_hu_are_recognised_by_kind(hu, change, finding):
    assert found(change(hu)) == [finding]


@pytest.mark.parametrize("low", [0, 50])
def test_a_crop_to_soft_tissue_is_not_a_picture(low):
    """The darkest voxel of a crop may have 0 HU, but a picture has many black voxels around the patient."""
    crop = np.random.default_rng(0).normal(110, 12, (20, 20, 20)).astype(np.int16)
    crop[0, 0, 0] = low
    (finding,) = check_hu(crop)
    assert (finding.severity, finding.check, check_possible(crop)) == ("warning", "no air", None)
    assert finding.what == f"the darkest voxel has {low} HU: there is no air"
    crop[:2] = 0  # black
    crop[2, 0, 0] = 255
    (picture,) = check_hu(crop)
    assert picture == check_possible(crop)
    assert picture.what == "numbers from 0 to 255 are grey levels of a picture, not HU"


def test_remedies_for_voxels_work_in_any_format(hu):
    """Remedies change voxels, not scl_inter: only NIfTI has it, and nibabel compensates for a change on saving."""
    (shifted,) = check_hu(hu + 1024)
    assert shifted.remedy == "subtract 1024 from every voxel"
    (negated,) = check_hu(-hu)
    assert negated.remedy == "multiply every voxel by -1"
