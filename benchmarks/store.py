"""Cost of the store: preprocessing a large CT, and the memory of training with few and with many cases.

    python benchmarks/store.py

A CT of 512×512×300 voxels is preprocessed to 1.5 mm and stored; the targets are 6 s and 1.5 GB on two cores. Then a
training process loads an epoch of 500 patches from 10 and from 1,000 cases; its memory must not differ by more than 5
%. Every measurement runs in its own process. Memory is the peak resident set size.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from segment.commands.command import config_dir
from segment.phantom.case import synthesise_case

CODES = "{liver: 1, right_kidney: 2, spleen: 3, left_kidney: 13, other: [4, 5, 6, 7, 8, 9, 10, 11, 12]}"


def write(root: Path, name: str, hu: np.ndarray, label: np.ndarray, spacing_mm: tuple[float, ...]) -> None:
    """Write image and label in the layout of data=folder."""
    for kind, data in (("images", hu), ("labels", label)):
        (root / kind).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data, np.diag([*spacing_mm, 1.0])), root / kind / f"{name}.nii.gz")


def write_large(root: Path) -> None:
    """Write a synthetic CT with four times finer voxels, and noise, so that it compresses like a real one."""
    case = synthesise_case(0, 1, (128, 128, 75))
    hu, label = (np.kron(data, np.ones((4, 4, 4), data.dtype)) for data in (case.hu, case.label))
    noise = np.random.default_rng(0).integers(-20, 20, hu.shape, dtype=np.int16)
    write(root, "large", (hu + noise).astype(np.int16), label.astype(np.uint8), (-0.8, -0.8, 1.5))


def write_many(root: Path, count: int) -> None:
    """Write small CTs that differ in their noise."""
    case = synthesise_case(0, 1, (48, 48, 36))
    for number in range(count):
        noise = np.random.default_rng(number).integers(-20, 20, case.hu.shape, dtype=np.int16)
        write(root, f"case{number:04d}", (case.hu + noise).astype(np.int16), case.label.astype(np.uint8), (8, 8, 8))


def measure(root: Path, *overrides: str, patches: int = 0) -> None:
    """Prepare the cases or, if `patches` is not 0, load an epoch of patches; print time and memory."""
    with initialize_config_dir(config_dir(), version_base="1.3"):
        sources = ["data=folder", f"data.sources.folder.root={root}", f"data.sources.folder.label_codes={CODES}"]
        quiet = ["data.num_workers=0", f"cache_dir={root}/cache", f"data.patches_per_epoch={patches or 1}"]
        cfg = compose("train", overrides=[*sources, *quiet, *overrides])
    datamodule = instantiate(cfg.data, _convert_="all")
    start, cpu = time.perf_counter(), time.process_time()
    if patches:
        datamodule.trainer = type("Trainer", (), {"current_epoch": 0, "global_rank": 0, "world_size": 1})
        for _ in datamodule.train_dataloader():
            pass
    else:
        datamodule.store.prepare(datamodule.sources["folder"].cases("folder"))
    took = {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    print(json.dumps(took | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))


def measure_in_process(root: Path, *arguments: str) -> dict[str, float]:
    """Call `measure` in a new process."""
    call = [sys.executable, __file__, str(root), *arguments]
    output = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def main() -> None:
    """Measure and print the table."""
    table = Table(title="the store")
    for column in ("", "wall s", "CPU s", "peak MB"):
        table.add_column(column, justify="left" if not column else "right")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_large(root / "large")
        rows = {"preprocess and store 512x512x300": measure_in_process(root / "large", "0", "spacing_mm=[1.5,1.5,1.5]")}
        for count in (10, 1000):
            write_many(root / f"{count}", count)
            measure_in_process(root / f"{count}", "0", "spacing_mm=[8,8,8]")
            rows[f"500 patches of {count} cases"] = measure_in_process(root / f"{count}", "500", "spacing_mm=[8,8,8]")
    for what, figures in rows.items():
        table.add_row(what, f"{figures['wall_s']:.2f}", f"{figures['cpu_s']:.2f}", f"{figures['peak_mb']:.0f}")
    few, many = (figures["peak_mb"] for figures in list(rows.values())[1:])
    Console().print(table, f"memory of 1,000 cases against 10: {many / few:.3f}", sep="\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]), *sys.argv[3:], patches=int(sys.argv[2]))
    else:
        main()
