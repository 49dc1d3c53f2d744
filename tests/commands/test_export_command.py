import dataclasses
import hashlib

import nibabel as nib
import numpy as np
import pytest
import tiny
import torch
from run_commands import config
from simple_calibration import calibration

import segment
from segment.commands import export as module
from segment.commands.evaluate import evaluate
from segment.commands.export import export, main
from segment.commands.predict import predict
from segment.errors import UserError
from segment.exported import write

pytest.importorskip("onnxscript")


@pytest.fixture
def ckpt(tmp_path):
    return tiny.write_checkpoint(tmp_path / "best.ckpt")


@pytest.fixture
def run(ckpt, tmp_path):
    """Run `segment export` with a CT that shows both organs."""
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])

    def call(*overrides):
        given = [f"ckpt={ckpt}", f"output={tmp_path / 'out' / 'organs.onnx'}", f"input={tmp_path / 'ct.nii.gz'}"]
        export(config("export", *given, *overrides))
        return tmp_path / "out" / "organs.onnx"

    return call


def test_the_exported_file_gives_the_masks_of_its_checkpoint(run, ckpt, tmp_path, capsys):
    path = run()
    assert sorted(p.name for p in path.parent.iterdir()) == ["organs.onnx", "segment_clean_up.py", "segment_onnx.py"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"agreement with the checkpoint on {tmp_path / 'ct.nii.gz'}, 4,032 voxels:"
    assert lines[1:3] == [
        f"  {name}: Dice liver 1.00000, spleen 1.00000; 0 voxels differ"
        for name in ("segment predict", "segment_onnx.py")
    ]
    for name, engine in ((path, "auto"), (path, "onnx"), (ckpt, "torch")):
        masks = tmp_path / f"{name.stem}_{engine}"
        given = [f"ckpt={name}", f"input={tmp_path / 'ct.nii.gz'}", f"output={masks}", f"engine={engine}"]
        predict(config("predict", *given, "pictures=false"))
        assert np.array_equal(np.asarray(nib.load(masks / "ct_seg.nii.gz").dataobj), tiny.body()[1])
        said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("engine: ")]
        assert len(said) == 1
        assert {"auto": "openvino", "onnx": "onnxruntime", "torch": "torch"}[engine] in said[0]
    with pytest.raises(
        UserError, match=r"organs\.onnx is an exported file, which does not name the cases it was trained"
    ):
        evaluate(config("evaluate", f"ckpt={path}", "run_dir=x"))
    with pytest.raises(UserError, match=r"organs\.onnx exists; choose another output, or overwrite=true"):
        run()
    before = path.read_bytes()
    run("overwrite=true")
    assert path.read_bytes() == before  # the same checkpoint gives the same bytes


def test_the_exported_file_has_the_confidence_of_its_checkpoint(run, ckpt, tmp_path, capsys):
    learned = dataclasses.replace(calibration(), checkpoint=hashlib.sha256(ckpt.read_bytes()).hexdigest())
    learned.write(tmp_path / "best.confidence.json")
    path = run()
    assert (path.parent / "organs.confidence.json").read_text() == (tmp_path / "best.confidence.json").read_text()
    scores = []
    for name in (path, ckpt):
        trained = segment.load(name, device="cpu", engine="onnx")
        scores.append(trained(tmp_path / "ct.nii.gz").confidence["liver"])
    assert scores[0] == scores[1]
    assert scores[0].dice is not None
    predict(config("predict", f"ckpt={path}", f"input={tmp_path / 'ct.nii.gz'}", f"output={tmp_path / 'masks'}"))
    assert "predicted Dice from 1 masks, see organs.confidence.json" in capsys.readouterr().out
    dataclasses.replace(learned, red_below=0.1).write(tmp_path / "best.confidence.json")
    path.unlink()
    with pytest.raises(UserError, match=r"organs\.confidence\.json exists; choose another output, or overwrite=true"):
        run()
    learned = dataclasses.replace(learned, checkpoint="that of another checkpoint")
    learned.write(path.parent / "organs.confidence.json")
    learned.write(tmp_path / "best.confidence.json")
    run("overwrite=true")
    assert segment.load(path, device="cpu")(tmp_path / "ct.nii.gz").confidence["liver"].dice is None


def test_without_an_input_a_synthetic_ct_is_used(run, monkeypatch, capsys):
    monkeypatch.setattr(module, "SHAPE", (32, 32, 24))
    run("input=null")
    assert "agreement with the checkpoint on a synthetic CT, 24,576 voxels:" in capsys.readouterr().out


def test_a_network_that_changes_is_refused_and_nothing_is_written(run, monkeypatch, tmp_path):
    original = write.to_onnx

    def changed(net, example):
        with torch.no_grad():
            net.bias[2] += 1.5  # more spleen, in the exported network and not in the masks of the checkpoint
            try:
                return original(net, example)
            finally:
                net.bias[2] -= 1.5

    monkeypatch.setattr(write, "to_onnx", changed)
    with pytest.raises(
        UserError, match=r"does not agree with the checkpoint: Dice of liver 0\.0000, spleen 0\.\d+, below 0\.999"
    ):
        run()
    assert not (tmp_path / "out").exists()


def test_a_ct_without_organs_is_refused(run, tmp_path):
    tiny.save(tmp_path / "empty.nii.gz", np.full((12, 12, 12), -1000, np.int16))
    with pytest.raises(
        UserError, match=r"the checkpoint finds no organ in this CT, .*; give a CT that shows one with input="
    ):
        run(f"input={tmp_path / 'empty.nii.gz'}")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["output=organs.pt"], "output=organs.pt must end in .onnx; write output=organs.onnx"),
        (["output=a.onnx", "ckpt=b.onnx"], "ckpt=b.onnx is an exported file already; give a checkpoint"),
        (["output=a.onnx", "ckpt=none.ckpt"], "no such checkpoint: none.ckpt"),
    ],
)
def test_wrong_options_are_refused(overrides, message, invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = invoke(main, *overrides)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not [*tmp_path.iterdir()]


def test_missing_packages_are_named(run, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UserError, match="segment export needs onnxscript; install with `pip install onnxscript`"):
        run()


def test_a_changed_script_is_not_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "segment_onnx.py").write_text("mine")
    with pytest.raises(UserError, match=r"segment_onnx\.py exists; choose another output, or overwrite=true"):
        run()
