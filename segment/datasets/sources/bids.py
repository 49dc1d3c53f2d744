"""CTs in the Brain Imaging Data Structure, with discrete segmentations as derivatives (BIDS 1.4 and later)."""

import csv
from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.listing import build_cases, first_five, is_system_file, refuse
from segment.datasets.sources.names import Names, rename_codes
from segment.datasets.sources.unused_files import case_files
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.label_codes import Codes
from segment.io.left_out import LeftOut, find_unused
from segment.io.scan import case_name, has_suffix

# Entities that only derivatives have. Their other entities are those of the image that they were made from.
DERIVED = {"space", "seg", "res", "den", "desc", "label", "atlas"}
OWN_SPACE = {"space-orig", "space-individual"}


class Bids:
    """Cases like `sub-01/ses-a/ct/sub-01_ses-a_ct.nii.gz`, in a folder of any data type.

    Their labels are in `derivatives/<pipeline>/sub-01/…/sub-01_ses-a_dseg.nii.gz`. A table `…_dseg.tsv` states what the
    codes mean. It is in the same folder as the label or in one above it, and the nearest table counts. `sub-01` is the
    patient.

    Args:
        root: The data set's folder.
        names: Name in the table: name to use, or null to leave the structure out. See
            `segment.datasets.sources.names`.
        pipeline: Folder in `derivatives`; None: the only one there.
        seg: Value of the entity `seg-…`, if an image has several segmentations; None: it has one.
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
            UserError: When there is no CT, pipeline, segmentation or table of names, when several match, or when a
                table is damaged.
        """
        images = [path for path in sorted(self.root.glob("sub-*/**/*")) if self._is_image(path)]
        if not images:
            msg = f"no sub-*/…/*_{self.suffix}.nii.gz in {self.root}; set root to the data set's folder"
            raise UserError(msg)
        derived = self._pipeline()
        named: dict[str, Path] = {}
        for image in images:
            name = self._name(image)
            if name in named:
                msg = f"two CTs have the name {name!r}: {named[name]} and {image}; remove or rename one"
                refuse(refused, f"{source}/{name}", msg)
                continue
            named[name] = image
        return build_cases(source, named, refused, lambda name: self._case(source, named[name], derived))

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files of the subjects and of the pipeline that belong to none of the cases."""
        folders = [path for path in sorted(self.root.glob("sub-*")) if path.is_dir()]
        files = case_files(cases)
        return find_unused(
            self.root, [*folders, self._pipeline()], files, lambda path: None if self._is_image(path) else ""
        )

    def _name(self, image: Path) -> str:
        return case_name(image).removesuffix(f"_{self.suffix}")

    def _is_image(self, path: Path) -> bool:
        ends_right = case_name(path).endswith(f"_{self.suffix}") and has_suffix(path)
        return ends_right and not is_system_file(path, self.root)

    def _pipeline(self) -> Path:
        derivatives = self.root / "derivatives"
        folders = [path for path in sorted(derivatives.glob("*")) if path.is_dir()]
        pipelines = [path.name for path in folders if not is_system_file(path, derivatives)]
        if not pipelines:
            msg = (
                f"there are no segmentations: {derivatives} contains no folder; put them into a folder there, as in "
                f"{derivatives / 'manual' / 'sub-01' / 'sub-01_dseg.nii.gz'}"
            )
            raise UserError(msg)
        found = first_five(pipelines)
        if self.pipeline is None and len(pipelines) > 1:
            msg = f"{derivatives} has {len(pipelines)} pipelines: {found}; choose one with pipeline=<folder>"
            raise UserError(msg)
        if self.pipeline is not None and self.pipeline not in pipelines:
            msg = f"{derivatives} has no pipeline {self.pipeline!r}, but {found}; correct pipeline"
            raise UserError(msg)
        return derivatives / (self.pipeline or pipelines[0])

    def _case(self, source: str, image: Path, derived: Path) -> Case:
        name = self._name(image)
        label = self._label(image, name.split("_"), derived)
        table = _table(label, derived)
        codes = rename_codes(_codes(table), self.names, str(table))
        patient = f"{source}/{name.split('_')[0]}"
        annotation = LabelFile(label, codes, named_in=str(table))
        return Case(f"{source}/{name}", patient, image, with_sides(annotation, self.sides))

    def _label(self, image: Path, entities: list[str], derived: Path) -> Path:
        """The segmentation that was made from an image, on the image's own grid."""
        subject = derived / entities[0]
        found = [path for path in sorted(subject.rglob("*")) if self._fits(path, set(entities))]
        if not found:
            seg = [f"seg-{self.seg}"] if self.seg else []
            name = "_".join([*entities, *seg, "dseg.nii.gz"])
            msg = f"{image} has no segmentation on its own grid in {subject}; add {name} there, or remove the CT"
            raise UserError(msg)
        if len(found) > 1:
            msg = (
                f"{image} has {len(found)} segmentations in {subject}: {first_five(path.name for path in found)}; keep "
                "one there, or choose one with seg=<name>"
            )
            raise UserError(msg)
        return found[0]

    def _fits(self, path: Path, entities: set[str]) -> bool:
        if not has_suffix(path) or path.name.startswith(".") or not case_name(path).endswith("_dseg"):
            return False
        parts = set(case_name(path).removesuffix("_dseg").split("_"))
        derived = {part for part in parts - entities if part.partition("-")[0] in DERIVED}
        other_space = {part for part in derived if part.startswith("space-")} - OWN_SPACE
        is_right_seg = self.seg is None or f"seg-{self.seg}" in derived
        return parts - derived == entities and not other_space and is_right_seg


def _table(label: Path, derived: Path) -> Path:
    """The nearest table of names whose entities are all among those of the segmentation."""
    parts = set(case_name(label).split("_"))
    folder = label.parent
    while True:
        tables = [
            path for path in sorted(folder.glob("*dseg.tsv")) if set(path.name.removesuffix(".tsv").split("_")) <= parts
        ]
        if tables:
            return max(tables, key=lambda path: path.name.count("_"))
        if folder == derived:
            msg = (
                f"no dseg.tsv states what the codes in {label} mean; add one in {derived}, with columns index and name"
            )
            raise UserError(msg)
        folder = folder.parent


def _codes(table: Path) -> Codes:
    """Code by name, without background."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            codes = {row["name"]: int(row["index"]) for row in csv.DictReader(file, delimiter="\t")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"cannot read {table}: {error}; it needs tabs and the columns index, whole numbers, and name"
        raise UserError(msg) from error
    return {name: code for name, code in codes.items() if code != 0}
