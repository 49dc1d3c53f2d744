"""The stand-alone script gives the masks of the checkpoint, in a process that can import neither torch nor segment."""

import functools
import struct
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import tiny
from scipy import ndimage

from segment.checkpoint.load import load_model
from segment.exported import description, read, script, segment_onnx
from segment.io.read import read_ct_file

# Importing torch, or anything of this package, fails as if it were not installed.
WITHOUT_TORCH = (
    "import runpy, sys; sys.modules.update(dict.fromkeys(('torch', 'segment', 'torchio', 'monai'))); "
    "sys.argv = sys.argv[1:]; sys.path.insert(0, sys.argv[0].rpartition('/')[0]); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture
def run(tmp_path):
    """Run the script from a folder with nothing but its files."""
    for name, text in script.files().items():
        (tmp_path / "script").mkdir(exist_ok=True)
        (tmp_path / "script" / name).write_text(text)
    return functools.partial(_run, tmp_path / "script" / script.SCRIPT)


def _run(path, *arguments):
    command = [sys.executable, "-I", "-c", WITHOUT_TORCH, str(path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def segmenter(checkpoint):
    return load_model(checkpoint).segmenter


def test_the_script_gives_the_mask_of_the_checkpoint(exported, segmenter, run, tmp_path):
    """A scaled 4D file in another orientation, whose header names a patient, with noise in the CT."""
    hu, _ = tiny.body(1)
    noisy = hu + np.random.default_rng(0).integers(-60, 60, hu.shape)
    turned = noisy[::-1].transpose(2, 0, 1)[..., None].astype(np.int16)
    affine = np.array([[0, -2.0, 0.1, 20], [0, 0.1, 3.0, -15], [5.0, 0, 0, 100], [0, 0, 0, 1]])
    image = nib.Nifti1Image(turned + 1000, affine)
    image.header.set_slope_inter(1.0, -1000.0)
    image.header["descrip"] = b"Jane Doe"
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "ct.nii.gz")
    ended = run(exported, tmp_path / "ct.nii.gz", tmp_path / "mask.nii.gz", "--threads", 1)
    assert (ended.returncode, ended.stderr) == (0, "")
    mask = nib.load(tmp_path / "mask.nii.gz")
    expected = segmenter(read_ct_file(tmp_path / "ct.nii.gz"))
    assert {*np.unique(expected)} == {0, 1, 2}
    assert np.array_equal(np.asarray(mask.dataobj)[..., 0], expected)
    source = nib.load(tmp_path / "ct.nii.gz")
    assert mask.shape == source.shape
    assert mask.get_data_dtype() == np.uint8
    for form in ("sform", "qform"):
        (ours, code), (theirs, its_code) = (getattr(i, f"get_{form}")(coded=True) for i in (mask, source))
        assert code == its_code
        assert (ours is None and theirs is None) or np.array_equal(ours, theirs)
    assert mask.header["descrip"] == b""
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    assert ended.stdout.splitlines() == [
        f"{organ}: {np.count_nonzero(expected == i) * voxel_ml:.1f} mL" for i, organ in enumerate(tiny.ORGANS, start=1)
    ]


def test_other_files_end_in_one_line(exported, run, tmp_path):
    tiny.save(tmp_path / "4d.nii", np.zeros((4, 4, 4, 2), np.int16))
    ended = run(exported, tmp_path / "4d.nii", tmp_path / "mask.nii")
    assert ended.returncode == 1
    assert (
        ended.stderr
        == f"error: {tmp_path / '4d.nii'} has the shape (4, 4, 4, 2), or NaN; give one 3D volume of finite HU\n"
    )
    assert not (tmp_path / "mask.nii").exists()


def test_the_script_reads_no_weights_outside_the_folder(exported, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(exported.read_bytes())
    tensor = model.graph.initializer[0]
    size = len(tensor.raw_data)
    (tmp_path / "secret").write_bytes(bytes(size))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "../secret"), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    with pytest.raises(Exception, match="External data path"):
        segment_onnx.load(model.SerializeToString())


def test_the_script_knows_the_format_of_the_package():
    for name in ("FORMAT", "VERSION", "KEY"):
        assert getattr(segment_onnx, name) == getattr(description, name)


@pytest.mark.parametrize(
    "steps",
    [
        [{"name": "resample", "spacing_mm": [3.0, 2.0, 7.0]}, {"name": "window_hu", "low": -160.0, "high": 240.0}],
        [{"name": "resample", "size": [16, 20, 9]}, {"name": "standardize", "mean": 40.0, "std": 150.0}],
        [{"name": "rescale", "low": 0.0, "high": 1.0}, {"name": "z_normalize"}],
    ],
)
@pytest.mark.parametrize("shear", [0, 0.2])
def test_every_step_equals_that_of_the_package(exported, steps, shear):
    """Smooth noise, whose logits are near each other everywhere, on oblique and sheared grids."""

    class Session:
        def run(self, names, inputs):
            image = inputs["image"]
            return [np.concatenate([image, 0.9 * image, 1.1 * image], axis=1)]

    read_back = read.read_exported(exported).segmenter
    read_back.run = lambda patch: patch * patch.new_tensor([1, 0.9, 1.1]).reshape(1, 3, 1, 1, 1)
    read_back.transform = read.build_preprocessing(steps)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (25, 30, 20)), 1.5)
    affine = np.array([[1.4, -0.5, shear, 3], [0.5, 1.6, shear, -7], [0, 0, 3.1, 11], [0, 0, 0, 1]])
    scan = read_back_scan(noise, affine)
    recipe = {
        "organs": ["liver", "spleen"],
        "preprocess": steps,
        "patch_size": [8, 8, 8],
        "overlap": [2, 2, 2],
        "postprocess": None,
    }
    read_back.postprocess = None
    expected = read_back(scan)
    ours = segment_onnx.segment(scan.data, scan.affine, Session(), recipe)
    assert ours.dtype == np.uint8
    assert np.count_nonzero(ours != expected) <= 2e-4 * expected.size  # where logits are equal but for rounding
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize(
    ("hu", "logit", "message"),
    [(np.full((8, 8, 8), 40), 0, "preprocessing gives NaN"), (tiny.body()[0], np.nan, "the network gives NaN; export")],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_is_an_error_and_not_background(hu, logit, message):
    class Session:
        def run(self, names, inputs):
            return [np.full((1, 3, 8, 8, 8), logit, np.float32)]

    recipe = {"organs": tiny.ORGANS, "preprocess": [{"name": "z_normalize"}], "patch_size": [8] * 3, "overlap": [2] * 3}
    with pytest.raises(SystemExit, match=f"error: {message}"):
        segment_onnx.segment(hu.astype(np.int16), np.eye(4), Session(), recipe | {"postprocess": None})


def test_a_header_that_leaves_sides_or_sizes_open_is_refused(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.diag([2, 2, 3, 1]))
    image.set_qform(np.diag([-2, 2, 3, 1]), code="scanner")
    nib.save(image, tmp_path / "ct.nii.gz")  # the sform has another code
    assert nib.aff2axcodes(segment_onnx.read(tmp_path / "ct.nii.gz").affine) == ("R", "A", "S")
    image.set_sform(image.affine, code="scanner")
    nib.save(image, tmp_path / "ct.nii.gz")
    with pytest.raises(SystemExit, match=r"axes of .*ct\.nii\.gz are RAS in its sform but LAS in its qform"):
        segment_onnx.read(tmp_path / "ct.nii.gz")
    image.set_qform(image.affine, code="scanner")
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "ct.nii.gz")
    with pytest.raises(SystemExit, match=r"error: .*ct\.nii\.gz states its geometry in metres or microns; convert"):
        segment_onnx.read(tmp_path / "ct.nii.gz")


def test_a_damaged_qform_is_refused_where_it_decides(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    image.set_qform(np.diag([-2, 2, 3, 1]), code="scanner")
    nib.save(image, tmp_path / "ct.nii")
    content = bytearray((tmp_path / "ct.nii").read_bytes())
    pixdim, quaternion = 76, 256  # positions in a NIfTI-1 header
    for qfac, message in ((3.0, r"error: .*ct\.nii has the qfac \(pixdim\[0\]\) 3, so left and right"), (-1.0, None)):
        content[pixdim : pixdim + 4] = struct.pack("<f", qfac)
        (tmp_path / "ct.nii").write_bytes(content)
        if message is None:
            assert nib.aff2axcodes(segment_onnx.read(tmp_path / "ct.nii").affine)[0] == "L"
            continue
        with pytest.raises(SystemExit, match=message):
            segment_onnx.read(tmp_path / "ct.nii")
    size = content[pixdim + 4 : pixdim + 8]
    content[pixdim + 4 : pixdim + 8] = struct.pack("<f", 0.0)
    (tmp_path / "ct.nii").write_bytes(content)
    with pytest.raises(SystemExit, match=r"error: .*ct\.nii states voxels of 0 x 2 x 3 mm, or axes in one plane"):
        segment_onnx.read(tmp_path / "ct.nii")
    content[pixdim + 4 : pixdim + 8] = size
    content[quaternion : quaternion + 4] = struct.pack("<f", 3.0)
    (tmp_path / "ct.nii").write_bytes(content)
    with pytest.raises(SystemExit, match=r"error: .*ct\.nii cannot be read: .*; convert it again"):
        segment_onnx.read(tmp_path / "ct.nii")


@pytest.mark.parametrize("diagonal", [(1, 1, 0), (0.0007, 0.0007, 0.0025), (1, 1, np.nan)])
def test_an_sform_that_is_no_geometry_in_mm_is_refused(tmp_path, diagonal):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    image.header.set_sform(np.diag([*diagonal, 1]), code="scanner")
    nib.save(nib.Nifti1Image(image.dataobj, None, image.header), tmp_path / "ct.hdr")
    with pytest.raises(SystemExit, match=r"error: .*ct\.hdr states voxels of .* mm, or axes in one plane"):
        segment_onnx.read(tmp_path / "ct.hdr")


def test_a_header_without_codes_is_read_with_a_warning_and_other_formats_are_refused(tmp_path, capsys):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    nib.save(image, tmp_path / "ct.nii.gz")
    assert segment_onnx.read(tmp_path / "ct.nii.gz").shape == (4, 4, 4)
    assert "does not state which way right is; check the mask" in capsys.readouterr().err
    image.set_sform(np.eye(4), code="scanner")
    image.set_qform(np.eye(4), code="scanner")
    image.header["quatern_b"] = 3  # longer than 1
    nib.save(image, tmp_path / "ct.nii.gz")
    assert np.array_equal(segment_onnx.read(tmp_path / "ct.nii.gz").affine, np.eye(4))
    nib.save(nib.MGHImage(np.zeros((4, 4, 4), np.int32), np.eye(4)), tmp_path / "ct.mgz")
    with pytest.raises(SystemExit, match=r"error: .*ct\.mgz is no NIfTI file; convert it"):
        segment_onnx.read(tmp_path / "ct.mgz")


def read_back_scan(noise, affine):
    from segment.io.scan import Scan

    hu = (noise * 2000).round().astype(np.int16)
    return Scan(hu, affine, nib.Nifti1Header(), hu.shape)
