import csv
import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import tiny
import torch
from dicom_files import slice_file, stack_positions, write
from page_data import data_of
from run_commands import config
from small_ct import touch

from segment.commands import predict_batch as module
from segment.commands import prediction_page
from segment.commands.predict import main, predict
from segment.errors import UserError
from segment.inference.engines import choose
from segment.io.read import read_ct
from segment.view.page import prediction as page_module


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def outputs(*cases, more=()):
    """Names of the files of a call."""
    of_cases = [f"{case}{end}" for case in cases for end in ("_report.json", "_seg.nii.gz")]
    return sorted(["checkpoint.sha256", "manifest.json", "volumes.csv", *of_cases, *more])


def volumes(folder):
    with (folder / "volumes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({(row["case"], row["organ"]) for row in rows}) == len(rows)
    return {(row["case"], row["organ"]): float(row["volume_ml"]) for row in rows}


def expected(name, seed=0):
    """Volumes of a body: a voxel has 0.03 mL."""
    return {(name, "liver"): (6 + seed) * 30 * 0.03, (name, "spleen"): 16 * (3 + seed) * 0.03}


def test_a_mask_has_the_grid_of_its_ct(run, tmp_path):
    hu, classes = tiny.body()
    source = nib.load(tiny.save(tmp_path / "ct.nii.gz", hu))
    run(tmp_path / "ct.nii.gz")
    assert names(tmp_path / "masks") == outputs("ct")
    mask = nib.load(tmp_path / "masks" / "ct_seg.nii.gz")
    assert np.array_equal(np.asarray(mask.dataobj), classes)
    assert mask.get_data_dtype() == np.uint8
    assert np.array_equal(mask.affine, source.affine)
    for form in ("sform", "qform"):
        (ours, code), (theirs, its_code) = (getattr(i, f"get_{form}")(coded=True) for i in (mask, source))
        assert code == its_code
        assert np.array_equal(ours, theirs)
    assert volumes(tmp_path / "masks") == pytest.approx(expected("ct"))


def test_a_folder_of_all_formats_is_segmented(run, tmp_path):
    folder = tmp_path / "cts"
    hu, classes = tiny.body(seed=1)
    for suffix in (".nii", ".nii.gz"):
        tiny.save(folder / f"nifti{len(suffix)}{suffix}", hu)
    image = SimpleITK.GetImageFromArray(hu.T)
    image.SetSpacing(np.diag(tiny.AFFINE)[:3].tolist())
    image.SetOrigin((tiny.AFFINE[:3, 3] * (-1, -1, 1)).tolist())
    image.SetDirection(np.diag([-1.0, -1, 1]).ravel().tolist())
    for suffix in ("nrrd", "mha"):
        SimpleITK.WriteImage(image, folder / f"{suffix}.{suffix}")
    (folder / "readme.txt").write_text("no CT")
    (folder / "._mac.nii.gz").write_bytes(b"no CT")
    run(folder)
    cases = ["mha", "nifti4", "nifti7", "nrrd"]
    assert names(tmp_path / "masks") == outputs(*cases)
    for name in cases:
        mask = nib.load(tmp_path / "masks" / f"{name}_seg.nii.gz")
        assert np.array_equal(np.asarray(mask.dataobj), classes)
        np.testing.assert_allclose(mask.affine, tiny.AFFINE, atol=1e-5)
    assert volumes(tmp_path / "masks") == pytest.approx({k: v for name in cases for k, v in expected(name, 1).items()})


def test_a_ct_stored_in_48_orientations_always_has_the_same_mask(tmp_path, run, ckpt):
    """The grid is oblique and sheared, and preprocessing resamples it."""
    tiny.write_checkpoint(ckpt, tiny.config(spacing_mm=[3, 3, 3]))
    hu, _ = tiny.body()
    c, s = np.cos(0.3), np.sin(0.3)
    affine = tiny.AFFINE.copy()
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ affine[:3, :3]
    affine[:3, 2] += 0.2 * affine[:3, 1]
    turns = {}
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        turn = np.array(list(zip(order, signs, strict=True)), float)
        image = nib.Nifti1Image(hu, affine).as_reoriented(turn)
        turns[f"ct{len(turns)}"] = turn
        nib.save(image, tmp_path / f"ct{len(turns) - 1}.nii")
    run(tmp_path / "ct*.nii")
    masks = set()
    for name, turn in turns.items():
        mask = nib.load(tmp_path / "masks" / f"{name}_seg.nii.gz")
        back = np.empty_like(turn)
        back[turn[:, 0].astype(int)] = np.column_stack([np.arange(3), turn[:, 1]])
        masks.add(np.ascontiguousarray(nib.orientations.apply_orientation(mask.dataobj, back)).tobytes())
    assert len(masks) == 1
    assert set(masks.pop()) == {0, 1, 2}


def test_existing_masks_are_refused_kept_or_overwritten(run, tmp_path):
    folder, masks = tmp_path / "cts", tmp_path / "masks"
    tiny.save(folder / "a.nii.gz", tiny.body()[0])
    run(folder)
    first = (masks / "a_seg.nii.gz").stat().st_mtime_ns
    tiny.save(folder / "b.nii.gz", tiny.body(1)[0])
    with pytest.raises(UserError, match=r"masks exists; choose another folder, or resume=true"):
        run(folder)
    assert names(masks) == outputs("a")
    run(folder, "resume=true")
    assert (masks / "a_seg.nii.gz").stat().st_mtime_ns == first
    assert volumes(masks) == pytest.approx(expected("a") | expected("b", 1))
    tiny.save(folder / "b.nii.gz", tiny.body(2)[0])
    run(folder, "overwrite=true")
    assert (masks / "a_seg.nii.gz").stat().st_mtime_ns > first
    assert volumes(masks) == pytest.approx(expected("a") | expected("b", 2))


@pytest.mark.parametrize("lost", [True, False])
def test_after_an_interrupt_the_table_matches_the_masks(run, tmp_path, monkeypatch, lost):
    """The first call stops after it has written the row of the second CT, but before the mask."""
    folder, masks = tmp_path / "cts", tmp_path / "masks"
    for seed, name in enumerate("abc"):
        tiny.save(folder / f"{name}.nii.gz", tiny.body(seed)[0])
    real = module.write_mask

    def stopped(path, mask, like):
        if path.name.startswith("b"):
            raise KeyboardInterrupt
        real(path, mask, like)

    monkeypatch.setattr(module, "write_mask", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert names(masks) == outputs("a", more=["b_report.json"])
    assert ("b", "liver") in volumes(masks)
    if lost:
        (masks / "volumes.csv").unlink()
    monkeypatch.setattr(module, "write_mask", real)
    tiny.save(folder / "b.nii.gz", tiny.body(3)[0])  # now the old row is wrong
    run(folder, "resume=true")
    assert volumes(masks) == pytest.approx(expected("a") | expected("b", 3) | expected("c", 2))


def test_bad_files_are_named_and_the_others_segmented(ckpt, tmp_path, monkeypatch, invoke):
    folder, masks = tmp_path / "cts", tmp_path / "masks"
    good = tiny.save(folder / "a.nii.gz", tiny.body()[0])
    (folder / "b.nii.gz").write_bytes(good.read_bytes()[:300])
    nib.save(nib.Nifti1Image(np.zeros((4, 4)), np.eye(4)), folder / "c.nii.gz")
    tiny.save(folder / "d.nii.gz", tiny.body(1)[0])
    monkeypatch.chdir(tmp_path)
    code, out, err = invoke(main, f"ckpt={ckpt}", "input=cts", "output=masks", "pictures=false", "device=cpu")
    assert (code, out.splitlines()[-1]) == (2, "2 of 4 masks are in masks")
    assert "Traceback" not in err
    last = err.split("error: ")[-1].splitlines()
    assert last[0] == "2 of 4 failed:"
    assert last[1].startswith("  b.nii.gz: cannot read cts/b.nii.gz: it is damaged, incomplete")
    assert last[2].startswith("  c.nii.gz: cts/c.nii.gz has shape (4, 4)")
    assert names(masks) == outputs("a", "d")
    assert volumes(masks) == pytest.approx(expected("a") | expected("d", 1))
    assert names(tmp_path) == ["best.ckpt", "cts", "masks"]


def test_pictures_and_a_page_are_made(run, tmp_path, monkeypatch, capsys):
    def write(path, *_, turntable, **__):  # a real video takes seconds
        path.write_bytes(b"video")
        turntable.write_bytes(b"turns")

    monkeypatch.setattr(module, "write_video", write)
    monkeypatch.setattr(page_module, "pack_turntable", lambda *_: None)  # this, too
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    run(tmp_path / "ct.nii.gz", "pictures=true")
    made = tmp_path / "masks"
    assert names(made) == outputs("ct", more=["ct_organs.mp4", "ct_overlay.png", "ct_turntable.gif", "index.html"])
    (case,) = data_of(made / "index.html")["cases"]
    assert case["name"] == "ct"
    assert case["scan"]["prediction"]
    assert f"page: {made}/index.html\n" in capsys.readouterr().out
    assert (made / "ct_overlay.png").read_bytes().startswith(b"\x89PNG")
    assert (made / "ct_organs.mp4").read_bytes() == b"video"
    (made / "ct_overlay.png").unlink()
    before = {name: (made / name).read_bytes() for name in ("ct_seg.nii.gz", "ct_report.json", "volumes.csv")}
    run(tmp_path / "ct.nii.gz", "pictures=true", "resume=true")  # for masks that were made without
    assert (made / "ct_overlay.png").exists()
    assert {name: (made / name).read_bytes() for name in before} == before
    run(tmp_path / "ct.nii.gz", "overwrite=true")  # pictures of the old mask must not remain
    assert names(made) == outputs("ct")


def test_the_page_holds_some_scans_and_lists_the_other_cases(run, tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "pack_turntable", lambda *_: None)
    monkeypatch.setattr(prediction_page, "_MAX_SCANS", 1)
    for name in "ab":
        tiny.save(tmp_path / "cts" / f"{name}.nii.gz", tiny.body()[0])
    run(tmp_path / "cts", "page=true")
    page = tmp_path / "masks" / "index.html"
    cases = {case["name"]: case for case in data_of(page)["cases"]}
    assert [cases[name]["scan"] is None for name in "ab"] == [False, True]
    assert cases["a"]["organs"] == cases["b"]["organs"]  # measured again, and as reported
    run(tmp_path / "cts", "overwrite=true")
    assert not page.exists()  # it would show the old masks


def test_masks_of_another_checkpoint_are_not_kept(run, ckpt, tmp_path):
    folder, masks = tmp_path / "cts", tmp_path / "masks"
    tiny.save(folder / "a.nii.gz", tiny.body()[0])
    run(folder)
    tiny.save(folder / "b.nii.gz", tiny.body(1)[0])
    tiny.write_checkpoint(ckpt, tiny.config(spacing_mm=[4, 4, 4]))
    for given in (folder, folder / "b.nii.gz"):
        message = r"^the masks in .* were not made by .*best\.ckpt; choose another output, or overwrite=true"
        with pytest.raises(UserError, match=message):
            run(given, "resume=true")
    assert names(masks) == outputs("a")
    run(folder, "overwrite=true")
    run(folder, "resume=true")
    (masks / "checkpoint.sha256").unlink()
    with pytest.raises(UserError, match="were not made by"):
        run(folder, "resume=true")


def test_masks_of_another_checkpoint_that_are_not_overwritten_are_refused(run, ckpt, tmp_path):
    folder, masks = tmp_path / "cts", tmp_path / "masks"
    for seed, name in enumerate("ab"):
        tiny.save(folder / f"{name}.nii.gz", tiny.body(seed)[0])
    run(folder)
    run(folder / "a.nii.gz", "overwrite=true")  # all masks are from this checkpoint
    tiny.write_checkpoint(ckpt, tiny.config(spacing_mm=[4, 4, 4]))
    with pytest.raises(UserError, match=r"masks holds 1 mask\(s\) .*best\.ckpt .*: b_seg\.nii\.gz; add their CTs"):
        run(folder / "a.nii.gz", "overwrite=true")
    (masks / "b_seg.nii.gz").rename(tmp_path / "b_seg.nii.gz")
    run(folder / "a.nii.gz", "overwrite=true")
    run(folder, "resume=true")
    assert names(masks) == outputs("a", "b")


def test_inputs_with_the_same_name_fail_and_the_others_are_segmented(run, tmp_path):
    for name in ("a.nii.gz", "a.nii", "b.nii"):
        tiny.save(tmp_path / "cts" / name, tiny.body()[0])
    for more in ((), ("resume=true",), ("overwrite=true",)):
        with pytest.raises(
            UserError, match=r"2 of 3 failed:\n  a\.nii: .*same mask, a_seg.*\n  a\.nii\.gz: .*rename one"
        ):
            run(tmp_path / "cts", *more)
        assert names(tmp_path / "masks") == outputs("b")


def test_an_interrupted_overwrite_leaves_no_old_mask(run, ckpt, tmp_path, monkeypatch):
    tiny.save(tmp_path / "cts" / "a.nii.gz", tiny.body()[0])
    run(tmp_path / "cts")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_mask", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cts", "overwrite=true")
    assert not (tmp_path / "masks" / "a_seg.nii.gz").exists()


def test_dicom_series_are_segmented(run, tmp_path):
    """A folder of patients, each a folder of slices."""
    tiny.write_dicom(tmp_path / "cts" / "a")
    tiny.write_dicom(tmp_path / "cts" / "b.1", seed=1)
    tiny.save(tmp_path / "cts" / "c.nii.gz", tiny.body(2)[0])
    run(tmp_path / "cts")
    masks = tmp_path / "masks"
    assert names(masks) == outputs("a", "b.1", "c")
    assert volumes(masks) == pytest.approx(expected("a") | expected("b.1", 1) | expected("c", 2))
    mask = nib.load(masks / "a_seg.nii.gz")
    assert np.array_equal(np.asarray(mask.dataobj), tiny.body()[1])
    assert np.allclose(mask.affine[:3, :3], np.diag([-2, -3, 5]))


def test_one_of_several_series_is_selected(run, tmp_path):
    tiny.write_dicom(tmp_path / "ct", SeriesInstanceUID="1.2.3.5")
    for path in tiny.write_dicom(tmp_path / "other", seed=1).iterdir():
        path.rename(tmp_path / "ct" / f"other{path.name}")
    with pytest.raises(UserError, match=r"2 axial CT series of the same size: .*choose one with series=<UID>$"):
        run(tmp_path / "ct")
    run(tmp_path / "ct", "series=1.2.3.4", "overwrite=true")
    assert volumes(tmp_path / "masks") == pytest.approx(expected("ct", 1))


def test_a_tilted_series_is_straightened_on_request(run, tmp_path):
    for k, position in enumerate(stack_positions(8, gap=5.0)):
        header = slice_file(np.add(position, (0, 1.5 * k, 0)), stored=np.full((24, 20), 1024 - 100, np.int16))
        write(tmp_path / "ct" / f"{k}.dcm", header)
    with pytest.raises(UserError, match=r"gantry tilt .*; resample them with straighten=true$"):
        run(tmp_path / "ct")
    run(tmp_path / "ct", "straighten=true", "overwrite=true")
    assert volumes(tmp_path / "masks") == {("ct", "liver"): 0, ("ct", "spleen"): 0}
    assert names(tmp_path / "masks") == outputs("ct", more=["ct_straightened.nii.gz"])
    mask, ct = (nib.load(tmp_path / "masks" / f"ct_{what}.nii.gz") for what in ("seg", "straightened"))
    expected = read_ct(tmp_path / "ct", straighten=True)
    assert np.array_equal(np.asarray(ct.dataobj), expected.data)
    assert mask.shape == ct.shape == expected.data.shape
    for form in ("sform", "qform"):
        (of_mask, code), (of_ct, its_code) = (getattr(i, f"get_{form}")(coded=True) for i in (mask, ct))
        assert code == its_code
        np.testing.assert_array_equal(of_mask, of_ct)
        np.testing.assert_allclose(of_ct, expected.affine, atol=1e-4)


def test_an_old_straightened_ct_is_removed_with_its_mask(run, tmp_path):
    tiny.write_dicom(tmp_path / "cts" / "a")
    tiny.save(tmp_path / "masks" / "a_straightened.nii.gz", tiny.body()[0])
    run(tmp_path / "cts", "straighten=true", "overwrite=true")
    assert names(tmp_path / "masks") == outputs("a")


def test_the_output_has_the_folders_of_the_input_and_other_files_are_named(run, tmp_path, capsys):
    """The folder of the second patient has a DICOM viewer with many files, which come before the CT."""
    scans, masks = tmp_path / "scans", tmp_path / "masks"
    hu, classes = tiny.body()
    tiny.save(scans / "p1" / "ct.nii.gz", hu)
    tiny.save(scans / "p1" / "label.nii.gz", classes)
    tiny.write_dicom(scans / "p2" / "DICOM", seed=1)
    touch(scans / "p2" / "AUTORUN", *(f"{n}.dll" for n in range(60)))
    tiny.save(scans / "p3" / "ct.nii.gz", tiny.body(2)[0]).rename(scans / "p3" / "CT.NII.GZ")
    run(scans)
    made = sorted(path.relative_to(masks).as_posix() for path in masks.rglob("*.nii.gz"))
    assert made == ["p1/ct_seg.nii.gz", "p2/DICOM_seg.nii.gz", "p3/CT_seg.nii.gz"]
    assert volumes(masks) == pytest.approx(expected("p1/ct") | expected("p2/DICOM", 1) | expected("p3/CT", 2))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(("confidence in 6 organs: 4 amber, 2 red", "  p"))] == [
        f"engine: torch {torch.__version__} on {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}",
        f"3 of 3 masks are in {masks}",
        "60 left out (p2/AUTORUN/0.dll, p2/AUTORUN/1.dll, p2/AUTORUN/10.dll and 57 more): neither a volume nor DICOM",
        "1 left out (p1/label.nii.gz): a label map, not a CT",
    ]
    first = (masks / "p1" / "ct_seg.nii.gz").stat().st_mtime_ns
    tiny.save(scans / "p4" / "ct.nii.gz", tiny.body(3)[0])
    run(scans, "resume=true")
    assert (masks / "p1" / "ct_seg.nii.gz").stat().st_mtime_ns == first
    assert ("p4/ct", "liver") in volumes(masks)
    assert len({case for case, _ in volumes(masks)}) == 4


def test_a_label_map_as_input_is_refused_without_making_a_folder(run, tmp_path):
    tiny.save(tmp_path / "cts" / "a.nii.gz", tiny.body()[1])
    with pytest.raises(UserError, match=r"a\.nii\.gz cannot be a CT: numbers from 0 to 2 are codes of a label map"):
        run(tmp_path / "cts" / "a.nii.gz")
    with pytest.raises(UserError, match=r"no CT among the inputs:\n  1 left out \(a\.nii\.gz\): a label map, not a CT"):
        run(tmp_path / "cts")
    assert not (tmp_path / "masks").exists()


def test_inputs_can_be_a_list(run, tmp_path):
    one, two = (tiny.save(tmp_path / name / "ct.nii.gz", tiny.body(n)[0]) for n, name in enumerate("ab"))
    run(f"[{one},{two.parent}]")
    assert volumes(tmp_path / "masks") == pytest.approx(expected("a/ct") | expected("b/ct", 1))


def test_without_a_checkpoint_the_starter_weights_are_used(starter, tmp_path, capsys):
    hu, classes = tiny.body()
    tiny.save(tmp_path / "ct.nii.gz", hu)
    given = [f"input={tmp_path / 'ct.nii.gz'}", f"output={tmp_path / 'masks'}"]
    predict(config("predict", *given, "pictures=false", "engine=torch"))
    said = [line for line in capsys.readouterr().out.splitlines() if "ckpt=starter" in line]
    assert len(said) == 1
    assert said[0].startswith("ckpt=starter: weights of the package, trained on synthetic CTs only; for research")
    assert names(tmp_path / "masks") == outputs("ct")
    assert np.array_equal(np.asarray(nib.load(tmp_path / "masks" / "ct_seg.nii.gz").dataobj), classes)
    assert volumes(tmp_path / "masks") == pytest.approx(expected("ct"))
    checksum = starter.with_suffix(".sha256").read_text().split()[0]
    assert checksum in (tmp_path / "masks" / "checkpoint.sha256").read_text()


def test_without_starter_weights_nothing_is_written(starter, tmp_path, invoke):
    starter.unlink()
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    code, _, err = invoke(main, f"input={tmp_path / 'ct.nii.gz'}", f"output={tmp_path / 'masks'}")
    assert code == 2
    assert "this installation has no starter weights" in err
    assert "Traceback" not in err
    assert not (tmp_path / "masks").exists()


def test_an_engine_that_is_not_installed_is_refused_before_anything_is_read(tmp_path, monkeypatch, invoke):
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    for option, missing in (("engine=openvino", "engine=openvino needs openvino"), ("ckpt=a.onnx", "an exported file")):
        code, _, err = invoke(main, f"input={tmp_path / 'none'}", f"output={tmp_path / 'masks'}", option)
        assert code == 2
        assert err.startswith(f"error: {missing}")
        assert "; install with `pip install " in err
    assert [*tmp_path.iterdir()] == []


def test_a_resumed_call_without_a_new_ct_converts_no_network(run, tmp_path, capsys):
    tiny.save(tmp_path / "cts" / "a.nii.gz", tiny.body()[0])
    run(tmp_path / "cts")
    assert "engine: " in capsys.readouterr().out
    run(tmp_path / "cts", "resume=true")
    assert "engine: " not in capsys.readouterr().out
