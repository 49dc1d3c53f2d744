"""What is drawn on a CT: which files hold it, which structures it knows, and its class indices on the CT's grid."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from segment.errors import UserError
from segment.io.dicom_seg import SEG_SUFFIX, read_dicom_seg, segment_names
from segment.io.label_codes import Codes, Declared, LabelMap, codes_of, names_of
from segment.io.read import read_label
from segment.io.scan import Scan, has_suffix, on_grid_of

log = logging.getLogger(__name__)


class Annotation(Protocol):
    """The reference of one case, in whatever files.

    An organ that is not among its structures is *unknown* there, not background: losses and scores leave it out.
    """

    @property
    def structures(self) -> Collection[str]:
        """Names of all that was drawn, or looked for and found absent."""

    @property
    def files(self) -> Sequence[Path]:
        """Files that hold it, for content hashes."""

    @property
    def facts(self) -> Any:  # noqa: ANN401
        """Plain values that, with the files' content, decide `read`."""

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices (I,J,K) uint8 on the scan's grid; unknown organs are 0.

        Args:
            scan: The CT.
            image: Its file, for errors.
            organs: Class i is organs[i-1].

        Raises:
            UserError: When a file cannot be read, lies on another grid or holds what is not declared.
        """


@dataclass(frozen=True)
class LabelFile:
    """One file of codes.

    Attributes:
        path: The file.
        codes: Code or codes of every structure that it holds, by name.
        named_in: What declares them, for errors.
    """

    path: Path
    codes: Codes
    named_in: str = "label_codes"

    @property
    def structures(self) -> Collection[str]:
        """Names that have a code."""
        return self.codes.keys()

    @property
    def files(self) -> Sequence[Path]:
        """The file."""
        return (self.path,)

    @property
    def facts(self) -> Any:  # noqa: ANN401
        """The codes."""
        return {name: list(value) if isinstance(value, Sequence) else value for name, value in self.codes.items()}

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Codes turned into class indices."""
        return LabelMap(self.codes, organs, self.named_in).to_classes(
            self.read_codes(scan, image), source=str(self.path)
        )

    def read_codes(self, scan: Scan, image: Path) -> np.ndarray:
        """Codes (I,J,K) as they are in the file, on the scan's grid.

        Raises:
            UserError: When the file cannot be read or lies on another grid.
        """
        return on_grid_of(read_label(self.path), scan, self.path, image)


@dataclass(frozen=True)
class MaskFiles:
    """One binary mask for each structure, as TotalSegmentator's data set has them.

    Where masks overlap, the organ that comes later in the list of organs wins.

    Attributes:
        paths: File of every structure by name; not 0 is inside.
    """

    paths: Mapping[str, Path]

    @property
    def structures(self) -> Collection[str]:
        """Names that have a mask."""
        return self.paths.keys()

    @property
    def files(self) -> Sequence[Path]:
        """The masks, by their structures' names."""
        return [self.paths[name] for name in sorted(self.paths)]

    @property
    def facts(self) -> Any:  # noqa: ANN401
        """Names in the order of the files."""
        return sorted(self.paths)

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Masks of the organs put together."""
        classes = np.zeros(scan.data.shape, np.uint8)
        for index, organ in enumerate(organs, start=1):
            if organ in self.paths:
                mask = on_grid_of(read_label(self.paths[organ]), scan, self.paths[organ], image)
                classes[mask != 0] = index
        return classes


@dataclass(frozen=True)
class SegFile:
    """A DICOM segmentation object.

    Where masks overlap, the organ that comes later in the list of organs wins.

    Attributes:
        path: The file.
        names: Names of every structure in the file; none: structures are called as there. See `structures_of`.
    """

    path: Path
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def structures(self) -> Collection[str]:
        """Names of its segments."""
        return segment_names(self.path, self.names)

    @property
    def files(self) -> Sequence[Path]:
        """The file."""
        return (self.path,)

    @property
    def facts(self) -> Any:  # noqa: ANN401
        """What the names in the file mean."""
        return {name: list(given) for name, given in self.names.items()}

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Masks of the organs put together."""
        masks = read_dicom_seg(self.path, scan, self.names)
        classes = np.zeros(scan.data.shape, np.uint8)
        for index, organ in enumerate(organs, start=1):
            if organ in masks:
                classes[masks[organ]] = index
        return classes


def label_in(path: Path, declared: Declared) -> LabelFile | SegFile:
    """What is drawn in a file: a DICOM segmentation (`.dcm`), which names its structures, or codes.

    Raises:
        UserError: When a structure of a file of codes has a name alone.
    """
    return SegFile(path, names_of(declared)) if has_suffix(path, SEG_SUFFIX) else LabelFile(path, codes_of(declared))


def annotated(annotation: Annotation, organs: Sequence[str]) -> list[bool]:
    """Whether each class is known in an annotation, background (always) first."""
    return [True, *(organ in annotation.structures for organ in organs)]


def unknown_organs(annotations: Mapping[str, Annotation], organs: Sequence[str]) -> list[str]:
    """Organs that no case's annotation knows; the log tells of those that only some know.

    Args:
        annotations: By case id, `<source>/<name>`.
        organs: Class i is organs[i-1].

    Raises:
        UserError: When a source annotates none of the organs.
    """
    of_sources: dict[str, list[Annotation]] = {}
    for case, annotation in annotations.items():
        of_sources.setdefault(case.split("/")[0], []).append(annotation)
    known: set[str] = set()
    for source, own in of_sources.items():
        counts = Counter(name for annotation in own for name in annotation.structures)
        if not counts.keys() & set(organs):
            there = ", ".join(sorted(counts)) or "nothing"
            msg = (
                f"{source} annotates none of {', '.join(organs)}, but {there}; correct its label_codes or names, or "
                "leave it out of data=[…]"
            )
            raise UserError(msg)
        known |= counts.keys()
        for organ in organs:
            if counts[organ] < len(own):
                log.info(
                    "%s: %s is annotated in %d of %d cases, unknown in the others",
                    source,
                    organ,
                    counts[organ],
                    len(own),
                )
    return [organ for organ in organs if organ not in known]
