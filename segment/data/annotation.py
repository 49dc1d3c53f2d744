"""What is drawn on a CT: which files hold it, which structures it knows, and its class indices on the CT's grid."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from segment.data.labels import Codes, LabelMap
from segment.data.readers.dicom_seg import SEG_SUFFIX, read_dicom_seg, segment_names
from segment.data.readers.read import read_label
from segment.data.readers.scan import Scan, check_same_grid
from segment.errors import UserError

log = logging.getLogger(__name__)


class Annotation(Protocol):
    """The truth of one case, in whatever files.

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
        label = read_label(self.path)
        check_same_grid(scan, label, image, self.path)
        return LabelMap(self.codes, organs, self.named_in).to_classes(label.data, source=str(self.path))


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
                mask = read_label(self.paths[organ])
                check_same_grid(scan, mask, image, self.paths[organ])
                classes[mask.data != 0] = index
        return classes


@dataclass(frozen=True)
class SegFile:
    """A DICOM segmentation object.

    Its structures are called after its segments' labels, in lower case with underscores. Where masks overlap, the organ
    that comes later in the list of organs wins.

    Attributes:
        path: The file.
    """

    path: Path

    @cached_property
    def structures(self) -> Collection[str]:
        """Names of its segments."""
        return segment_names(self.path)

    @property
    def files(self) -> Sequence[Path]:
        """The file."""
        return (self.path,)

    @property
    def facts(self) -> Any:  # noqa: ANN401
        """Nothing beside the file."""
        return []

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Masks of the organs put together."""
        masks = read_dicom_seg(self.path, scan)
        classes = np.zeros(scan.data.shape, np.uint8)
        for index, organ in enumerate(organs, start=1):
            if organ in masks:
                classes[masks[organ]] = index
        return classes


def label_in(path: Path, codes: Codes) -> LabelFile | SegFile:
    """What is drawn in a file: a DICOM segmentation (`.dcm`), which names its structures, or codes."""
    return SegFile(path) if path.name.endswith(SEG_SUFFIX) else LabelFile(path, codes)


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
            msg = f"{source} annotates none of {', '.join(organs)}, but {there}; leave it out of data=[…]"
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
