"""Time, memory and masks of `segment predict` compared with MONAI's sliding window, from file to file.

    python benchmarks/predict.py [--network starter] [--network large] [--size 512x512x600] [--cache FOLDER] [--modes …]

Networks: `starter` are the weights of the package, at 3 mm. `large` has 16 base channels at 1.5 mm and windows of 96³
that overlap by half. There are no trained weights of that size, so it finds organs that were painted into the CT; see
`painted.py`. Each mode runs in a process of its own on the CT of `data=lidc`, or with --size on that CT enlarged:

- `fast`: `segment predict`
- `exact`: `segment predict exact=true`, the full sliding window
- `monai`: the transforms and `SlidingWindowInferer` of MONAI with the same weights, spacing, window and overlap

CPU seconds are those of all threads, in the program and in the system. Dice is that of the masks with those of `exact`,
or of `monai`, which has no post-processing. Target: `fast` takes at most 1/8 of the time of `monai`, 1.5 GB, and has a
Dice of 0.99.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from hydra.utils import instantiate
from painted import enlarge, paint
from rich.console import Console
from rich.table import Table

from segment.checkpoint.load import read_checkpoint
from segment.checkpoint.starter import checkpoint_path
from segment.datasets.sources.lidc import Lidc

FOLDER = Path(__file__).parent
CODES = {"liver": 5, "right_kidney": 2, "left_kidney": 3, "spleen": 1}  # in the label map of data=lidc
MODES = ("fast", "exact", "monai")


@dataclass(frozen=True)
class Cost:
    """What a process used."""

    wall_s: float
    user_s: float
    system_s: float
    peak_gb: float
    note: str


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("starter", "large"), action="append")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))))
    parser.add_argument("--cache", type=Path, default=Path("outputs/cache"))
    args = parser.parse_args()
    columns = ("network", "mode", "s", "CPU s", "of it system", "peak GB", *CODES, "said")
    table = Table(*columns, title=f"{'x'.join(map(str, args.size or (512, 512, 133)))}, file to file")
    (case,) = Lidc(args.cache / "lidc", {**CODES, "other": [4]}).cases("lidc")
    with tempfile.TemporaryDirectory() as folder:
        for network in args.network or ("starter", "large"):
            ct, ckpt = _inputs(network, case.image, case.label.path, args.size, Path(folder))
            costs, masks = {}, {}
            for mode in args.modes:
                output = Path(folder) / network / mode
                costs[mode] = _run(mode, ckpt, ct, output)
                (path,) = output.rglob("*_seg.nii.gz")
                masks[mode] = np.asarray(nib.load(path).dataobj).astype(np.uint8)
            for mode, cost in costs.items():
                numbers = [f"{cost.wall_s:.1f}", f"{cost.user_s + cost.system_s:.1f}", f"{cost.system_s:.1f}"]
                table.add_row(network, mode, *numbers, f"{cost.peak_gb:.2f}", *_dice(masks, mode), cost.note)
    Console(width=150).print(table)


def _inputs(network: str, image: Path, label: Path, size: tuple[int, int, int] | None, folder: Path):
    """CT and checkpoint, written to a folder if they have to be made."""
    ct, ckpt = image, str(checkpoint_path("starter"))
    if network == "large":
        ckpt = str(folder / "large.ckpt")
        _write_large(ckpt)
        stored, codes = nib.load(image), np.asarray(nib.load(label).dataobj)
        hu = paint(np.asarray(stored.dataobj), codes, list(CODES.values()))
        ct = folder / "painted.nii.gz"
        nib.save(nib.Nifti1Image(hu, stored.affine, stored.header), ct)
    if size:
        enlarged = enlarge(nib.load(ct), size)
        ct = folder / f"{network}_{'x'.join(map(str, size))}.nii.gz"
        nib.save(enlarged, ct)
    return ct, ckpt


def _write_large(path: str) -> None:
    """Write a checkpoint of `painted.Painted` at 1.5 mm."""
    metadata = read_checkpoint(checkpoint_path("starter"))["segment"]
    config = metadata["config"]
    for preprocess in (config["preprocess"], config["model"]["preprocess"]):
        preprocess["transforms"][1]["spacing_mm"] = [1.5, 1.5, 1.5]
    config["model"]["net"] = {"_target_": "painted.Painted", "_partial_": True}
    config["model"]["inferer"] |= {"patch_size": [96, 96, 96], "overlap": 48}
    module = instantiate(config["model"], _convert_="all")
    torch.save({"state_dict": module.state_dict(), "segment": metadata}, path)


def _run(mode: str, ckpt: str, ct: Path, output: Path) -> Cost:
    """Run a mode in its own process."""
    command = [sys.executable, str(FOLDER / "predict_monai.py"), ckpt, str(ct), str(output)]
    if mode != "monai":
        options = ["pictures=false", f"exact={mode == 'exact'}", "trust=[painted]", f"ckpt={ckpt}"]
        command = [sys.executable, "-m", "segment", "predict", f"input={ct}", f"output={output}", *options]
    paths = [str(FOLDER), str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        said.seek(0)
        text = said.read()
    if status:
        sys.exit(f"{mode} failed:\n{text}")
    note = next((line.partition(" s, ")[2] for line in text.splitlines() if " windows" in line), "")
    return Cost(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024 / 1e9, note)


def _dice(masks: dict[str, np.ndarray], mode: str) -> list[str]:
    """Dice of each organ with the full sliding window."""
    reference = next((masks[name] for name in ("exact", "monai") if name in masks and name != mode), None)
    if reference is None:
        return [""] * len(CODES)
    scores = []
    for index in range(1, 1 + len(CODES)):
        one, two = masks[mode] == index, reference == index
        total = one.sum() + two.sum()
        scores.append(f"{2 * (one & two).sum() / total:.4f}" if total else "absent")
    return scores


if __name__ == "__main__":
    main()
