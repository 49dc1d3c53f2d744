"""The annotation of a CT: its files, the structures that are annotated, and class indices on the CT's grid."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from segment.errors import UserError
from segment.io.scan import Scan

log = logging.getLogger(__name__)


class Annotation(Protocol):
    """The reference segmentation of one case, in any format.

    An organ that is not among its structures is *unknown* there, not background: losses and scores leave it out.
    """

    @property
    def structures(self) -> Collection[str]:
        """Names of all structures that are annotated, including those that were looked for and are absent."""

    @property
    def files(self) -> Sequence[Path]:
        """Files of the annotation, used to hash their content."""

    @property
    def cache_key(self) -> Any:  # noqa: ANN401
        """Plain values that, together with the content of the files, determine what `read` returns."""

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices (I,J,K) uint8 on the scan's grid; unknown organs are 0.

        Args:
            scan: The CT.
            image: Its file, named in errors.
            organs: Class i is organs[i-1].

        Raises:
            UserError: When a file cannot be read, is on another grid or holds a code that is not declared.
        """


def known_classes(annotation: Annotation, organs: Sequence[str]) -> list[bool]:
    """Whether each class is annotated, beginning with background, which always is."""
    return [True, *(organ in annotation.structures for organ in organs)]


def unknown_organs(annotations: Mapping[str, Annotation], organs: Sequence[str]) -> list[str]:
    """Organs that are annotated in no case. Organs that are annotated in some cases only are logged.

    Args:
        annotations: By case id, `<source>/<name>`.
        organs: Class i is organs[i-1].

    Raises:
        UserError: When a source annotates none of the organs.
    """
    by_source: dict[str, list[Annotation]] = {}
    for case, annotation in annotations.items():
        by_source.setdefault(case.split("/")[0], []).append(annotation)
    known: set[str] = set()
    for source, annotations_of_source in by_source.items():
        known |= _count_structures(source, annotations_of_source, organs).keys()
    return [organ for organ in organs if organ not in known]


def _count_structures(source: str, annotations: Sequence[Annotation], organs: Sequence[str]) -> Counter[str]:
    """Number of cases that annotate each structure of a source."""
    counts = Counter(name for annotation in annotations for name in annotation.structures)
    if not counts.keys() & set(organs):
        found = ", ".join(sorted(counts)) or "nothing"
        msg = (
            f"{source} annotates none of {', '.join(organs)}, but {found}; correct its label_codes or names, or "
            "leave it out of data=[…]"
        )
        raise UserError(msg)
    for organ in organs:
        if counts[organ] < len(annotations):
            log.info(
                "%s: %s is annotated in %d of %d cases, unknown in the others",
                source,
                organ,
                counts[organ],
                len(annotations),
            )
    return counts
