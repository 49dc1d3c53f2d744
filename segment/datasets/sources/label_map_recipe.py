"""The synthetic CTs of one label map: what determines them, and where they are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import nibabel as nib
import numpy as np

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.io.read import read_label
from segment.io.scan import Scan
from segment.memory.measure import check_memory
from segment.phantom.from_labels.body import LabelledBody, build_body
from segment.phantom.from_labels.synthesis import synthesise
from segment.phantom.write import save_nifti

# Raise it with every change that changes voxels. New CTs are then not mixed with those of older versions.
VERSION = 2
VOXEL_BYTES = 25  # measured peak memory per voxel of a CT whose map is filled


class ContentHashes(Protocol):
    """Hashes of files, for example `segment.data.store.content.ContentRecord`."""

    def hash(self, path: Path) -> str:
        """Hash of the content of a file or folder."""


@dataclass(frozen=True)
class Options:
    """The options that change the synthetic CTs.

    Attributes:
        spacing_mm: (3,) their voxel size.
        deformation: Strength of the deformation, 0 to 1.
        seed: Seed of all of them.
    """

    spacing_mm: np.ndarray
    deformation: float
    seed: int


class Recipe:
    """Everything that determines the synthetic CTs of one label map.

    Args:
        root: Folder of the synthetic CTs of all label maps.
        origin: The case whose map it is. Its image is the label file itself if there is no CT.
        made_of: What each structure of the map is made of, without those that count as unlabelled.
        options: Spacing, deformation and seed.
        content: Hashes of files, by which changed label maps are noticed.
    """

    def __init__(
        self, root: Path, origin: Case, made_of: Mapping[str, str], options: Options, content: ContentHashes
    ) -> None:
        self.origin = origin
        self.made_of = made_of
        self.options = options
        values = {
            "image": content.hash(origin.image),
            "series": origin.series,
            "label files": [content.hash(path) for path in origin.label.files],
            "label": origin.label.cache_key,
            "made of": list(made_of.items()),
            "spacing_mm": options.spacing_mm.tolist(),
            "deformation": float(options.deformation),
            "seed": options.seed,
            "version": VERSION,
        }
        self.folder = root / blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()

    def paths(self, variant: int) -> tuple[Path, Path, Path]:
        """Files of a variant: CT, label map and tissue map."""
        ct, label, tissues = (self.folder / f"{name}_{variant}.nii.gz" for name in ("ct", "label", "tissues"))
        return ct, label, tissues

    def is_written(self, variant: int) -> bool:
        """Whether all files of a variant exist."""
        return all(path.exists() for path in self.paths(variant))

    def body(self, at_once: int) -> LabelledBody:
        """Read the label map, and its CT if there is one, and fill what is unlabelled.

        Args:
            at_once: How many maps are filled at the same time, for the check of the memory.

        Raises:
            UserError: When a file cannot be read, the map is empty, or the memory does not suffice.
        """
        origin = self.origin
        has_ct = origin.image not in origin.label.files
        scan = origin.read() if has_ct else read_label(origin.image)
        what = f"filling the label map of {origin.id}, {at_once} maps at once,"
        check_memory(VOXEL_BYTES * scan.data.size * at_once, what, "use fewer data.sources.labelmaps.workers")
        structure = origin.label.read(scan, origin.image, list(self.made_of))
        if not structure.any():
            msg = f"{origin.id} has an empty label map; annotate it, or leave the case out"
            raise UserError(msg)
        spacing_mm = _canonical_spacing(scan)
        hu = _canonical(scan.data, scan) if has_ct else None
        return build_body(_canonical(structure, scan), self.made_of, hu, spacing_mm, self._seed())

    def write(self, body: LabelledBody, variant: int) -> None:
        """Synthesise a variant and write its files.

        Raises:
            UserError: When they cannot be written.
        """
        rng = np.random.default_rng((self._seed(), variant))
        made = synthesise(body, self.options.spacing_mm, rng, self.options.deformation)
        try:
            for path, volume in zip(self.paths(variant), (made.hu, made.structure, made.tissue), strict=True):
                save_nifti(path, volume, made.affine)
        except OSError as error:
            msg = f"cannot write to {self.folder.parent}: {error.strerror}; free space or choose another cache_dir"
            raise UserError(msg) from error

    def case(self, name: str, variant: int) -> Case:
        """A variant as a case for training. `name` is the start of its id, to which the number is added."""
        ct, label, tissues = self.paths(variant)
        codes = {structure: code for code, structure in enumerate(self.made_of, start=1)}
        return replace(
            self.origin,
            id=f"{name}_{variant}",
            image=ct,
            label=LabelFile(label, codes, named_in="the label map's own table"),
            part="train",
            series=None,
            tissues=tissues,
            made_from=self.origin,
        )

    def _seed(self) -> int:
        """Seed of this label map: it depends on its content, so two maps get different bodies."""
        text = f"{self.options.seed} {self.folder.name}"
        return int(blake2b(text.encode(), digest_size=8).hexdigest(), 16)


def _canonical(volume: np.ndarray, scan: Scan) -> np.ndarray:
    """Voxels in the orientation closest to RAS+."""
    turned: np.ndarray = nib.orientations.apply_orientation(volume, nib.orientations.io_orientation(scan.affine))
    return turned


def _canonical_spacing(scan: Scan) -> np.ndarray:
    order = nib.orientations.io_orientation(scan.affine)[:, 0].astype(int)
    spacing_mm = np.empty(3)
    spacing_mm[order] = np.linalg.norm(scan.affine[:3, :3], axis=0)
    return spacing_mm
