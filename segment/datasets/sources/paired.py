"""CTs and label maps whose paths say, in one pattern or another, which case they belong to."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from segment.datasets.annotation import LabelFile
from segment.datasets.cases import PARTS, Case, Refused
from segment.datasets.sources.listing import (
    check_declared,
    check_unpacked,
    listed,
    paired,
    patient_of,
    pattern_of,
    refuse,
    shown,
)
from segment.datasets.sources.rest import files_of
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.label_codes import Codes
from segment.io.left_out import LeftOut, files_below, unused
from segment.io.scan import SUFFIXES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """Where some of the cases are: ends of paths, whatever folders they were unpacked into.

    Attributes:
        image: Path of a CT, with `{case}` once for the case's name; `*` matches within a name.
        label: Path of its label map, in the same way.
        part: Where the data set's authors put these cases: train, val or test; empty where they do not say.
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
    """Cases of a public data set as it unpacks.

    Args:
        root: Folder that the data set was unpacked into, however deep it lies there.
        pairs: Where the cases are; a pair that matches nothing is passed over, unless no pair does.
        label_codes: Codes of every structure in the label files, by name; None: they have to be given.
        case_pattern: Regular expression that the whole name of a case must match; None: all do.
        patient_pattern: As in `Folder`.
        sides: As in `Folder`.
        only_labelled: Pass over CTs without label, which the log counts, instead of refusing them.
        named_by_path: Name a case by all folders above it, joined by `_`, from where they first differ, and its patient
            by the first of these folders; so `p1/pre/ct.nii.gz` is the case `p1_pre` of the patient `p1`. Where all
            lie in one folder, that is the patient. The patterns are matched against that name. Else `{case}` alone is
            the name and the patient.
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
        self.case_pattern = pattern_of("case_pattern", case_pattern, groups=0)
        self.patient_pattern = pattern_of("patient_pattern", patient_pattern, groups=1)
        self.sides = sides
        self.only_labelled = only_labelled
        self.named_by_path = named_by_path

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When there is no root or no case in it, a case has two files or is in two pairs, an image has no
                label or a label no image.
        """
        check_unpacked(self.root)
        check_declared(self.label_codes, source, self.root, self.root)
        cases: dict[str, Case] = {}
        for pair in self.pairs:
            for case in self._of(pair, source, refused):
                if case.id in cases:
                    msg = f"the case {case.id} is in both {cases[case.id].image} and {case.image}; remove one"
                    refuse(refused, case.id, msg)
                    continue
                cases[case.id] = case
        if not cases and not refused:
            raise self._nothing()
        if self.named_by_path and len(cases) > 1 and len({case.patient for case in cases.values()}) == 1:
            patient = next(iter(cases.values())).patient
            log.warning(
                "%d CTs lie in one folder and count as scans of one patient, %s; if they are of several, set root to "
                "that folder",
                len(cases),
                patient,
            )
        return [cases[name] for name in sorted(cases)]

    def _of(self, pair: Pair, source: str, refused: Refused | None) -> list[Case]:
        images, labels = (self._found(pattern, source, refused) for pattern in (pair.image, pair.label))
        if self.only_labelled and (lonely := sorted(set(images) - set(labels))):
            log.warning("%d of %d CTs have no label and are passed over: %s", len(lonely), len(images), shown(lonely))
            images = {name: path for name, path in images.items() if name in labels}

        patients = {"_".join(names): names[0] for _, names in self._matches(pair.image)}

        def case_of(name: str) -> Case:
            patient = patient_of(name, self.patient_pattern) if self.patient_pattern else patients[name]
            return Case(
                f"{source}/{name}",
                f"{source}/{patient}",
                images[name],
                with_sides(LabelFile(labels[name], self.label_codes or {}), self.sides),
                part=pair.part,
            )

        return listed(source, paired(source, images, labels, self.root, refused), refused, case_of)

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files below the root that belong to none of the cases."""
        patterns = [pattern for pair in self.pairs for pattern in (pair.image, pair.label)]
        listed_files = {path for pattern in patterns for path in self._found(pattern, "", []).values()}
        if self.only_labelled:
            return unused(self.root, [self.root], files_of(cases), lambda path: "")
        return unused(self.root, [self.root], files_of(cases), lambda path: None if path in listed_files else "")

    def _nothing(self) -> UserError:
        """Why there is no case."""
        if count := sum(len(self._found(pair.image, "", [])) for pair in self.pairs):
            return UserError(
                f"{count} CTs and no label like {self.pairs[0].label} in {self.root}; unpack the labels, too: follow "
                "the set's steps, which segment prepare prints"
            )
        return UserError(
            f"no CT in {self.root} has a path that ends like {self.pairs[0].image}; set root to a folder with such "
            "files, or pairs to how yours are named"
        )

    def _found(self, pattern: str, source: str, refused: Refused | None) -> Mapping[str, Path]:
        """Files whose paths end in a pattern, by case."""
        found: dict[str, Path] = {}
        for path, names in self._matches(pattern):
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

    def _matches(self, pattern: str) -> list[tuple[Path, list[str]]]:
        """Files whose paths end in a pattern, sorted, and what names the case of each: `{case}`, or all folders."""
        found = [(path, [*above, case]) for path, above, case in _fitting(self.root, pattern)]
        if not self.named_by_path:
            return [(path, names[-1:]) for path, names in found]
        every = [above for pair in self.pairs for _, above, _ in _fitting(self.root, pair.image)]
        first, last = min(every, default=[]), max(every, default=[])  # what these two share, all share
        top = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
        if first == last:  # all lie in one folder: that of their patient
            top = top[:-1]
        return [(path, names[len(top) :] if names[: len(top)] == top else names) for path, names in found]


def _fitting(root: Path, pattern: str) -> list[tuple[Path, list[str], str]]:
    """Files below the root whose paths end in a pattern, sorted; of each the folders before that end, and `{case}`."""
    suffix = next((suffix for suffix in SUFFIXES if pattern.endswith(suffix)), "")
    escaped = re.escape(pattern.removesuffix(suffix))
    escaped = escaped.replace(r"\{case\}", "(?P<case>[^/]+)").replace(r"\*", "[^/]*")
    end = re.compile(f"(?P<above>(?:.*/)?){escaped}(?i:{re.escape(suffix)})")  # a suffix may be in capitals
    matches = [(path, end.fullmatch(path.relative_to(root).as_posix())) for path in sorted(files_below(root))]
    return [(path, match["above"].split("/")[:-1], match["case"]) for path, match in matches if match]
