"""The CTs of `rank.py trainings`: labelled ones, a pool with redundancy, and held-out ones."""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from segment.datasets.cases import Case
from segment.datasets.sources.phantom import Phantom
from segment.phantom.field_of_view import SCANS

COMMON = ["abdomen"]
RARE = [scan for scan in SCANS if scan not in COMMON]
NOISE_HU = 10.0  # by which the scans of a patient differ


@dataclass(frozen=True)
class World:
    """Names of CTs in a folder `all`, which is a data set.

    Attributes:
        folder: Holds `all`, and the data sets `labelled` and `pool` with a part of it each.
        labelled: CTs that train from the start.
        val: CTs that validate.
        pool: CTs that may be annotated.
    """

    folder: Path
    labelled: list[str]
    val: list[str]
    pool: list[str]


def held_out(out: Path, args: argparse.Namespace) -> list[Case]:
    """CTs that score, half of them of the common kind; no world has them."""
    half = args.held_out // 2
    return [*_synthetic(out, args, 0, half, COMMON), *_synthetic(out, args, 0, args.held_out - half, RARE)]


def make_world(out: Path, number: int, args: argparse.Namespace) -> World:
    """Write the CTs of a world. In the pool, each patient of the common kind has `args.scans` scans."""
    folder, val = out / f"world_{number}", args.val // 2
    several = args.patients // 2
    common = _synthetic(out, args, number, args.labelled + val + several, COMMON)
    rare = _synthetic(out, args, number, args.val - val + args.patients - several, RARE)
    whole = folder / "all"
    labelled = _copy(common[: args.labelled], whole, "common")
    chosen = _copy(common[args.labelled : -several], whole, "common")
    chosen += _copy(rare[: args.val - val], whole, "rare")
    pool = [*_copy(common[-several:], whole, "common"), *_copy(rare[args.val - val :], whole, "rare")]
    for scan in range(2, args.scans + 1):
        pool += _copy(common[-several:], whole, f"scan{scan}", noise=(number, scan))
    for part, names in (("labelled", labelled), ("pool", pool)):
        _link(whole, folder / part, names)
    return World(folder, labelled, chosen, pool)


def _synthetic(out: Path, args: argparse.Namespace, world: int, count: int, scans: Sequence[str]) -> list[Case]:
    seed = 1000 + 100 * (args.data_seed or 0) + world
    return Phantom(out / "phantom", count, seed, args.shape or [64, 64, 48], workers=2, scans=scans).cases("phantom")


def _copy(cases: Sequence[Case], root: Path, kind: str, noise: tuple[int, int] | None = None) -> list[str]:
    """Copy CTs with their labels into a data set, and return their names there.

    Args:
        cases: The CTs.
        root: The data set.
        kind: Start of their names.
        noise: Seed of the noise by which further scans differ; None copies the CTs as they are.
    """
    names = []
    for index, case in enumerate(cases):
        name = f"{kind}_{case.image.name.removesuffix('.nii.gz')}"
        names.append(name)
        image, label = (root / part / f"{name}.nii.gz" for part in ("images", "labels"))
        if label.exists():
            continue
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        if noise is None:
            shutil.copyfile(case.image, image)
        else:
            read = nib.load(case.image)
            hu = np.asarray(read.dataobj)
            added = np.random.default_rng([*noise, index]).normal(0, NOISE_HU, hu.shape)
            nib.save(nib.Nifti1Image((hu + added).round().astype(np.int16), read.affine), image)
        shutil.copyfile(case.label.files[0], label)
    return names


def _link(source: Path, target: Path, names: Sequence[str]) -> None:
    """A data set of some of the CTs of another one."""
    for part in ("images", "labels"):
        (target / part).mkdir(parents=True, exist_ok=True)
        for name in names:
            link = target / part / f"{name}.nii.gz"
            if not link.exists():
                link.hardlink_to(source / part / link.name)
