"""Annotations in files: one file of codes, one mask per structure, or a DICOM segmentation."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segment.io.dicom_seg import SEG_SUFFIX, read_dicom_seg, segment_names
from segment.io.label_codes import Codes, Declared, LabelMap, codes_of, names_of
from segment.io.read import read_label
from segment.io.scan import Scan, has_suffix, on_grid_of


@dataclass(frozen=True)
class LabelFile:
    """One file of codes.

    Attributes:
        path: The file.
        codes: Code or codes of every structure in it, by name.
        named_in: Option or file that declares the codes, named in errors.
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
    def cache_key(self) -> Any:  # noqa: ANN401
        """The codes."""
        return {name: list(value) if isinstance(value, Sequence) else value for name, value in self.codes.items()}

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices of the codes; see `Annotation`."""
        label_map = LabelMap(self.codes, organs, self.named_in)
        return label_map.to_classes(self.read_codes(scan, image), source=str(self.path))

    def read_codes(self, scan: Scan, image: Path) -> np.ndarray:
        """Codes (I,J,K) as they are in the file, on the scan's grid.

        Raises:
            UserError: When the file cannot be read or is on another grid.
        """
        return on_grid_of(read_label(self.path), scan, self.path, image)


@dataclass(frozen=True)
class MaskFiles:
    """One binary mask for each structure, as in TotalSegmentator's data set.

    Where masks overlap, the organ that comes later in the list of organs wins.

    Attributes:
        paths: File of every structure by name. Voxels that are not 0 belong to the structure.
    """

    paths: Mapping[str, Path]

    @property
    def structures(self) -> Collection[str]:
        """Names that have a mask."""
        return self.paths.keys()

    @property
    def files(self) -> Sequence[Path]:
        """The masks, in the order of the structures' names."""
        return [self.paths[name] for name in sorted(self.paths)]

    @property
    def cache_key(self) -> Any:  # noqa: ANN401
        """The structures' names, in the order of the files."""
        return sorted(self.paths)

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices of the organs' masks; see `Annotation`."""
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
        names: The names that the file has for every structure. Empty: the names in the file are used. See
            `segment.io.dicom_seg`.
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
    def cache_key(self) -> Any:  # noqa: ANN401
        """The declared names."""
        return {name: list(given) for name, given in self.names.items()}

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices of the organs' segments; see `Annotation`."""
        masks = read_dicom_seg(self.path, scan, self.names)
        classes = np.zeros(scan.data.shape, np.uint8)
        for index, organ in enumerate(organs, start=1):
            if organ in masks:
                classes[masks[organ]] = index
        return classes


def label_in(path: Path, declared: Declared) -> LabelFile | SegFile:
    """Annotation in one file: a DICOM segmentation (`.dcm`), which names its structures, or a file of codes.

    Raises:
        UserError: When a structure of a file of codes is declared by a name without a code.
    """
    if has_suffix(path, SEG_SUFFIX):
        return SegFile(path, names_of(declared))
    return LabelFile(path, codes_of(declared))
