import imageio.v3 as imageio
import numpy as np
import pytest
from dicom_files import slice_file, write
from small_ct import touch

from segment.datasets.sources.chaos import ChaosCT
from segment.errors import UserError
from segment.io.read import read_ct
from segment.io.scan import Scan, geometry_header

ROWS, COLUMNS, SLICES = 5, 4, 6
# The order of names is downwards in one case and upwards in the other, as in the data set.
ORDERS = {"2": range(SLICES), "10": range(SLICES)[::-1]}
START = (-30.0, -40.0, 100.0)  # LPS+ mm
SPACING = (0.8, 0.7)  # between rows, between columns


def liver(k):
    """Mask of the k-th slice from below: rows (J) by columns (I), not symmetric, different in each slice."""
    shape = np.zeros((ROWS, COLUMNS), np.uint8)
    shape[: 1 + k % 3, : 1 + k // 2] = 255
    return shape


def dataset(root, names=("i{:04},0000b.dcm", "liver_GT_{:03}.png")):
    for case, order in ORDERS.items():
        folder = root / "Train_Sets" / "CT" / case
        (folder / "Ground").mkdir(parents=True)
        for number, k in enumerate(order):
            stored = np.where(liver(k) > 0, 1124, 24).astype(np.int16)  # 100 and -1000 HU
            position = (*START[:2], START[2] + 3.0 * k)
            header = slice_file(position, stored=stored, spacing=SPACING, InstanceNumber=number + 1)
            write(folder / "DICOM_anon" / names[0].format(number), header)
            imageio.imwrite(folder / "Ground" / names[1].format(number), liver(k))
    touch(root, "Train_Sets/MR/1/T1DUAL/Ground/IMG-1.png", "Train_Sets/CT/2/Ground/._liver_GT_000.png")
    return root


def scan():
    """The volume that a reader must return: voxel (0,0,0) is the first one of the lowest slice, in RAS+."""
    hu = np.stack([np.where(liver(k) > 0, 100, -1000).T for k in range(SLICES)], axis=2).astype(np.int16)
    affine = np.diag([-SPACING[1], -SPACING[0], 3.0, 1.0])
    affine[:3, 3] = (-START[0], -START[1], START[2])
    return Scan(hu, affine, geometry_header(hu.shape, affine), hu.shape)


def test_cases(tmp_path):
    cases = ChaosCT(dataset(tmp_path)).cases("chaos")
    assert [(c.id, c.image.name) for c in cases] == [("chaos/2", "DICOM_anon"), ("chaos/10", "DICOM_anon")]
    assert list(cases[0].label.structures) == ["liver"]
    assert len(cases[0].label.files) == 2 * SLICES


def test_pictures_are_placed_at_their_slices(tmp_path):
    for case in ChaosCT(dataset(tmp_path)).cases("chaos"):
        classes = case.label.read(scan(), case.image, ["spleen", "liver"])
        assert np.array_equal(classes == 2, scan().data == 100)
        assert set(np.unique(classes)) == {0, 2}


def test_pictures_match_the_ct_that_is_read(tmp_path):
    for case in ChaosCT(dataset(tmp_path, ("IMG-0002-{:05}.dcm", "liver_GT_{:03}.png"))).cases("chaos"):
        found = read_ct(case.image)
        assert np.array_equal(case.label.read(found, case.image, ["liver"]) == 1, found.data == 100)


def test_other_organs_are_unknown(tmp_path):
    case = ChaosCT(dataset(tmp_path)).cases("chaos")[0]
    assert not case.label.read(scan(), case.image, ["spleen"]).any()


def test_a_missing_picture(tmp_path):
    (dataset(tmp_path) / "Train_Sets/CT/2/Ground/liver_GT_003.png").unlink()
    with pytest.raises(UserError, match="CT/2 has 6 slices and 5 pictures; unpack the archive"):
        ChaosCT(tmp_path).cases("chaos")


def test_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match="no CT/<number>/Ground in"):
        ChaosCT(tmp_path).cases("chaos")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Ground/liver_GT_003.png", b"no picture", "cannot read the picture"),
        ("DICOM_anon/i0003,0000b.dcm", b"no slice", "cannot read the position of the slice"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    case = ChaosCT(dataset(tmp_path)).cases("chaos")[0]
    (tmp_path / "Train_Sets/CT/2" / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        case.label.read(scan(), case.image, ["liver"])


def test_a_picture_of_another_size(tmp_path):
    case = ChaosCT(dataset(tmp_path)).cases("chaos")[0]
    imageio.imwrite(case.label.pictures[0], liver(0).T)
    with pytest.raises(UserError, match=r"liver_GT_000\.png has 5x4 pixels, but its slice 4x5"):
        case.label.read(scan(), case.image, ["liver"])


@pytest.mark.parametrize("move", [(0, 0, 1.5), (3, 0, 0), (0, 0, 100)])
def test_a_volume_that_does_not_match_the_slices(tmp_path, move):
    case = ChaosCT(dataset(tmp_path)).cases("chaos")[0]
    other = scan()
    other.affine[:3, 3] += move
    with pytest.raises(UserError, match="is not in the volume read from its folder"):
        case.label.read(other, case.image, ["liver"])
