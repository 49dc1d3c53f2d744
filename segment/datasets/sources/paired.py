"""CTs and label maps whose paths contain the name of the case."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import PARTS, Case, Refused
from segment.datasets.sources.listing import (
    build_cases,
    check_declared,
    check_unpacked,
    first_five,
    match_pairs,
    refuse,
)
from segment.datasets.sources.path_patterns import match_paths, shared_folders
from segment.datasets.sources.patients import compile_pattern, patient_name
from segment.datasets.sources.unused_files import case_files
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.label_codes import Codes
from segment.io.left_out import LeftOut, find_unused

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """Where some of the cases are, as ends of paths. The folders above do not matter.

    Attributes:
        image: Path of a CT, with `{case}` once for the case's name; `*` matches within a name.
        label: Path of its label map, in the same format.
        part: The part to which the data set's authors assign these cases: train, val or test. Empty if they assign
            none.
    """

    image: str
    label: str
    part: str = ""

    def __post_init__(self) -> None:
        for pattern in (self.image, self.label):
            if pattern.count("{case}") != 1:
                msg = (
                    f"the path {pattern!r} must hold {{case}} once, for the case's name; correct it, as in "
                    f"images/{{case}}.nii.gz"
                )
                raise UserError(msg)
        if self.part and self.part not in PARTS:
            msg = f"the part of {self.image} is {self.part!r}; give one of {', '.join(PARTS)}, or leave it out"
            raise UserError(msg)


class Paired:
    """Cases of a public data set in the folders that its archives contain.

    Args:
        root: Folder that the data set was unpacked into; its files may be at any depth.
        pairs: Where the cases are. A pair without matches is ignored, unless no pair has a match.
        label_codes: Codes of every structure in the label files, by name. None: the user must set them.
        case_pattern: Regular expression that the whole name of a case must match; None: all names do.
        patient_pattern: As in `Folder`.
        sides: As in `Folder`.
        only_labelled: Skip CTs without label instead of refusing them. The log states how many there are.
        named_by_path: Name a case by the folders above it, joined by `_`, without those that all cases share. The
            first of these folders is the patient. For example, `p1/pre/ct.nii.gz` is the case `p1_pre` of the patient
            `p1`. If all cases are in one folder, it is the patient. The patterns are matched against this name. False:
            `{case}` alone is the name and the patient.
    """

    def __init__(
        self,
        root: str | Path,
        pairs: Sequence[Pair],
        label_codes: Codes | None,
        case_pattern: str | None = None,
        patient_pattern: str | None = None,
        sides: Sides | None = None,
        only_labelled: bool = False,
        named_by_path: bool = False,
    ) -> None:
        self.root = Path(root)
        self.pairs = pairs
        self.label_codes = label_codes
        self.case_pattern = compile_pattern("case_pattern", case_pattern, groups=0)
        self.patient_pattern = compile_pattern("patient_pattern", patient_pattern, groups=1)
        self.sides = sides
        self.only_labelled = only_labelled
        self.named_by_path = named_by_path

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When the root does not exist or has no cases, a case has two files or belongs to two pairs, an
                image has no label or a label no image.
        """
        check_unpacked(self.root)
        check_declared(self.label_codes, source, self.root, self.root)
        cases: dict[str, Case] = {}
        for pair in self.pairs:
            for case in self._cases_of(pair, source, refused):
                if case.id in cases:
                    msg = f"the case {case.id} is in both {cases[case.id].image} and {case.image}; remove one"
                    refuse(refused, case.id, msg)
                    continue
                cases[case.id] = case
        if not cases and not refused:
            raise self._nothing_found()
        patients = {case.patient for case in cases.values()}
        if self.named_by_path and len(cases) > 1 and len(patients) == 1:
            log.warning(
                "%d CTs are in one folder and count as scans of one patient, %s; if they are of several, set root to "
                "that folder",
                len(cases),
                patients.pop(),
            )
        return [cases[name] for name in sorted(cases)]

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files in the root that belong to none of the cases."""
        matching: set[Path] = set()
        if not self.only_labelled:
            for pair in self.pairs:
                matching.update(self._find(pair.image, "", []).values(), self._find(pair.label, "", []).values())
        return find_unused(self.root, [self.root], case_files(cases), lambda path: None if path in matching else "")

    def _cases_of(self, pair: Pair, source: str, refused: Refused | None) -> list[Case]:
        images = self._find(pair.image, source, refused)
        labels = self._find(pair.label, source, refused)
        unlabelled = sorted(set(images) - set(labels))
        if self.only_labelled and unlabelled:
            names = first_five(unlabelled)
            log.warning("%d of %d CTs have no label and are skipped: %s", len(unlabelled), len(images), names)
            images = {name: path for name, path in images.items() if name in labels}
        patients = {"_".join(names): names[0] for _, names in self._match(pair.image)}

        def case_of(name: str) -> Case:
            patient = patient_name(name, self.patient_pattern) if self.patient_pattern else patients[name]
            return Case(
                f"{source}/{name}",
                f"{source}/{patient}",
                images[name],
                with_sides(LabelFile(labels[name], self.label_codes or {}), self.sides),
                part=pair.part,
            )

        return build_cases(source, match_pairs(source, images, labels, self.root, refused), refused, case_of)

    def _nothing_found(self) -> UserError:
        """Why there are no cases."""
        count = sum(len(self._find(pair.image, "", [])) for pair in self.pairs)
        if count:
            return UserError(
                f"{count} CTs and no label like {self.pairs[0].label} in {self.root}; unpack the labels, too: follow "
                "the set's steps, which segment prepare prints"
            )
        return UserError(
            f"no CT in {self.root} has a path that ends like {self.pairs[0].image}; set root to a folder with such "
            "files, or pairs to how yours are named"
        )

    def _find(self, pattern: str, source: str, refused: Refused | None) -> Mapping[str, Path]:
        """Files whose paths end in a pattern, by case."""
        found: dict[str, Path] = {}
        for path, names in self._match(pattern):
            name = "_".join(names)
            if self.case_pattern is not None and not self.case_pattern.fullmatch(name):
                continue
            if name in found:
                msg = (
                    f"two files for the case {name!r}: {found[name]} and {path}; rename one, or its folder, or "
                    f"move one out of {self.root}"
                )
                refuse(refused, f"{source}/{name}", msg)
                continue
            found[name] = path
        return found

    def _match(self, pattern: str) -> list[tuple[Path, list[str]]]:
        """Files whose paths end in a pattern, sorted, each with the parts of its case's name."""
        matches = match_paths(self.root, pattern)
        if not self.named_by_path:
            return [(match.path, [match.case]) for match in matches]
        folders_of_images: list[list[str]] = []
        for pair in self.pairs:
            folders_of_images += [match.folders for match in match_paths(self.root, pair.image)]
        shared = shared_folders(folders_of_images)
        found = []
        for match in matches:
            names = [*match.folders, match.case]
            if names[: len(shared)] == shared:
                names = names[len(shared) :]
            found.append((match.path, names))
        return found
