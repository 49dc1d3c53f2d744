"""Synthetic CTs from the label maps of other data sets, or from label maps alone."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from segment.bounds import PositiveInt, Seed, Share, Spacing, Workers, in_range
from segment.datasets.annotation_files import label_in
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.label_map_recipe import ContentHashes, Options, Recipe
from segment.datasets.sources.listing import check_declared, find_volumes
from segment.datasets.sources.unused_files import find_unpaired
from segment.errors import UserError
from segment.io.dicom_seg import SEG_SUFFIX
from segment.io.label_codes import Declared
from segment.io.left_out import LeftOut
from segment.io.scan import has_suffix
from segment.phantom.from_labels.structures import UNLABELLED, tissue_of

log = logging.getLogger(__name__)

MOST_STRUCTURES = 250  # indices are uint8, and the filling adds a few


class LabelMaps:
    """Synthetic CTs of the bodies in other data sets' label maps, deformed, in another phase and field of view.

    Each is a pure function of the content of the label map and its CT, the options and the seed. It is written once,
    with its label map and tissue map, and then read like any other CT. Its label map has the structures of the
    original, so a structure that is unknown there is unknown here.

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
        instead: Whether to leave out the CTs of these data sets, so that only their synthetic CTs are used.
        tissues: Tissues of structures that `segment.phantom.from_labels.structures` does not list, or other tissues
            than it lists: for each structure a tissue, an organ, `unlabelled`, or a structure of that list.
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
        self.options = Options(np.array(spacing_mm, float), deformation, seed)
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
        """Files in the folder of label maps without CTs that give no synthetic CT; `root` holds no other files."""
        if self.maps is None:
            return []
        origins = [case.made_from for case in cases if case.made_from is not None]
        segmentations = [path.name for path in sorted(self.maps.iterdir()) if has_suffix(path, SEG_SUFFIX)]
        reason = "a DICOM segmentation; convert it to a label map (.nii.gz)"
        return [*find_unpaired(self.maps, [self.maps], origins), *(LeftOut(name, reason) for name in segmentations)]

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
            missing = [variant for variant in range(self.variants) if not recipe.is_written(variant)]
            if missing:
                log.info("%s: synthesising %d CTs from the label map of %s", source, len(missing), origin.id)
                body = recipe.body(self.workers)
                for variant in missing:
                    recipe.write(body, variant)
        except UserError as error:
            return error
        return [recipe.case(_id(source, origin), variant) for variant in range(self.variants)]

    def _recipe(self, source: str, origin: Case) -> Recipe:
        made_of = tissue_of(list(origin.label.structures), self.tissues, f"data.sources.{source}.tissues")
        made_of = {structure: kind for structure, kind in made_of.items() if kind != UNLABELLED}
        if len(made_of) > MOST_STRUCTURES:
            msg = f"{origin.id} has {len(made_of)} structures, but at most {MOST_STRUCTURES} can be synthesised; make "
            msg += f"some {UNLABELLED} by data.sources.{source}.tissues"
            raise UserError(msg)
        return Recipe(self.root, origin, made_of, self.options, self.content)


def _id(source: str, origin: Case) -> str:
    """Start of the ids of the cases from one label map, without the number of the variant."""
    data_set, name = origin.id.split("/", 1)
    return f"{source}/{name}" if data_set == source else f"{source}/{data_set}_{name}"
