"""Speed of making training patches, compared with nnU-Net v2 and MONAI in the same run.

    python benchmarks/patches.py [turns]

The first table is the augmentation of a patch in memory: `augment=nnunet` against transforms of the same kinds, ranges
and probabilities in the other systems. The second adds elastic deformation. The third has our other augmentations. The
last is for batches from a stored CT of 512×512×300 voxels, i.e. reading, sampling around organs, the same augmentation
and collating, against nnU-Net's own loader on its own store. All use one thread. The systems take turns, so that a
slower machine slows all of them; a row is the median of its turns. Targets: twice nnU-Net, five times MONAI
(docs/design.md).

Differences in the work: nnU-Net's loader reads a larger patch and crops it after the rotation, which needs less
padding; ours repeats the border. nnU-Net interpolates labels per class; ours takes the nearest voxel. All systems share
a process, so they also profit from the freed memory that our commands keep (segment/runtime/machine.py).

MONAI is a dependency of the project. nnU-Net installs about thirty packages that the project does not need, so install
it in a separate environment: `pip install -c constraints.txt -e . nnunetv2`. Without it, its rows are left out.
"""

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = "1"  # before anything starts threads

import nibabel as nib
import numpy as np
import rivals
import torch
import torchio as tio
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from segment.commands.command import config_dir
from segment.data.augment.subjects import TISSUE, needs_tissue
from segment.data.patches import EpochSampler, PatchDataset, PatchLoader
from segment.data.store.store import Store
from segment.data.store.volume import StoredVolume
from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.phantom import LABELS
from segment.phantom.case import synthesise_case
from segment.runtime.machine import keep_freed_memory

PATCH_SIZE = (96, 96, 96)
SHAPE, COARSE = (512, 512, 300), 4
FOREGROUND_SHARE = 0.33
HAS_NNUNET = importlib.util.find_spec("nnunetv2") is not None
ELASTIC = 0.2  # probability of elastic deformation
TURN = 24  # patches of one turn


@dataclass
class Contender:
    """A pipeline that makes patches.

    Attributes:
        name: Name of the system.
        what: Name of the pipeline.
        make: Makes the given number of patches.
        wall, cpu: Seconds per patch, one value for each turn.
    """

    name: str
    what: str
    make: Callable[[int], None]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def turn(self, count: int) -> None:
        """Time a turn, with the same random numbers in every run."""
        torch.manual_seed(len(self.wall))
        np.random.seed(len(self.wall))
        wall, cpu = time.perf_counter(), time.process_time()
        self.make(count)
        self.wall.append((time.perf_counter() - wall) / count)
        self.cpu.append((time.process_time() - cpu) / count)


def config(*overrides: str):
    """The configuration of a training."""
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose("train", overrides=["run_dir=.", *overrides])


def ours(*overrides: str):
    """The augmentation of a configuration."""
    return instantiate(config(*overrides).augment, _convert_="all")


def main() -> None:
    """Run and print the tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.manual_seed(0)
    np.random.seed(0)
    if not HAS_NNUNET:
        Console().print("nnunetv2 is not installed: its rows are left out")
    with tempfile.TemporaryDirectory() as folder:
        volume, organs = store_volume(Path(folder))
        image, label = (torch.from_numpy(a[208:304, 208:304, 102:198][None]) for a in (volume.image, volume.label))
        patch = image.float(), label
        race("augmentation of a patch", augmentations(patch, 0), rounds)
        race(f"the same with elastic deformation, p={ELASTIC}", augmentations(patch, ELASTIC), rounds)
        race(
            "our other augmentations",
            [subjects(patch, f"augment={name}") for name in ("light", "strong", "contrast")],
            rounds,
        )
        race("batches of 2 from a stored CT", loaders(volume, organs, Path(folder)), rounds)


def augmenting(name: str, what: str, patch, augment) -> Contender:
    """A contender that augments copies of a patch."""

    def make(count: int) -> None:
        for _ in range(count):
            augment(*(part.clone() for part in patch))  # some overwrite their input

    return Contender(name, what, make)


def subjects(patch, what: str, *overrides: str) -> Contender:
    """Our augmentation of a patch, including the creation of a TorchIO subject."""
    transform = ours(what, *overrides)

    def augment(image, label) -> None:
        subject = tio.Subject(image=tio.ScalarImage(tensor=image), label=tio.LabelMap(tensor=label))
        if needs_tissue(transform):  # classes are codes of tissues as well, and which ones does not matter for speed
            subject.add_image(tio.LabelMap(tensor=label.clone()), TISSUE)
        transform(subject)

    return augmenting("segment", what, patch, augment)


def augmentations(patch, p_elastic: float) -> list[Contender]:
    """The contenders that augment a patch; the others are compared with the first."""
    spatial = "+augment.transforms.spatial"
    elastic = [f"{spatial}.elastic_mm=10", f"{spatial}.p_elastic={p_elastic}"] if p_elastic else []
    contenders = [subjects(patch, "augment=nnunet", *elastic)]
    if HAS_NNUNET:
        rival = rivals.nnunet_augment(PATCH_SIZE, p_elastic)
        contenders.append(augmenting("nnU-Net v2", "default transforms", patch, rival))
    contenders.append(augmenting("MONAI", "the same kinds", patch, rivals.monai_augment(p_elastic)))
    return contenders


def loaders(volume: StoredVolume, organs: list[str], folder: Path) -> list[Contender]:
    """The contenders that read, augment and collate."""

    def contender(name: str, what: str, batches) -> Contender:
        def make(count: int) -> None:
            for _ in range(count // 2):
                next(batches)

        return Contender(name, what, make)

    dataset = PatchDataset([volume], PATCH_SIZE, FOREGROUND_SHARE, ours("augment=nnunet"), seed=0)
    batches = iter(PatchLoader(dataset, sampler=EpochSampler(0, 1_000_000, 2), batch_size=2))
    contenders = [contender("segment", "augment=nnunet", batches)]
    if HAS_NNUNET:
        (folder / "nnunet").mkdir()
        image, label = volume.image[:].astype(np.float32), volume.label[:]
        batches = rivals.nnunet_loader(image, label, organs, PATCH_SIZE, FOREGROUND_SHARE, folder / "nnunet")
        contenders.append(contender("nnU-Net v2", "nnUNetDataLoader", batches))
    return contenders


def store_volume(folder: Path) -> tuple[StoredVolume, list[str]]:
    """Synthesise a coarse CT, enlarge it, add noise, preprocess and store it; return the volume and its organs."""
    coarse = synthesise_case(0, 0, tuple(n // COARSE for n in SHAPE))
    noise = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32) * 15
    hu = torch.nn.functional.interpolate(torch.from_numpy(coarse.hu)[None, None].float(), SHAPE, mode="trilinear")
    label = coarse.label.repeat(COARSE, 0).repeat(COARSE, 1).repeat(COARSE, 2)
    spacing_mm = [float(mm) / COARSE for mm in coarse.spacing_mm]
    for name, data in (("image", (hu[0, 0].numpy() + noise).astype(np.int16)), ("label", label.astype(np.uint8))):
        nib.save(nib.Nifti1Image(data, np.diag([*spacing_mm, 1])), folder / f"{name}.nii")
    cfg = config(f"spacing_mm={spacing_mm}")
    preprocess, organs = instantiate(cfg.preprocess, _convert_="all"), list(cfg.organs)
    case = Case("case", "patient", folder / "image.nii", LabelFile(folder / "label.nii", LABELS))
    (volume,) = Store(folder / "store", preprocess, organs).prepare([case]).values()
    return volume, organs


def race(title: str, contenders: list[Contender], rounds: int) -> None:
    """Let the contenders take turns and print the medians of the turns."""
    for contender in contenders:
        contender.make(TURN)  # to warm up
    for _ in range(rounds):
        for contender in contenders:
            contender.turn(TURN)
    table = Table(title=f"{title}, 96³: {rounds} turns of {TURN}, one thread")
    for column in ("", " ", "ms a patch", "CPU ms", "patches/s", "ratio"):
        table.add_column(column, justify="right" if column.strip() else "left")
    first = median(contenders[0].wall)
    for contender in contenders:
        wall, cpu = median(contender.wall), median(contender.cpu)
        cells = (f"{wall * 1e3:.1f}", f"{cpu * 1e3:.1f}", f"{1 / wall:.1f}", f"{wall / first:.2f}")
        table.add_row(contender.name, contender.what, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
