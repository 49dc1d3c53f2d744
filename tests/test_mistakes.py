"""Errors in the data end a command with one sentence and exit code 2, before training starts."""

import nibabel as nib
import numpy as np
import pytest
import tiny

from segment.commands import evaluate, predict, train

ORGANS = "organs=[liver,spleen]"
FOLDER = ["data=folder", "data.sources.folder.root=cts", "data.sources.folder.label_codes={liver:6,spleen:1,other:7}"]


@pytest.fixture
def command(tmp_path, monkeypatch, invoke):
    """Run a command on four cases; returns exit code and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGMENT_CACHE", str(tmp_path / "cache"))
    for name in "abcd":
        tiny.write_case(tmp_path / "cts", name, seed=ord(name) % 4)

    def call(module, *arguments):
        code, _, err = invoke(module.main, *arguments)
        return code, err

    return call


def change(folder, how):
    """Change the first label map."""
    path = folder / "cts" / "labels" / "a.nii.gz"
    image = nib.load(path)
    nib.save(how(np.asarray(image.dataobj), image.affine), path)


def remove_from(part):
    return lambda root: (root / "cts" / part / "b.nii.gz").unlink()


def truncate(size):
    def cut(root):
        path = root / "cts" / "images" / "a.nii.gz"
        path.write_bytes(path.read_bytes()[:size])

    return cut


def moved(data, affine):
    return nib.Nifti1Image(data, affine + np.eye(4, k=3) * 4)


MISTAKES = {
    "no folder": (lambda root: (root / "cts").rename(root / "gone"), "no such folder: cts; set the data set's root"),
    "no label": (remove_from("labels"), "the image b.nii.gz in cts has no label; add the label or remove the image"),
    "no image": (remove_from("images"), "the label b.nii.gz in cts has no image; add the image or remove the label"),
    "shape": (
        lambda root: change(root, lambda data, affine: nib.Nifti1Image(data[1:], affine)),
        "folder/a: label cts/labels/a.nii.gz has shape (23, 14, 12) but its CT cts/images/a.nii.gz has (24, 14, 12)",
    ),
    "affine": (
        lambda root: change(root, moved),
        "folder/a: label cts/labels/a.nii.gz is up to 4 mm (2 voxels) away from its CT",
    ),
    "unknown code": (
        lambda root: change(root, lambda data, affine: nib.Nifti1Image(data * 3, affine)),
        "folder/a: cts/labels/a.nii.gz holds codes that label_codes does not name: 3, 18; name them there, or correct",
    ),
    "no integers": (
        lambda root: change(root, lambda data, affine: nib.Nifti1Image(data * np.float32(0.25), affine)),
        "folder/a: label file cts/labels/a.nii.gz holds 0.25, which is not an integer; give a label map, not an image",
    ),
    "empty file": (truncate(0), "folder/a: cannot read cts/images/a.nii.gz: it is damaged, incomplete"),
    "truncated file": (truncate(-20), "folder/a: cannot read cts/images/a.nii.gz: it is damaged, incomplete"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_unusable_data_is_named_before_training(command, tmp_path, mistake):
    make, message = MISTAKES[mistake]
    make(tmp_path)
    code, err = command(train, "experiment=smoke", *FOLDER, ORGANS, "data.num_workers=0")
    assert code == 2
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith(f"error: {message}")
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_checkpoint_with_other_organs_is_refused(command, tmp_path):
    tiny.write_checkpoint(tmp_path / "best.ckpt")
    others = "data.sources.folder.label_codes={left_kidney:3,pancreas:7}"
    code, err = command(evaluate, "ckpt=best.ckpt", *FOLDER[:2], others, "device=cpu")
    assert code == 2
    said = "error: the checkpoint segments liver, spleen, but folder annotates none of liver, spleen, but left_kidney"
    assert err.splitlines()[-1].startswith(said)


def test_an_existing_output_is_refused(command, tmp_path):
    tiny.write_checkpoint(tmp_path / "best.ckpt")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "notes.txt").touch()
    code, err = command(predict, "ckpt=best.ckpt", "input=cts/images", "output=masks", "device=cpu")
    assert code == 2
    assert err.splitlines()[-1].startswith("error: output=masks exists; choose another folder, or resume=true")
