"""The public Python interface: `import segment`."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import tiny
from dicom_files import slice_file, stack_positions, write

import segment
from segment.inference.segmenter import Segmenter
from segment.io.dicom_seg import read_dicom_seg
from segment.io.read import read_ct, read_label

ROOT = Path(__file__).parents[1]
HU, CLASSES = tiny.body()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return segment.load(
        tiny.write_checkpoint(tmp_path_factory.mktemp("model") / "best.ckpt"), device="cpu", engine="torch"
    )


def itk_image(values=HU):
    image = SimpleITK.GetImageFromArray(values.T)
    image.SetSpacing(np.diag(tiny.AFFINE)[:3].tolist())
    image.SetOrigin((tiny.AFFINE[:3, 3] * (-1, -1, 1)).tolist())
    image.SetDirection(np.diag([-1.0, -1, 1]).ravel().tolist())
    return image


def test_importing_the_package_imports_nothing_else_and_shows_what_is_public():
    program = (
        "import sys; before = {*sys.modules}; import segment; "
        "print(sorted({name.partition('.')[0] for name in {*sys.modules} - before}), dir(segment)); "
        "segment.load; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    packages, public, torch = re.match(r"(\[.*?\]) (\[.*?\])\n(.*)", done.stdout).groups()
    ours = json.loads(packages.replace("'", '"'))
    assert [name for name in ours if name not in sys.stdlib_module_names] == ["segment"]
    assert json.loads(public.replace("'", '"')) == [
        *("Confidence", "Prediction", "Predictor", "UserError", "__version__", "load"),
    ]
    assert torch == "False"


def test_segmenting_imports_nothing_of_training(tmp_path):
    """Importing Lightning takes as long as importing all that prediction needs."""
    path = tiny.write_checkpoint(tmp_path / "best.ckpt")
    heavy = {"pytorch_lightning", "lightning_fabric", "torchmetrics", "scipy.signal", "torch._dynamo"}
    program = (
        "import sys, numpy, segment, segment.commands.predict, segment.commands.export; "
        f"segment.load({str(path)!r}, device='cpu', engine='torch'); print(sorted({heavy} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_public_names_are_documented_and_typed():
    for name in set(segment.__all__) - {"__version__"}:
        thing = getattr(segment, name)
        assert thing.__doc__
        members = [thing, *(value for key, value in vars(thing).items() if callable(value) and not key.startswith("_"))]
        for function in filter(inspect.isfunction, members):
            assert function.__doc__, function
            assert "return" in function.__annotations__, function
    assert (ROOT / "segment" / "py.typed").exists()
    with pytest.raises(AttributeError, match="module 'segment' has no attribute 'nothing'"):
        _ = segment.nothing


def test_the_lines_in_the_readme_work(starter, tmp_path, monkeypatch, capsys):
    tiny.save(tmp_path / "ct.nii.gz", HU)
    monkeypatch.chdir(tmp_path)
    (lines,) = re.findall(r"^```python\n(import segment\n.*?)```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len([line for line in lines.splitlines() if line]) == 5
    exec(lines, {})
    assert "'liver': 5.4" in capsys.readouterr().out
    assert np.array_equal(np.asarray(nib.load("mask.nii.gz").dataobj), CLASSES)


def test_a_result_carries_its_confidence(model, tmp_path):
    result = model(HU, affine=tiny.AFFINE)
    assert set(result.confidence) == {"liver", "spleen"}
    liver = result.confidence["liver"]
    assert isinstance(liver, segment.Confidence)
    assert (liver.dice, liver.low, liver.high) == (None, None, None)  # without a calibration
    assert liver.color in ("amber", "red")
    assert liver.reasons[0] == "volume: 5.4 mL, plausible are 500 to 4500 mL"
    entry = result.report()["organs"][0]
    assert entry["confidence"] == liver.to_plain()
    assert segment.Confidence.from_plain(json.loads(json.dumps(entry["confidence"]))) == liver


def test_a_file_gives_an_image_of_nibabel_on_its_grid(model, tmp_path):
    source = nib.load(tiny.save(tmp_path / "ct.nii.gz", HU))
    for given in (tmp_path / "ct.nii.gz", str(tmp_path / "ct.nii.gz")):
        result = model(given)
        assert np.array_equal(np.asarray(result.mask.dataobj), CLASSES)
        assert np.array_equal(result.mask.affine, source.affine)
        assert [int(result.mask.header[code]) for code in ("sform_code", "qform_code")] == [2, 1]
    assert result.organs == ["liver", "spleen"]
    assert result.numbers == {"liver": 1, "spleen": 2}
    assert result.volumes_ml == pytest.approx({"liver": 180 * 0.03, "spleen": 48 * 0.03})
    assert repr(result) == "Prediction(liver 5.4 mL, spleen 1.4 mL)"
    assert np.array_equal(result.organ("spleen"), CLASSES == 2)
    report = result.report()
    assert [organ["organ"] for organ in report["organs"]] == ["liver", "spleen"]
    assert report["organs"][0]["flags"] == ["volume: 5.4 mL, plausible are 500 to 4500 mL"]
    with pytest.raises(segment.UserError, match="does not segment 'splen'; did you mean spleen"):
        result.organ("splen")


@pytest.mark.parametrize("form", ["sform", "qform", "scaled", "changed affine", "one frame", "NIfTI-2", "on disk"])
def test_an_image_of_nibabel_gives_one(model, tmp_path, form):
    make = nib.Nifti2Image if form == "NIfTI-2" else nib.Nifti1Image
    image = make(HU[..., None] if form == "one frame" else HU, tiny.AFFINE)
    if form == "qform":
        image.set_sform(None, 0)
        image.set_qform(tiny.AFFINE, 1)
    if form == "scaled":
        image = make(2 * (HU + 1024), tiny.AFFINE)
        image.header.set_slope_inter(0.5, -1024)  # nibabel stores the values as they are
        nib.save(image, tmp_path / "ct.nii")
        image = nib.load(tmp_path / "ct.nii")
    if form == "on disk":
        image = nib.load(tiny.save(tmp_path / "ct.nii.gz", HU))
    if form == "changed affine":
        image = make(HU, tiny.AFFINE, nib.Nifti1Image(HU, np.eye(4)).header)
    mask = model(image).mask
    assert isinstance(mask, make)
    assert mask.shape == image.shape
    assert mask.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(mask.dataobj).reshape(HU.shape), CLASSES)
    np.testing.assert_allclose(mask.affine, tiny.AFFINE)


def test_an_image_of_another_format_of_nibabel_gives_nifti(model):
    mask = model(nib.MGHImage(HU, tiny.AFFINE)).mask
    assert isinstance(mask, nib.Nifti1Image)
    assert np.array_equal(np.asarray(mask.dataobj), CLASSES)
    np.testing.assert_allclose(mask.affine, tiny.AFFINE)


def test_an_image_of_simpleitk_gives_one(model):
    image = itk_image()
    mask = model(image).mask
    assert isinstance(mask, SimpleITK.Image)
    assert np.array_equal(SimpleITK.GetArrayFromImage(mask).T, CLASSES)
    assert mask.GetPixelID() == SimpleITK.sitkUInt8
    for geometry in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(mask, geometry)() == getattr(image, geometry)()
    assert np.array_equal(model(image).affine, tiny.AFFINE)


def test_an_image_of_simpleitk_may_have_a_fourth_axis_of_length_1(model):
    image = SimpleITK.JoinSeries([itk_image()])
    mask = model(image).mask
    assert mask.GetSize() == (*CLASSES.shape, 1)
    assert np.array_equal(SimpleITK.GetArrayFromImage(mask).T[..., 0], CLASSES)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.int64, ">i2"])
def test_an_array_with_its_affine_gives_an_array(model, dtype):
    values = HU.astype(dtype)
    before = values.copy()
    result = model(values, affine=tiny.AFFINE.tolist())
    assert isinstance(result.mask, np.ndarray)
    assert result.mask.dtype == np.uint8
    assert np.array_equal(result.mask, CLASSES)
    assert np.array_equal(values, before)
    turned = model(np.ascontiguousarray(values[::-1]), affine=tiny.AFFINE @ [[-1, 0, 0, 23], *np.eye(4)[1:]])
    assert np.array_equal(turned.mask[::-1], CLASSES)
    assert turned.volumes_ml == result.volumes_ml


def test_organs_can_be_chosen(model, tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "best.ckpt")
    spleen = segment.load(str(ckpt), organs=["spleen"])
    assert (spleen.organs, spleen.numbers) == (["spleen"], {"spleen": 2})
    result = spleen(HU, affine=tiny.AFFINE)
    assert np.array_equal(result.mask, np.where(CLASSES == 2, 2, 0))
    assert set(result.volumes_ml) == {"spleen"}
    with pytest.raises(segment.UserError, match="does not segment 'kidney'"):
        segment.load(ckpt, organs=["kidney"])


def test_several_checkpoints_segment_together(tmp_path):
    paths = [tiny.write_checkpoint(tmp_path / f"{name}.ckpt") for name in "ab"]
    assert np.array_equal(segment.load(paths)(HU, affine=tiny.AFFINE).mask, CLASSES)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_mask_can_be_saved_in_any_format(model, tmp_path, suffix):
    model(itk_image()).save(tmp_path / f"mask{suffix}")
    saved = read_label(tmp_path / f"mask{suffix}")
    assert np.array_equal(saved.data, CLASSES)
    np.testing.assert_allclose(saved.affine, tiny.AFFINE, atol=1e-5)


def test_a_mask_of_a_dicom_series_can_be_saved_as_a_segmentation(model, tmp_path, monkeypatch):
    tiny.write_dicom(tmp_path / "ct")
    result = model(tmp_path / "ct", series="1.2.3.4")
    assert np.array_equal(np.asarray(result.mask.dataobj), CLASSES)
    result.save(tmp_path / "mask.dcm")
    found = read_dicom_seg(tmp_path / "mask.dcm", read_ct(tmp_path / "ct"))
    assert np.array_equal(found["liver"], CLASSES == 1)
    monkeypatch.setattr("segment.inference.outputs.to_memory.has_highdicom", lambda: False)
    with pytest.raises(segment.UserError, match=r"mask\.dcm is a DICOM segmentation, which needs highdicom; pip inst"):
        result.save(tmp_path / "mask.dcm")


def test_what_cannot_be_saved_is_refused(model, tmp_path):
    sheared = tiny.AFFINE.copy()
    sheared[0, 2] = 1
    result = model(HU, affine=sheared)
    for name, message in {
        "mask.png": r"cannot write a mask as mask\.png; end its name in one of \.nii\.gz, \.nii, \.nrrd, \.mha, \.dcm",
        "mask.nrrd": r"mask\.nrrd cannot store a sheared grid; end its name in \.nii\.gz",
        "mask.dcm": r"mask\.dcm cannot be a DICOM segmentation of this CT: not a DICOM series; end its name in",
    }.items():
        with pytest.raises(segment.UserError, match=message):
            result.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    result.save(tmp_path / "mask.nii.gz")
    assert np.array_equal(nib.load(tmp_path / "mask.nii.gz").affine, sheared)


def test_a_tilted_series_is_straightened_on_request(model, tmp_path):
    for k, position in enumerate(stack_positions(8, gap=5.0)):
        header = slice_file(np.add(position, (0, 1.5 * k, 0)), stored=np.full((24, 20), 1024 - 100, np.int16))
        write(tmp_path / f"{k}.dcm", header)
    with pytest.raises(segment.UserError, match="gantry tilt"):
        model(tmp_path)
    result = model(tmp_path, straighten=True)
    assert result.mask.shape == result.classes.shape
    with pytest.raises(segment.UserError, match="of this CT: the series was straightened, so its slices are not"):
        result.save(tmp_path / "mask.dcm")


@pytest.mark.parametrize(
    ("ct", "options", "message"),
    [
        (HU, {}, r"an array needs affine=, its \(4,4\) matrix"),
        (HU, {"affine": np.eye(3)}, r"affine must be a \(4,4\) matrix, got \(3, 3\)"),
        (HU, {"affine": np.diag([1, 1, 0, 1])}, "the image states a voxel size of 1x1x0 mm"),
        (HU, {"affine": tiny.AFFINE, "series": "1"}, "series= and straighten= belong to a folder, but the CT is a nd"),
        (HU[0], {"affine": tiny.AFFINE}, r"the image has shape \(14, 12\); give one 3D volume per file"),
        (HU[..., :1], {"affine": tiny.AFFINE}, "the image has 24x14x1 voxels, one slice; give a whole volume"),
        (
            np.full_like(HU, -1000),
            {"affine": tiny.AFFINE},
            "the image cannot be a CT: numbers from -1000 to -1000 are al",
        ),
        (HU.astype(complex), {"affine": tiny.AFFINE}, "the image holds complex128 per voxel; give HU as whole numbers"),
        (np.where(HU > 0, np.nan, HU), {"affine": tiny.AFFINE}, r"the image holds \d+ voxels that are NaN or infinite"),
        (CLASSES, {"affine": tiny.AFFINE}, "the image cannot be a CT: numbers from 0 to 2 are codes of a label map"),
        (nib.Nifti1Image(HU, None), {}, "the image has no affine, so its geometry is unknown; make it with one"),
        (
            nib.Nifti1Image(HU, tiny.AFFINE),
            {"affine": tiny.AFFINE},
            "affine= belongs to an array, but the CT is a Nifti1",
        ),
        (SimpleITK.Image(8, 8, SimpleITK.sitkInt16), {}, r"the image has 2 dimensions and 1 number\(s\) per voxel"),
        (SimpleITK.Image([4, 4, 4], SimpleITK.sitkVectorInt16, 3), {}, r"has 3 dimensions and 3 number\(s\) per voxel"),
        (7, {}, "cannot segment a int; give a path, an image of nibabel or SimpleITK, or a numpy array with its"),
        ("nothing.nii.gz", {}, "no such file, or no permission to read it: nothing"),
    ],
)
def test_what_is_no_ct_is_refused_in_one_sentence(model, ct, options, message):
    with pytest.raises(segment.UserError, match=message):
        model(ct, **options)


def test_a_folder_without_the_series_is_refused(model, tmp_path):
    tiny.write_dicom(tmp_path)
    with pytest.raises(segment.UserError, match=r"has no series 9\.9 in it; leave out series to read its largest CT"):
        model(tmp_path, series="9.9")


@pytest.mark.parametrize("option", [{"series": "9.9"}, {"straighten": True}])
def test_options_of_a_folder_are_refused_for_a_file(model, tmp_path, option):
    path = tiny.save(tmp_path / "ct.nii.gz", HU)
    with pytest.raises(segment.UserError, match="series= and straighten= belong to a folder, but the CT is a file; le"):
        model(path, **option)


def test_a_damaged_file_behind_an_image_is_an_error(model, tmp_path):
    path = tiny.save(tmp_path / "ct.nii.gz", HU)
    image = nib.load(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(segment.UserError, match=r"cannot read the voxels of the image \(EOFError"):
        model(image)


def test_a_file_without_directions_is_reported_and_an_image_in_memory_too(model, caplog):
    image = nib.Nifti1Image(HU, tiny.AFFINE)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    model(image)
    assert "does not state which way its axes run" in caplog.text


def test_an_image_in_memory_that_contradicts_itself_about_right_and_left_is_refused(model):
    """As its file is."""
    image = nib.Nifti1Image(HU, tiny.AFFINE)
    image.set_sform(tiny.AFFINE, 1)
    image.set_qform(tiny.AFFINE * np.array([[-1.0], [1], [1], [1]]), 1)
    with pytest.raises(
        segment.UserError, match=r"the image states its axes twice, as .* so left and right are unknown"
    ):
        model(image)


def test_the_axes_of_an_analyze_image_are_a_guess(model, caplog):
    mask = model(nib.AnalyzeImage(HU, tiny.AFFINE)).mask
    assert "does not state which way its axes run" in caplog.text
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (2, 2)  # "aligned to another file's"


def test_options_of_predict_are_passed_on(tmp_path, monkeypatch, caplog):
    seen = []
    original = Segmenter.segment

    def segment_(self, scan, exact, doubted=None):
        seen.append((type(self).__name__, exact))
        return original(self, scan, exact, doubted)

    monkeypatch.setattr(Segmenter, "segment", segment_)
    ckpt = tiny.write_checkpoint(tmp_path / "best.ckpt")
    plain = segment.load(ckpt, device="cpu", engine="torch")(HU, affine=tiny.AFFINE)
    exact = segment.load(ckpt, device="cpu", engine="torch", exact=True)(HU, affine=tiny.AFFINE)
    augmented = segment.load(ckpt, device="cpu", engine="torch", tta=["moved"])(HU, affine=tiny.AFFINE)
    assert seen == [("Segmenter", False), ("Segmenter", True), ("AugmentedSegmenter", False)]
    for result in (plain, exact, augmented):
        assert np.array_equal(result.classes, CLASSES)
    with pytest.raises(segment.UserError, match="has 'turned'; choose among mirrored, moved, scaled"):
        segment.load(ckpt, tta=["turned"])
    assert not caplog.records
    segment.load(ckpt, device="cpu", engine="torch", tta=["mirrored"])
    assert f"{ckpt} does not say that it was trained on mirrored CTs; if it was not, mirroring harms" in caplog.text


def test_an_organ_that_may_have_a_side_is_not_mirrored_in_silence(tmp_path, caplog):
    organs = ["hígado", "RK"]
    held = tiny.config()
    held |= {"organs": organs, "model": held["model"] | {"organs": organs, "tolerance_mm": dict.fromkeys(organs, 3)}}
    ckpt = tiny.write_checkpoint(tmp_path / "best.ckpt", held)
    with pytest.raises(segment.UserError, match="cannot mirror hígado, because neither its name nor pairs and"):
        segment.load(ckpt, device="cpu", engine="torch", tta=["mirrored"])
    segment.load(ckpt, device="cpu", engine="torch")
    assert "no check finds hígado, RK on the wrong side" in caplog.text


def test_a_damaged_calibration_is_refused_before_a_ct_is_segmented(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "best.ckpt")
    (tmp_path / "best.confidence.json").write_text("{}")
    with pytest.raises(segment.UserError, match=r"best\.confidence\.json is no calibration of this version of segment"):
        segment.load(ckpt, device="cpu", engine="torch")
