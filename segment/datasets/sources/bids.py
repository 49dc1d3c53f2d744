"""The Brain Imaging Data Structure with CTs, and discrete segmentations as its derivatives (BIDS 1.4 and later)."""

import csv
from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation import LabelFile
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.listing import left_by_system, listed, shown
from segment.datasets.sources.names import Names, our_codes
from segment.datasets.sources.rest import files_of
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.label_codes import Codes
from segment.io.left_out import LeftOut, unused
from segment.io.scan import case_name, has_suffix

# Entities that only derivatives have: what they do not name, they share with the image that they were made of.
DERIVED = {"space", "seg", "res", "den", "desc", "label", "atlas"}
OWN_SPACE = {"space-orig", "space-individual"}


class Bids:
    """Cases such as `sub-01/ses-a/ct/sub-01_ses-a_ct.nii.gz`, below any data type's folder.

    Their labels are in `derivatives/<pipeline>/sub-01/…/sub-01_ses-a_dseg.nii.gz`; what the codes mean is in the
    `…_dseg.tsv` beside one, or higher up for all, of which the nearest counts. `sub-01` is the patient.

    Args:
        root: The data set's folder.
        names: Our name by that in the table, null to leave a structure out; see `segment.datasets.sources.names`.
        pipeline: Folder below `derivatives`; None: the only one there.
        seg: Value of the entity `seg-…`, where an image has several segmentations; None: it has one.
        suffix: Last part of the CTs' names.
        sides: As in `Folder`.
    """

    def __init__(
        self,
        root: str | Path,
        names: Names | None = None,
        pipeline: str | None = None,
        seg: str | None = None,
        suffix: str = "ct",
        sides: Sides | None = None,
    ) -> None:
        self.root = Path(root)
        self.names = names or {}
        self.pipeline = pipeline
        self.seg = seg
        self.suffix = suffix
        self.sides = sides

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When there is no CT, pipeline, segmentation or table of names, more than one fits, or a table
                is broken.
        """
        images = [path for path in sorted(self.root.glob("sub-*/**/*")) if self._is_image(path)]
        if not images:
            msg = f"no sub-*/…/*_{self.suffix}.nii.gz in {self.root}; set root to the data set's folder"
            raise UserError(msg)
        derived = self._pipeline()
        named = {self._name(image): image for image in images}
        return listed(source, named, refused, lambda name: self._case(source, named[name], derived))

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files of the subjects and of the pipeline that belong to none of the cases."""
        folders = [path for path in sorted(self.root.glob("sub-*")) if path.is_dir()]

        files = files_of(cases)
        return unused(self.root, [*folders, self._pipeline()], files, lambda path: None if self._is_image(path) else "")

    def _name(self, image: Path) -> str:
        return case_name(image).removesuffix(f"_{self.suffix}")

    def _is_image(self, path: Path) -> bool:
        right_end = case_name(path).endswith(f"_{self.suffix}") and has_suffix(path)
        return right_end and not left_by_system(path, self.root)

    def _pipeline(self) -> Path:
        derivatives = self.root / "derivatives"
        there = [p.name for p in sorted(derivatives.glob("*")) if p.is_dir() and not left_by_system(p, derivatives)]
        if not there:
            msg = (
                f"there are no segmentations: {derivatives} holds no folder; put them into a folder there, as in "
                f"{derivatives / 'manual' / 'sub-01' / 'sub-01_dseg.nii.gz'}"
            )
            raise UserError(msg)
        if self.pipeline is None and len(there) > 1:
            msg = f"{derivatives} has {len(there)} pipelines: {shown(there)}; name the one to use by pipeline=<folder>"
            raise UserError(msg)
        if self.pipeline is not None and self.pipeline not in there:
            msg = f"{derivatives} has no pipeline {self.pipeline!r}, but {shown(there)}; correct pipeline"
            raise UserError(msg)
        return derivatives / (self.pipeline or there[0])

    def _case(self, source: str, image: Path, derived: Path) -> Case:
        name = self._name(image)
        label = self._label(image, name.split("_"), derived)
        table = _table(label, derived)
        codes = our_codes(_codes(table), self.names, str(table))
        patient = f"{source}/{name.split('_')[0]}"
        annotation = LabelFile(label, codes, named_in=str(table))
        return Case(f"{source}/{name}", patient, image, with_sides(annotation, self.sides))

    def _label(self, image: Path, entities: list[str], derived: Path) -> Path:
        """The segmentation that was made of an image and lies on its grid."""
        subject = derived / entities[0]
        found = [path for path in sorted(subject.rglob("*")) if self._fits(path, set(entities))]
        if not found:
            name = "_".join([*entities, *([f"seg-{self.seg}"] if self.seg else []), "dseg.nii.gz"])
            msg = f"{image} has no segmentation on its own grid in {subject}; add {name} there, or remove the CT"
            raise UserError(msg)
        if len(found) > 1:
            msg = (
                f"{image} has {len(found)} segmentations in {subject}: {shown(path.name for path in found)}; keep one "
                "there, or choose one by seg=<name>"
            )
            raise UserError(msg)
        return found[0]

    def _fits(self, path: Path, entities: set[str]) -> bool:
        if not has_suffix(path) or path.name.startswith(".") or not case_name(path).endswith("_dseg"):
            return False
        parts = set(case_name(path).removesuffix("_dseg").split("_"))
        derived = {part for part in parts - entities if part.partition("-")[0] in DERIVED}
        elsewhere = {part for part in derived if part.startswith("space-")} - OWN_SPACE
        return parts - derived == entities and not elsewhere and (self.seg is None or f"seg-{self.seg}" in derived)


def _table(label: Path, derived: Path) -> Path:
    """The table of names that is valid for a segmentation: the nearest that names no other entities."""
    parts = set(case_name(label).split("_"))
    folder = label.parent
    while True:
        fitting = [p for p in sorted(folder.glob("*dseg.tsv")) if set(p.name.removesuffix(".tsv").split("_")) <= parts]
        if fitting:
            return max(fitting, key=lambda path: path.name.count("_"))
        if folder == derived:
            msg = (
                f"no dseg.tsv states what the codes in {label} mean; add one in {derived}, with columns index and name"
            )
            raise UserError(msg)
        folder = folder.parent


def _codes(table: Path) -> Codes:
    """Code by name, background left out."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            codes = {row["name"]: int(row["index"]) for row in csv.DictReader(file, delimiter="\t")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"cannot read {table}: {error}; it needs tabs and the columns index, whole numbers, and name"
        raise UserError(msg) from error
    return {name: code for name, code in codes.items() if code != 0}
