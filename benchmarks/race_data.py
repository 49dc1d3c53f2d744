"""Cases of `race.py`, written once: training and validation in nnU-Net's raw layout, and CTs to score beside it.

All files are in RAS+ orientation. Files from scanners, and those of data=phantom, are in many orientations; ours and
MONAI's transforms turn them, nnU-Net's default reader does not, and would meet patients in six positions.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from race_job import NAME
from results import HELD_OUT, ORGANS

from segment.datasets.cases import Case
from segment.datasets.sources.phantom import Phantom
from segment.files import atomic_write
from segment.phantom.write import save_nifti


@dataclass(frozen=True)
class Scored:
    """A CT that is scored.

    Attributes:
        name: Its name in the folders of masks.
        set: Set of `results`.
        organs: Organs that its reference shows.
        folder: Folder of the CTs that are scored.
    """

    name: str
    set: str
    organs: tuple[str, ...]
    folder: Path

    @property
    def image(self) -> Path:
        """File of the CT."""
        return self.folder / f"{self.name}_0000.nii.gz"

    @property
    def label(self) -> Path:
        """File of the reference."""
        return self.folder / f"{self.name}_reference.nii.gz"


def write_cases(
    folder: Path, cache: Path, seed: int, counts: Sequence[int], shape: Sequence[int], real: Sequence[Case]
) -> tuple[Path, list[Scored]]:
    """Write what is missing.

    Args:
        folder: Folder of all cases.
        cache: Folder of the data sets.
        seed: Seed of the synthetic cases.
        counts: Cases that train, validate and are held out.
        shape: Voxels of the synthetic cases.
        real: Real CTs.

    Returns:
        Folder of the training cases, and the CTs to score.
    """
    train, val, _ = counts
    cases = Phantom(cache / "phantom", sum(counts), seed, list(shape), workers=2).cases("phantom")
    raw = folder / NAME
    for case in cases[: train + val]:
        _write(case, raw / f"imagesTr/{_name(case)}_0000.nii.gz", raw / f"labelsTr/{_name(case)}.nii.gz")
    names = [_name(case) for case in cases]
    _write_json(raw / "splits_final.json", [{"train": names[:train], "val": names[train : train + val]}])
    labels = {"background": 0} | {organ: index for index, organ in enumerate(ORGANS, start=1)}
    description = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": train + val}
    _write_json(raw / "dataset.json", description | {"file_ending": ".nii.gz"})
    scored = []
    for of_set, some in ((HELD_OUT, cases[train + val :]), ("", real)):
        for case in some:
            organs = tuple(organ for organ in ORGANS if organ in case.label.structures)
            one = Scored(_name(case), of_set or _name(case), organs, folder / "scored")
            _write(case, one.image, one.label)
            scored.append(one)
    return raw, scored


def _name(case: Case) -> str:
    return case.id.rpartition("/")[2].removesuffix(".nii.gz")


def _write(case: Case, image: Path, label: Path) -> None:
    """Write CT and class indices in RAS+ orientation; the label last, so that its presence means both."""
    if label.exists():
        return
    scan = case.read()
    turn = nib.orientations.io_orientation(scan.affine)
    affine = scan.affine @ nib.orientations.inv_ornt_aff(turn, scan.data.shape)
    for path, volume in ((image, scan.data), (label, case.label.read(scan, case.image, ORGANS))):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_nifti(path, np.asarray(nib.orientations.apply_orientation(volume, turn)), affine)


def _write_json(path: Path, content: object) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
