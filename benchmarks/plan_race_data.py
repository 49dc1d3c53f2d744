"""The four sets of `plan_race.py`, made by the generator of synthetic CTs and written once.

The generator takes the number of voxels of a CT, and the patient determines the field of view. To give a CT voxels of a
certain size, it is first synthesised with few voxels, from which the field of view is known.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segment.files import atomic_write
from segment.phantom import LABELS
from segment.phantom.case import Shape, synthesise_case
from segment.phantom.field_of_view import SCANS
from segment.phantom.write import save_nifti

ORGANS = ("liver", "right_kidney", "left_kidney", "spleen")
PARTS = {"train": 12, "val": 2, "test": 8}
COARSE: Shape = (16, 16, 16)
# What a training case of a partly labelled set annotates, in turn.
ANNOTATED = (ORGANS, ("liver",), ("right_kidney", "left_kidney"), ("spleen",))

Spacing = Callable[[np.random.Generator], tuple[float, ...]]


@dataclass(frozen=True)
class PhantomSet:
    """One set.

    Attributes:
        title: What is unusual in it.
        spacing_mm: Samples the voxel size of a CT along R, A, S.
        scans: Parts of the body, keys of `SCANS`.
        box_mm: Edges of a box around a voxel of an organ, outside of which the CT ends; None: the whole field of view.
        partial: Whether most training cases annotate only some organs.
    """

    title: str
    spacing_mm: Spacing
    scans: tuple[str, ...] = ("abdomen",)
    box_mm: tuple[float, ...] | None = None
    partial: bool = False


def _mixed(rng: np.random.Generator) -> tuple[float, ...]:
    plane = rng.uniform(1.0, 2.5)
    return (plane, plane, rng.choice((1.5, 2.5, 5.0)))


SETS = {
    "isotropic": PhantomSet("isotropic voxels of 1.5 mm", lambda _: (1.5, 1.5, 1.5), ("upper abdomen",)),
    "thick": PhantomSet("slices of 5 mm", lambda _: (1.2, 1.2, 5.0)),
    "tiny": PhantomSet("fields of view of 96 x 96 x 64 mm", lambda _: (2.0, 2.0, 2.0), box_mm=(96, 96, 64)),
    "mixed": PhantomSet("mixed scanners, partial labels", _mixed, tuple(SCANS), partial=True),
}


def write_set(folder: Path, name: str, seed: int, parts: dict[str, int] | None = None) -> Path:
    """Write the missing cases of a set, and return its table, for `data=manifest`.

    Args:
        folder: Folder of the set.
        name: Key of SETS.
        seed: Seed of the patients.
        parts: Number of cases by part; None: PARTS.
    """
    rows = []
    for part, count in (parts or PARTS).items():
        for _ in range(count):
            rows.append(_write_case(folder, SETS[name], seed, len(rows), part))
    table = folder / "cases.csv"
    columns = ["case", "split", "image", *(f"label:{organ}" for organ in ORGANS)]
    with atomic_write(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return table


def annotated(one: PhantomSet, index: int, part: str) -> tuple[str, ...]:
    """Organs that case `index` annotates."""
    return ANNOTATED[index % len(ANNOTATED)] if one.partial and part == "train" else ORGANS


def _write_case(folder: Path, one: PhantomSet, seed: int, index: int, part: str) -> dict[str, str]:
    """Write the files of a case unless they exist; the image last, so that its presence means all. Return its row."""
    name = f"case{index:02d}"
    organs = annotated(one, index, part)
    row = {"case": name, "split": part, "image": f"{name}.nii.gz"}
    row |= {f"label:{organ}": f"{name}_{organ}.nii.gz" for organ in organs}
    if not (folder / row["image"]).exists():
        hu, label, spacing = synthesise(one, seed, index)
        affine = np.diag((*spacing, 1.0))
        for organ in organs:
            save_nifti(folder / row[f"label:{organ}"], (label == LABELS[organ]).astype(np.uint8), affine)
        save_nifti(folder / row["image"], hu, affine)
    return row


def synthesise(one: PhantomSet, seed: int, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU (I,J,K), label (I,J,K) and voxel size in mm of a case, in RAS+ orientation."""
    rng = np.random.default_rng((seed, index))
    spacing = np.array(one.spacing_mm(rng))
    extent = synthesise_case(seed, index, COARSE, one.scans).spacing_mm * COARSE
    case = synthesise_case(seed, index, shape_of(extent, spacing), one.scans)
    if one.box_mm is None:
        return case.hu, case.label, case.spacing_mm
    box = box_around(case.label, np.round(np.array(one.box_mm) / case.spacing_mm).astype(int), rng)
    return case.hu[box], case.label[box], case.spacing_mm


def shape_of(extent_mm: np.ndarray, spacing_mm: np.ndarray) -> Shape:
    """Number of voxels that come closest to a voxel size, at least those of COARSE."""
    i, j, k = (max(least, round(n / s)) for least, n, s in zip(COARSE, extent_mm, spacing_mm, strict=True))
    return i, j, k


def box_around(label: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> tuple[slice, ...]:
    """A box of voxels within the volume around a random voxel of a random organ, or of the volume without organs."""
    shown = [code for code in (LABELS[organ] for organ in ORGANS) if (label == code).any()]
    inside = np.argwhere(label == rng.choice(shown)) if shown else np.argwhere(np.ones_like(label))
    start = np.clip(inside[rng.integers(len(inside))] - size // 2, 0, np.maximum(np.array(label.shape) - size, 0))
    return tuple(slice(int(first), int(first + edge)) for first, edge in zip(start, size, strict=True))
