import numpy as np
import pytest
import tiny
from torso import torso

from segment.errors import UserError
from segment.inference.inputs.find_inputs import Input
from segment.inference.inputs.read_input import read_input


@pytest.fixture(scope="module")
def hu():
    return torso()[0]


def read(path, is_named=False, series=None):
    scan, left_out = read_input(Input(path, "a", is_named), series, straighten=False)
    return scan is not None, [(one.name, one.reason) for one in left_out]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_label_map_is_refused_if_named_and_otherwise_left_out(tmp_path, dtype, caplog):
    labels = {
        "many": tiny.body()[1],
        "one": tiny.body()[1] == 2,
        "none": np.zeros((9, 8, 7)),
        "all": np.ones((9, 8, 7)),
    }
    for name, label in labels.items():
        path = tiny.save(tmp_path / f"{name}.nii.gz", label.astype(dtype))
        assert read(path) == (False, [(path.name, "a label map, not a CT")])
        with pytest.raises(UserError, match=r"cannot be a CT: numbers from \d to \d are codes of a label map, not HU"):
            read(path, is_named=True)
    assert not caplog.text  # no warning about an unusual CT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda hu: np.clip((hu + 160) / 400, 0, 1).astype(np.float32), "from 0 to 1 are normalised, not HU"),
        (lambda hu: ((hu - hu.mean()) / hu.std()).astype(np.float32), "are normalised, not HU"),
        (lambda hu: (np.clip((hu + 160) / 400, 0, 1) * 255).astype(np.uint8), "from 0 to 255 are grey levels"),
        (lambda hu: (hu + 1024).clip(0), "the rescale intercept is missing"),
        (lambda hu: np.full_like(hu, -1000), "from -1000 to -1000 are all those of air"),
        (lambda hu: hu.clip(-1024, -950) - (hu % 9), "are all those of air"),
    ],
)
def test_values_that_cannot_be_hu_are_refused(tmp_path, hu, change, reason):
    with pytest.raises(UserError, match=rf"ct\.nii cannot be a CT: .*{reason}.*; "):
        read(tiny.save(tmp_path / "ct.nii", change(hu)))


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda hu: hu[8:122, 45:55], "no air; check that these are HU"),  # cropped to soft tissue
        (
            lambda hu: np.abs(hu[40:80, 45:55, 10:30] - 40) + 20,
            "no air; check that these are HU",
        ),  # and no value below 0
        (lambda hu: hu.clip(-160, 240), "clipped"),
        (lambda hu: hu.clip(0), "no air; check that these are HU"),
        (lambda hu: -hu, "the sign is wrong"),
        (lambda hu: np.where(np.indices(hu.shape)[0] < 3, -2000, hu + 1024).astype(np.int16), "intercept is missing"),
    ],
)
def test_unusual_values_that_may_be_hu_are_logged_and_read(tmp_path, hu, change, warning, caplog):
    assert read(tiny.save(tmp_path / "ct.nii", change(hu))) == (True, [])
    assert warning in caplog.text


def test_a_normal_ct_is_read_without_a_warning(tmp_path, hu, caplog):
    assert read(tiny.save(tmp_path / "ct.nii", hu)) == (True, [])
    assert not caplog.text


def test_other_series_of_a_folder_are_left_out(tmp_path):
    tiny.write_dicom(tmp_path / "ct")
    for number, (count, tags) in enumerate([(8, {}), (1, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})]):
        for path in tiny.write_dicom(tmp_path / "x", 0, count, SeriesInstanceUID=f"1.9.{number}", **tags).iterdir():
            path.rename(tmp_path / "ct" / f"{number}{path.name}")
    other = "ct: 1.9.0 (Abdomen, 8 slices, axial)"
    scout = ("ct: 1.9.1 (Abdomen, 1 slices, localizer)", "DICOM, but not a CT: localizer")
    chosen = "the series {} of its folder is segmented; series=<UID> chooses another"
    assert read(tmp_path / "ct") == (True, [(other, chosen.format("1.2.3.4")), scout])
    is_read, left_out = read(tmp_path / "ct", series="1.9.0")
    assert is_read
    assert left_out[0] == ("ct: 1.2.3.4 (Abdomen, 12 slices, axial)", chosen.format("1.9.0"))
    assert read(tmp_path / "ct", series="7") == (False, [("ct", "no series 7 in it")])


def test_subfolders_of_a_series_are_not_read(tmp_path):
    tiny.write_dicom(tmp_path / "ct")
    tiny.write_dicom(tmp_path / "ct" / "other", seed=1)
    assert read(tmp_path / "ct") == (True, [])


def test_a_single_slice_is_refused(tmp_path, hu):
    with pytest.raises(UserError, match=rf"ct.nii has {hu.shape[0]}x{hu.shape[1]}x1 voxels, one slice"):
        read(tiny.save(tmp_path / "ct.nii", hu[:, :, 20:21]))
