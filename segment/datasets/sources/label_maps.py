"""Synthetic CTs from the label maps of other data sets, or from label maps alone."""

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import nibabel as nib
import numpy as np

from segment.bounds import PositiveInt, Seed, Share, Spacing, Workers, in_range
from segment.datasets.annotation_files import LabelFile, label_in
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.listing import check_declared, find_volumes
from segment.errors import UserError
from segment.io.label_codes import Declared
from segment.io.left_out import LeftOut
from segment.io.read import read_label
from segment.io.scan import Scan
from segment.memory.measure import check_memory
from segment.phantom.from_labels.body import LabelledBody, build_body
from segment.phantom.from_labels.structures import UNLABELLED, tissue_of
from segment.phantom.from_labels.synthesis import synthesise
from segment.phantom.write import save_nifti

log = logging.getLogger(__name__)

# Raise it with every change that changes voxels. New CTs are then not mixed with those of older versions.
VERSION = 1
VOXEL_BYTES = 25  # measured peak memory per voxel of a CT whose map is filled
MOST_STRUCTURES = 250  # indices are uint8, and the filling adds a few


class ContentHashes(Protocol):
    """Hashes of files, for example `segment.data.store.content.ContentRecord`."""

    def hash(self, path: Path) -> str:
        """Hash of the content of a file or folder."""


@dataclass(frozen=True)
class _Recipe:
    """Everything that determines the synthetic CTs of one label map.

    Attributes:
        origin: The case whose map it is. Its image is the label file itself if there is no CT.
        made_of: What each structure of the map is made of, without those that count as unlabelled.
        folder: Folder of the synthetic CTs, named by the hash of all of this.
    """

    origin: Case
    made_of: Mapping[str, str]
    folder: Path

    def paths(self, variant: int) -> tuple[Path, Path, Path]:
        """Files of a variant: CT, label map and tissue map."""
        ct, label, tissues = (self.folder / f"{name}_{variant}.nii.gz" for name in ("ct", "label", "tissues"))
        return ct, label, tissues


class LabelMaps:
    """Synthetic CTs: the bodies of other data sets' label maps, deformed, in another phase and field of view.

    Each is a pure function of the content of the label map and its CT, the options and the seed. It is written once,
    with its label map and tissue map, and then read like any other CT. Its label map names the structures of the
    original, so what is unknown there is unknown here.

    What the map leaves unlabelled is filled with the tissues that the CT shows there, or, for a map without a CT, with
    typical anatomy.

    The cases have the patient of the original. They only train, and only if this patient neither validates nor tests;
    see `Case.made_from`.

    Args:
        root: Folder for the synthetic CTs.
        content: Hashes of files, by which changed label maps are noticed.
        of: Names of the data sets whose label maps are used, or one name; None: all in the experiment, except those
            that are synthetic already.
        maps: A folder of label maps without CTs, to use in addition.
        label_codes: Codes of the structures in these maps, by name.
        variants: Synthetic CTs for each label map.
        instead: Whether to leave out the CTs of these data sets, so that only synthetic ones of them are used.
        tissues: What further structures are made of, or other tissues than usual: by structure a tissue, an organ,
            `unlabelled`, or a structure of `segment.phantom.from_labels.structures`.
        spacing_mm: Voxel size of the synthetic CTs.
        deformation: Strength of the deformation; 0 keeps the shape of the bodies.
        seed: Seed of the synthetic CTs.
        workers: Threads that synthesise them.

    Raises:
        UserError: When a number is out of its range.
    """

    @in_range
    def __init__(
        self,
        root: str | Path,
        content: ContentHashes,
        of: str | Sequence[str] | None = None,
        maps: str | Path | None = None,
        label_codes: Declared | None = None,
        variants: PositiveInt = 4,
        instead: bool = False,
        tissues: Mapping[str, str] | None = None,
        spacing_mm: Spacing = (2.0, 2.0, 2.0),
        deformation: Share = 1.0,
        seed: Seed = 0,
        workers: Workers = 2,
    ) -> None:
        self.root = Path(root)
        self.content = content
        self.of = [of] if isinstance(of, str) else of
        self.maps = None if maps is None else Path(maps)
        self.label_codes = label_codes
        self.variants = variants
        self.instead = instead
        self.tissues = tissues or {}
        self.spacing_mm = np.array(spacing_mm, float)
        self.deformation = deformation
        self.seed = seed
        self.workers = max(1, workers)

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """Synthetic CTs from the folder of label maps without CTs; empty if there is none.

        Raises:
            UserError: When the folder or its codes are missing. Also, if `refused` is None, when a map cannot be used.
        """
        if self.maps is None:
            return []
        files = find_volumes(source, self.maps, refused)
        check_declared(self.label_codes, source, self.maps, self.maps)
        origins = []
        for name, path in files.items():
            label = label_in(path, self.label_codes or {})
            origins.append(Case(f"{source}/{name}", f"{source}/{name}", path, label))
        return self._synthesise(source, origins, refused)

    def derive(self, source: str, cases: Sequence[Case], refused: Refused | None = None) -> list[Case]:
        """Add synthetic CTs from the label maps of the given cases.

        Args:
            source: The name that the configuration gives this source.
            cases: The cases of all sources of the experiment.
            refused: As in `cases`.

        Returns:
            The given cases, without the originals if `instead` is set, and the synthetic ones.

        Raises:
            UserError: When `of` names a data set without cases, or there is no label map to use. Also, if `refused` is
                None, when a map cannot be used.
        """
        origins = [case for case in cases if case.made_from is None]
        present = list(dict.fromkeys(case.id.split("/")[0] for case in origins))
        unknown = sorted(set(self.of or ()) - set(present))
        if unknown:
            have = ", ".join(present) or "no others"
            msg = (
                f"data.sources.{source}.of names {unknown[0]!r}, but the data sets with cases are {have}; correct it, "
            )
            msg += "or add the data set to data=[…]"
            raise UserError(msg)
        if self.of is None:
            origins = [case for case in origins if case.tissues is None]
        else:
            origins = [case for case in origins if case.id.split("/")[0] in self.of]
        if not origins and self.maps is None:
            msg = (
                f"{source} has no label maps to make CTs from; add a data set, as in 'data=[flare22,{source}]', or "
                f"give a folder of label maps by data.sources.{source}.maps=<folder>"
            )
            raise UserError(msg)
        used = {case.id for case in origins} if self.instead else set()
        return [*(case for case in cases if case.id not in used), *self._synthesise(source, origins, refused)]

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Nothing, because only this program writes to the folder."""
        return []

    def _synthesise(self, source: str, origins: Sequence[Case], refused: Refused | None) -> list[Case]:
        """Write the missing CTs of every label map, and list all."""
        with ThreadPoolExecutor(self.workers) as pool:
            results = list(pool.map(lambda origin: self._of_one(source, origin), origins))
        made = []
        for origin, result in zip(origins, results, strict=True):
            if not isinstance(result, UserError):
                made += result
            elif refused is None:
                raise result
            else:
                refused.append((_id(source, origin), result))
        return made

    def _of_one(self, source: str, origin: Case) -> list[Case] | UserError:
        """Synthetic cases of one label map, or why it cannot be used."""
        try:
            recipe = self._recipe(source, origin)
            missing = [n for n in range(self.variants) if not all(path.exists() for path in recipe.paths(n))]
            if missing:
                log.info("%s: synthesising %d CTs from the label map of %s", source, len(missing), origin.id)
                body = self._body(recipe)
                for variant in missing:
                    self._write(recipe, body, variant)
        except UserError as error:
            return error
        return [self._case(source, recipe, variant) for variant in range(self.variants)]

    def _recipe(self, source: str, origin: Case) -> _Recipe:
        made_of = tissue_of(list(origin.label.structures), self.tissues, f"data.sources.{source}.tissues")
        made_of = {structure: kind for structure, kind in made_of.items() if kind != UNLABELLED}
        if len(made_of) > MOST_STRUCTURES:
            msg = f"{origin.id} has {len(made_of)} structures, but at most {MOST_STRUCTURES} can be drawn; make some "
            msg += f"{UNLABELLED}, by data.sources.{source}.tissues"
            raise UserError(msg)
        values = {
            "image": self.content.hash(origin.image),
            "series": origin.series,
            "label files": [self.content.hash(path) for path in origin.label.files],
            "label": origin.label.cache_key,
            "made of": list(made_of.items()),
            "spacing_mm": self.spacing_mm.tolist(),
            "deformation": float(self.deformation),
            "seed": self.seed,
            "version": VERSION,
        }
        name = blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()
        return _Recipe(origin, made_of, self.root / name)

    def _body(self, recipe: _Recipe) -> LabelledBody:
        """Read a label map, and its CT if there is one, and fill what is unlabelled."""
        origin = recipe.origin
        has_ct = origin.image not in origin.label.files
        scan = origin.read() if has_ct else read_label(origin.image)
        what = f"filling the label map of {origin.id}, {self.workers} maps at once,"
        check_memory(VOXEL_BYTES * scan.data.size * self.workers, what, "use fewer data.sources.labelmaps.workers")
        structure = origin.label.read(scan, origin.image, list(recipe.made_of))
        if not structure.any():
            msg = f"{origin.id} has an empty label map; annotate it, or leave the case out"
            raise UserError(msg)
        spacing_mm = _canonical_spacing(scan)
        hu = _canonical(scan.data, scan) if has_ct else None
        return build_body(_canonical(structure, scan), recipe.made_of, hu, spacing_mm, _seed_of(recipe, self.seed))

    def _write(self, recipe: _Recipe, body: LabelledBody, variant: int) -> None:
        rng = np.random.default_rng((_seed_of(recipe, self.seed), variant))
        made = synthesise(body, self.spacing_mm, rng, self.deformation)
        try:
            for path, volume in zip(recipe.paths(variant), (made.hu, made.structure, made.tissue), strict=True):
                save_nifti(path, volume, made.affine)
        except OSError as error:
            msg = f"cannot write to {self.root}: {error.strerror}; free space or choose another cache_dir"
            raise UserError(msg) from error

    def _case(self, source: str, recipe: _Recipe, variant: int) -> Case:
        ct, label, tissues = recipe.paths(variant)
        codes = {structure: code for code, structure in enumerate(recipe.made_of, start=1)}
        return replace(
            recipe.origin,
            id=f"{_id(source, recipe.origin)}_{variant}",
            image=ct,
            label=LabelFile(label, codes, named_in="the label map's own table"),
            part="train",
            series=None,
            tissues=tissues,
            made_from=recipe.origin,
        )


def _id(source: str, origin: Case) -> str:
    """Start of the ids of the cases from one label map, without the number of the variant."""
    data_set, name = origin.id.split("/", 1)
    return f"{source}/{name}" if data_set == source else f"{source}/{data_set}_{name}"


def _seed_of(recipe: _Recipe, seed: int) -> int:
    """Seed of one label map: it depends on its content, so two maps get different bodies."""
    return int(blake2b(f"{seed} {recipe.folder.name}".encode(), digest_size=8).hexdigest(), 16)


def _canonical(volume: np.ndarray, scan: Scan) -> np.ndarray:
    """Voxels in the orientation closest to RAS+."""
    turned: np.ndarray = nib.orientations.apply_orientation(volume, nib.orientations.io_orientation(scan.affine))
    return turned


def _canonical_spacing(scan: Scan) -> np.ndarray:
    order = nib.orientations.io_orientation(scan.affine)[:, 0].astype(int)
    spacing_mm = np.empty(3)
    spacing_mm[order] = np.linalg.norm(scan.affine[:3, :3], axis=0)
    return spacing_mm
