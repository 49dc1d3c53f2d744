"""Facts about a CT and its label on their own grid, from which `segment plan` plans a recipe."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from segment.anatomy.structure import Structure, measure_structures
from segment.io.scan import Scan

VERSION = 2  # raise it when the code changes the facts
PERCENTILES = (0.5, *range(5, 100, 5), 99.5)
BODY_ABOVE_HU = -250  # fat and everything denser; air and lungs are left out
SAMPLED = 200_000  # voxels from which percentiles are computed, if there are more


@dataclass(frozen=True)
class CaseFacts:
    """Facts about one case. Axes are those of the volume in RAS+ orientation.

    Attributes:
        spacing_mm: Voxel size along R, A, S.
        shape: Voxels along R, A, S.
        annotated: Organs that are annotated, present or not.
        volume_ml: Volume of each organ that the CT shows.
        cut: Organs that the CT may cut above or below.
        organ_hu: `PERCENTILES` of HU inside all organs; empty without organs.
        body_hu: `PERCENTILES` of HU in the body; empty if the CT shows none.
    """

    spacing_mm: tuple[float, ...]
    shape: tuple[int, ...]
    annotated: tuple[str, ...]
    volume_ml: Mapping[str, float]
    cut: tuple[str, ...]
    organ_hu: tuple[float, ...]
    body_hu: tuple[float, ...]

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "CaseFacts":
        """From the text of `to_json`."""
        plain: dict[str, Any] = {}
        for key, value in json.loads(text).items():
            plain[key] = tuple(value) if isinstance(value, list) else value
        return cls(**plain)


def measure_case(
    scan: Scan,
    label: np.ndarray,
    organs: Sequence[str],
    annotated: Collection[str],
    structures: Mapping[int, Structure] | None = None,
) -> CaseFacts:
    """Measure a CT and its label.

    Args:
        scan: The CT.
        label: Class indices (I,J,K) on its grid.
        organs: Class i is organs[i-1].
        annotated: Structures that are annotated.
        structures: `measure_structures` of the label, if it is known.
    """
    structures = measure_structures(scan, label) if structures is None else structures
    orientation = nib.orientations.io_orientation(scan.affine)
    order = np.argsort(orientation[:, 0])  # the scan's axes in the order R, A, S
    shown = {organs[index - 1]: found for index, found in structures.items()}
    return CaseFacts(
        spacing_mm=tuple(round(float(size), 4) for size in voxel_sizes(scan.affine)[order]),
        shape=tuple(int(scan.data.shape[axis]) for axis in order),
        annotated=tuple(organ for organ in organs if organ in annotated),
        volume_ml={organ: round(found.volume_ml, 2) for organ, found in shown.items()},
        cut=tuple(organ for organ, found in shown.items() if found.is_cut),
        organ_hu=_percentiles(scan.data[label > 0]),
        body_hu=_percentiles(_in_body(scan.data)),
    )


def _in_body(data: np.ndarray) -> np.ndarray:
    sampled = _sample(data.ravel(order="K"))
    return sampled[sampled > BODY_ABOVE_HU]


def _percentiles(values: np.ndarray) -> tuple[float, ...]:
    """`PERCENTILES` in whole HU; empty if there is no value."""
    if not values.size:
        return ()
    return tuple(round(float(value)) for value in np.percentile(_sample(values), PERCENTILES))


def _sample(values: np.ndarray) -> np.ndarray:
    """At most `SAMPLED` values, always the same ones.

    They are sampled at random: every n-th voxel could be in the same column of every plane, for example in the air.
    """
    if values.size <= SAMPLED:
        return values
    return values[np.random.default_rng(0).integers(values.size, size=SAMPLED)]
