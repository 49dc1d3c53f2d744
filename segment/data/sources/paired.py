"""CTs and label maps whose paths say, in one pattern or another, which case they belong to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.data.annotation import LabelFile
from segment.data.cases import PARTS, Case
from segment.data.labels import Codes
from segment.data.left_out import LeftOut, files_below, unused
from segment.data.readers.scan import SUFFIXES
from segment.data.sides import Sides, with_sides
from segment.data.sources.listing import (
    NO_IMAGE,
    NO_LABEL,
    check_unpacked,
    files_of,
    left_by_system,
    patient_of,
    pattern_of,
    shown,
)
from segment.errors import UserError


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
                msg = f"the path {pattern!r} must hold {{case}} once, for the case's name; mend it"
                raise UserError(msg)
        if self.part and self.part not in PARTS:
            msg = f"the part of {self.image} is {self.part!r}; give one of {', '.join(PARTS)}, or leave it out"
            raise UserError(msg)


class Paired:
    """Cases of a public data set as it unpacks.

    Args:
        root: Folder that the data set was unpacked into, however deep it lies there.
        pairs: Where the cases are; a pair that matches nothing is passed over, unless no pair does.
        label_codes: Codes of every structure in the label files, by name.
        case_pattern: Regular expression that the whole name of a case must match; None: all do.
        patient_pattern: As in `Folder`.
        sides: As in `Folder`.
        only_labelled: Whether CTs without a label are a part of the data set, so that they need no label.
    """

    def __init__(
        self,
        root: str | Path,
        pairs: Sequence[Pair],
        label_codes: Codes,
        case_pattern: str | None = None,
        patient_pattern: str | None = None,
        sides: Sides | None = None,
        only_labelled: bool = False,
    ) -> None:
        self.root = Path(root)
        self.pairs = pairs
        self.label_codes = label_codes
        self.case_pattern = pattern_of("case_pattern", case_pattern, groups=0)
        self.patient_pattern = pattern_of("patient_pattern", patient_pattern, groups=1)
        self.sides = sides
        self.only_labelled = only_labelled

    def cases(self, source: str) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When there is no root or no case in it, or a case has two files or is in two pairs.
        """
        check_unpacked(self.root)
        cases: dict[str, Case] = {}
        for pair in self.pairs:
            for case in self._of(pair, source):
                if case.id in cases:
                    msg = f"the case {case.id} is in both {cases[case.id].image} and {case.image}; remove one"
                    raise UserError(msg)
                cases[case.id] = case
        if not cases:
            raise self._nothing()
        return [cases[name] for name in sorted(cases)]

    def _of(self, pair: Pair, source: str) -> list[Case]:
        images, labels = self._found(pair.image), self._found(pair.label)
        names = sorted(set(images) & set(labels))
        return [
            Case(
                f"{source}/{name}",
                f"{source}/{patient_of(name, self.patient_pattern)}",
                images[name],
                with_sides(LabelFile(labels[name], self.label_codes), self.sides),
                part=pair.part,
            )
            for name in names
        ]

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files below the root that belong to none of the cases."""
        images = {path for pair in self.pairs for path in self._found(pair.image).values()}
        labels = {path for pair in self.pairs for path in self._found(pair.label).values()}

        def why(path: Path) -> str:
            if path in images and not self.only_labelled:
                return NO_LABEL
            return NO_IMAGE if path in labels else ""

        return unused(self.root, [self.root], files_of(cases), why)

    def _nothing(self) -> UserError:
        """Why there is no case."""
        images = [path.name for pair in self.pairs for path in self._found(pair.image).values()]
        labels = [path.name for pair in self.pairs for path in self._found(pair.label).values()]
        if images and labels:
            return UserError(
                f"{len(images)} CTs and {len(labels)} labels in {self.root}, but no two of one case: {shown(images)}; "
                f"{shown(labels)}; give both the same names"
            )
        if images:
            return UserError(
                f"{len(images)} CTs and no label like {self.pairs[0].label} in {self.root}; unpack the labels, too: "
                "take the set's steps, which segment prepare prints"
            )
        return UserError(
            f"no CT in {self.root} has a path that ends like {self.pairs[0].image}; set root to where it unpacked"
        )

    def _found(self, pattern: str) -> Mapping[str, Path]:
        """Files whose paths end in a pattern, by case."""
        stem = pattern.removesuffix(suffix := next((s for s in SUFFIXES if pattern.endswith(s)), ""))
        escaped = re.escape(stem).replace(r"\{case\}", "(?P<case>[^/]+)").replace(r"\*", "[^/]*")
        end = re.compile(f"(?:.*/)?{escaped}(?i:{re.escape(suffix)})")
        found: dict[str, Path] = {}
        for path in sorted(files_below(self.root)):
            match = end.fullmatch(path.relative_to(self.root).as_posix())
            if match is None or left_by_system(path, self.root):
                continue
            name = match["case"]
            if self.case_pattern is not None and not self.case_pattern.fullmatch(name):
                continue
            if name in found:
                msg = f"two files for the case {name!r}: {found[name]} and {path}; remove one"
                raise UserError(msg)
            found[name] = path
        return found
