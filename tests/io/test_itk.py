import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from segment.errors import UserError
from segment.io.read import read_ct, read_grid, read_label
from segment.io.scan import on_grid_of
from segment.io.write import write_mask

SIZE = (2, 3, 4)
VOXELS = np.arange(24, dtype="<i2").reshape(SIZE) - 1000
AXES = ["space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)", "space origin: (1,2,3)"]
LPS, RAS, LAS = (-1, -1, 1), (1, 1, 1), (-1, 1, 1)
SPACING = "ElementSpacing = 0.7 0.8 2.5"
MATRIX = "TransformMatrix = 1 0 0 0 1 0 0 0 1"


def nrrd(path, *lines, sizes="2 3 4"):
    count = len(sizes.split())
    head = ["NRRD0005", "type: short", f"dimension: {count}", f"sizes: {sizes}", "endian: little", "encoding: raw"]
    path.write_bytes("\n".join([*head, *lines, "", ""]).encode() + VOXELS.tobytes(order="F"))
    return path


def mha(path, *lines):
    head = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False", *lines]
    tail = ["DimSize = 2 3 4", "ElementType = MET_SHORT", "ElementDataFile = LOCAL", ""]
    path.write_bytes("\n".join([*head, *tail]).encode() + VOXELS.tobytes(order="F"))
    return path


def affine_in(signs, origin_mm=(1, 2, 3)):
    """RAS+ affine of 0.7x0.8x2.5 mm voxels along the axes of a world that the signs convert to RAS+."""
    affine = np.diag([0.7, 0.8, 2.5, 1.0])
    affine[:3, 3] = origin_mm
    return np.diag([*signs, 1.0]) @ affine


@pytest.mark.parametrize(
    ("space", "signs", "oriented"),
    [
        ("space: left-posterior-superior", LPS, True),
        ("space: LPS", LPS, True),
        ("space: right-anterior-superior", RAS, True),
        ("space: ras", RAS, True),
        ("space: left-anterior-superior", LAS, True),
        ("space: LAS", LAS, True),
        ("space: scanner-xyz", LPS, False),
        ("space: 3D-right-handed", LPS, False),
        ("space: 3D-left-handed", LPS, False),
        ("space dimension: 3", LPS, False),
    ],
)
def test_spaces_of_nrrd(tmp_path, space, signs, oriented):
    path = nrrd(tmp_path / "ct.nrrd", space, *AXES)
    scan = read_ct(path)
    np.testing.assert_allclose(scan.affine, affine_in(signs), atol=1e-12)
    np.testing.assert_array_equal(scan.data, VOXELS)
    assert scan.is_oriented == oriented
    x, y, z = SimpleITK.ReadImage(str(path)).TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose(scan.affine @ [1, 2, 3, 1], [-x, -y, z, 1])


@pytest.mark.parametrize(
    ("space", "signs", "oriented"),
    [
        ("left-posterior-superior-time", LPS, True),
        ("LPST", LPS, True),
        ("right-anterior-superior-time", RAS, True),
        ("RAST", RAS, True),
        ("left-anterior-superior-time", LAS, True),
        ("LAST", LAS, True),
        ("scanner-xyz-time", LPS, False),
    ],
)
def test_spaces_with_time_which_itk_reads_as_lps(tmp_path, space, signs, oriented):
    axes = ["space directions: (0.7,0,0,0) (0,0.8,0,0) (0,0,2.5,0) (0,0,0,1)", "space origin: (1,2,3,0)"]
    scan = read_ct(nrrd(tmp_path / "ct.nrrd", f"space: {space}", *axes, sizes="2 3 4 1"))
    np.testing.assert_allclose(scan.affine, affine_in(signs), atol=1e-12)
    assert (scan.shape, scan.is_oriented) == ((2, 3, 4, 1), oriented)


def check_guess(path, folder, caplog):
    """Check that a CT without directions is read with a warning, and that its mask is aligned with it and not more."""
    scan = read_ct(path)
    assert f"{path} does not state which way its axes run in the body: left and right are a guess" in caplog.text
    write_mask(folder / "mask.nii.gz", np.ones(SIZE, np.uint8), scan)
    header = nib.load(folder / "mask.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (2, 2)  # aligned to another file, not the scanner
    on_grid_of(read_label(folder / "mask.nii.gz"), scan, "mask", "ct")
    mask, ct = (SimpleITK.ReadImage(str(p)) for p in (folder / "mask.nii.gz", path))
    for voxel in ((0, 0, 0), (1, 2, 3)):
        np.testing.assert_allclose(
            mask.TransformIndexToPhysicalPoint(voxel), ct.TransformIndexToPhysicalPoint(voxel), atol=1e-5
        )


@pytest.mark.parametrize(
    "lines", [["space dimension: 3", *AXES], ["spacings: 0.7 0.8 2.5"], ["spacings: 0.7 0.8 2.5", "axis mins: 5 6 7"]]
)
def test_the_axes_of_an_nrrd_without_a_space_are_a_guess(tmp_path, lines, caplog):
    check_guess(nrrd(tmp_path / "ct.nrrd", *lines), tmp_path, caplog)


@pytest.mark.parametrize("lines", [[SPACING], [SPACING, "Offset = 1 2 3", "AnatomicalOrientation = LPS"]])
def test_the_axes_of_a_metaimage_without_directions_are_a_guess(tmp_path, lines, caplog):
    check_guess(mha(tmp_path / "ct.mha", *lines), tmp_path, caplog)


@pytest.mark.parametrize(
    "lines",
    [
        [SPACING, MATRIX],
        [SPACING, "Rotation = 1 0 0 0 1 0 0 0 1"],
        [SPACING, "Orientation = 1 0 0 0 1 0 0 0 1", "AnatomicalOrientation = ???"],
        ["ElementSize = 0.7 0.8 2.5", "AnatomicalOrientation = RAI"],  # right to left, anterior to posterior: LPS+
    ],
)
def test_a_metaimage_with_directions_is_oriented(tmp_path, lines, caplog):
    scan = read_ct(mha(tmp_path / "ct.mha", *lines))
    assert scan.is_oriented
    assert (int(scan.header["sform_code"]), int(scan.header["qform_code"])) == (1, 1)
    np.testing.assert_allclose(scan.affine, affine_in(LPS, (0, 0, 0)), atol=1e-12)
    assert "guess" not in caplog.text


def test_an_axis_outside_space_is_ignored(tmp_path):
    directions = "space directions: none (0.7,0,0) (0,0.8,0) (0,0,2.5)"
    lines = ["space: RAS", "kinds: list domain domain domain", directions, "space origin: (1,2,3)"]
    scan = read_ct(nrrd(tmp_path / "ct.nrrd", *lines, sizes="1 2 3 4"))
    np.testing.assert_allclose(scan.affine, affine_in(RAS), atol=1e-12)
    np.testing.assert_array_equal(scan.data, VOXELS)


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["spacings: nan nan nan"], r"\?x\?x\?"),
        ([], r"\?x\?x\?"),
        (["spacings: 0 0 0"], "0x0x0"),
        (["spacings: 0.7 0.8 -2.5"], "0.7x0.8x-2.5"),
        (["space: LPS", "space directions: (0.7,0,0) (0,0.8,0) none"], r"\?x\?x\?"),
        (["space: LPS", "space directions: (0.7,0,0) (0,0.8,0) (0,0,0)"], "0.7x0.8x0"),
        (["space: LPS", "space directions: (700,0,0) (0,800,0) (0,0,2500)"], "700x800x2500"),
    ],
)
def test_missing_or_impossible_voxel_sizes_in_an_nrrd_are_refused(tmp_path, lines, shown):
    path = nrrd(tmp_path / "ct.nrrd", *lines)
    for read in (read_ct, read_label, read_grid):
        with pytest.raises(UserError, match=rf"ct\.nrrd states a voxel size of {shown} mm"):
            read(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([MATRIX], r"states a voxel size of \?x\?x\? mm"),
        (["ElementSpacing = 0 0 0", MATRIX], "states a voxel size of 0x0x0 mm"),
        (["ElementSpacing = 0.7 0.8 -2.5", MATRIX], "states a voxel size of 0.7x0.8x-2.5 mm"),
        (["ElementSpacing = nan 0.8 2.5", MATRIX], r"states a voxel size of \?x0.8x2.5 mm"),
        (
            [SPACING, "TransformMatrix = 2 0 0 0 2 0 0 0 2"],
            "states a voxel size of 0.7x0.8x2.5 mm, but its axes 1.4x1.6x5 mm",
        ),
        ([SPACING, "TransformMatrix = 1 0 0 0 1 0 0 1 0"], "has an unusable affine .* axes in one plane"),
        ([SPACING, MATRIX, "DistanceUnits = um"], "states its geometry in 'um'"),
        ([SPACING, MATRIX, "DistanceUnits = cm"], "states its geometry in 'cm'"),
    ],
)
def test_missing_or_impossible_geometry_in_a_metaimage_is_refused(tmp_path, lines, message):
    with pytest.raises(UserError, match=rf"ct\.mha {message}"):
        read_ct(mha(tmp_path / "ct.mha", *lines))
    read_ct(mha(tmp_path / "ct.mha", SPACING, MATRIX, "DistanceUnits = mm"))


@pytest.mark.parametrize("unit", ["m", "cm", "um", "µm", "microns", "meters", "micrometre", "in", "inches"])
@pytest.mark.parametrize("lines", [["space: LPS", *AXES, 'space units: "mm" "mm" "{}"'], ['units: "mm" "{}" "mm"']])
def test_other_units_in_an_nrrd_are_refused(tmp_path, unit, lines):
    spacing = [] if "space: LPS" in lines else ["spacings: 0.7 0.8 2.5"]
    path = nrrd(tmp_path / "ct.nrrd", *spacing, *(line.format(unit) for line in lines))
    with pytest.raises(UserError, match=r"states its geometry in '.*'; convert its spacing, origin and units to mm"):
        read_ct(path)


@pytest.mark.parametrize("unit", ["mm", "MM", "millimeters", "millimetre", "", "???"])
def test_millimetres_and_empty_units_are_accepted(tmp_path, unit):
    units = f'space units: "{unit}" "{unit}" "{unit}"'
    read_ct(nrrd(tmp_path / "ct.nrrd", "space: LPS", *AXES, units))
