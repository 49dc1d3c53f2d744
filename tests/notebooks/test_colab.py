"""The notebook as a newcomer runs it, on synthetic CTs and without a package index."""

import json
import os
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import nibabel as nib
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "colab.ipynb"
SMALL = "experiment=smoke logger=csv"
ORGANS = ("liver", "right_kidney", "left_kidney", "spleen")

Run = Callable[[list[NotebookNode]], None]


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """Executes cells one after the other in an empty folder; outputs are left in the cells."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # No index: the notebook must do without the real CT.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    def execute(cells: list[NotebookNode]) -> None:
        notebook = nbformat.v4.new_notebook(cells=cells)
        client = NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        )
        client.execute()

    return execute


def cells() -> list[NotebookNode]:
    found: list[NotebookNode] = nbformat.read(NOTEBOOK, as_version=4).cells
    return found


def cell_with(text: str, among: list[NotebookNode]) -> NotebookNode:
    (found,) = (cell for cell in among if cell.cell_type == "code" and text in cell.source)
    return found


def settings_data_and_training() -> list[NotebookNode]:
    found = cells()
    return [cell_with(text, found) for text in ("RUN_NAME =", "drive.mount", "segment train")]


def printed(cell: NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_every_step_is_explained_and_stored_with_small_pictures():
    kinds = [cell.cell_type for cell in cells()]
    assert kinds == ["markdown", "code"] * (len(kinds) // 2) + ["markdown"]
    stored = NOTEBOOK.read_text(encoding="utf-8")
    assert len(stored) < 1_000_000
    assert stored.count('"image/jpeg"') == 3  # the first mask, the curves, a held-out patient
    outputs = json.dumps([cell.outputs for cell in cells() if cell.cell_type == "code"])
    assert not re.search(r"/(tmp|root|home|work|opt|usr|content)/|\\\\u001b|Error|Warning", outputs)


def test_without_a_source_one_sentence_says_what_to_fill_in(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CellExecutionError, match="set SEGMENT in the first cell to the address of the repository"):
        run([cell_with(text, cells()) for text in ("RUN_NAME =", "pip install")])


@pytest.mark.slow
def test_it_runs_to_the_end_and_resumes_when_run_again(tmp_path, run, monkeypatch):
    monkeypatch.setenv("SEGMENT_NOTEBOOK_OVERRIDES", SMALL)
    done = cells()
    run(done)

    table = cell_with("print_scores", done).outputs[0].data["text/html"]
    assert all(organ in table for organ in ORGANS)
    assert "image/jpeg" in cell_with("curves.png", done).outputs[0].data
    assert "Prediction first_mask" in cell_with("<iframe srcdoc", done).outputs[0].data["text/html"]
    assert "data:video/mp4;base64," in cell_with("Video(", done).outputs[0].data["text/html"]
    ct = min(tmp_path.glob("cache/phantom/*/images/*.nii.gz"))
    for folder in ("first_mask", "first/predict"):
        (mask,) = tmp_path.glob(f"outputs/colab/{folder}/*_seg.nii.gz")
        assert nib.load(mask).shape == nib.load(ct).shape
    assert all(organ in printed(cell_with("segment predict ckpt", done)) for organ in ORGANS)

    again = settings_data_and_training()
    run(again)
    assert "from its last checkpoint" in printed(again[-1])
    assert len(list(tmp_path.glob("outputs/**/config.yaml"))) == 1


@pytest.mark.parametrize("command", ["segment train", "segment predict input"])
def test_a_command_that_fails_stops_it(command, run):
    settings, failing = cells()[1], cell_with(command, cells())
    failing.source = "ct = None\n" + failing.source.replace(command, "segment no_such_command")
    with pytest.raises(CellExecutionError, match="segment says above what is wrong"):
        run([settings, failing])


@pytest.mark.slow
def test_flare22_is_unpacked_from_the_drive_and_the_run_is_kept_there(tmp_path, run, monkeypatch):
    drive = tmp_path / "drive"
    write_flare22(drive / "FLARE22Train.zip")
    colab = tmp_path / "packages" / "google" / "colab"
    colab.mkdir(parents=True)
    (colab / "__init__.py").touch()
    (colab / "drive.py").write_text("def mount(path):\n    print('mounted', path)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    tiny = "data.patch_size=[32,32,32] data.patches_per_epoch=2 data.num_workers=0 trainer.max_epochs=1 logger=csv"
    monkeypatch.setenv(
        "SEGMENT_NOTEBOOK_OVERRIDES", f"data=flare22 label_check=ignore spacing_mm=[4,4,4] test=false {tiny}"
    )
    steps = settings_data_and_training()
    for cell in steps:
        cell.source = cell.source.replace("USE_FLARE22 = False", "USE_FLARE22 = True")
        cell.source = cell.source.replace("/content/drive/MyDrive", str(drive))
    run(steps)
    assert "mounted /content/drive" in printed(cell_with("drive.mount", steps))
    assert "6 CTs" in printed(cell_with("drive.mount", steps))
    split = json.loads((drive / "segment/colab/first/split.json").read_text())
    cases = sorted(case for part in split.values() for case in part)
    assert cases == [f"flare22/FLARE22_Tr_{number:04d}" for number in range(1, 7)]


def write_flare22(archive: Path) -> None:
    """Six tiny cases in FLARE22's layout and codes (liver 1, kidneys 2 and 13, spleen 3), placed as in no body."""
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(1, 7):
            label = np.zeros((24, 24, 24), np.uint8)
            for index, code in enumerate((1, 2, 3, 13)):
                label[4:20, 4:20, 5 * index : 5 * index + 4] = code
            hu = (label * 10 + number).astype(np.int16)
            for folder, suffix, volume in (("images", "_0000", hu), ("labels", "", label)):
                image = nib.Nifti1Image(volume, np.diag((4.0, 4.0, 4.0, 1.0)))
                file.writestr(f"FLARE22Train/{folder}/FLARE22_Tr_{number:04d}{suffix}.nii.gz", image.to_bytes())
