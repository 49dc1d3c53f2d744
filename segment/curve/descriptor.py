"""What a CT shows, in a few numbers, and how similar two CTs are."""

from collections.abc import Mapping, Sequence

import numpy as np
from nibabel.affines import voxel_sizes

from segment.anatomy.structure import Structure, measure_structures
from segment.inference.confidence.body import measure_body
from segment.io.scan import Scan

# Of the CT and of each organ: how much of it counts as a clear difference. These are standard deviations over 39
# synthetic trunks of the generator (seed 202), rounded. Sizes and noise are powers of two: 1 is a factor of two.
OF_CT: Mapping[str, float] = {
    "pixel size": 1.0,
    "slice thickness": 0.5,
    "height of the scan": 1.2,
    "cross-section of the body": 0.5,
    "noise": 0.5,
    "sharpness": 20.0,
    "HU of fat": 8.0,
    "HU of soft tissue": 12.0,
    "place of bones": 16.0,
    "place of gas": 75.0,
}
OF_ORGAN: Mapping[str, float] = {"presence": 0.5, "volume": 1.0, "HU": 40.0, "cut ends": 0.6}
LEAST_DIFFERENCE = 1.0  # in these units; smaller ones are not named

Descriptor = Mapping[str, float]  # by name; what is not known is missing


def describe(scan: Scan, classes: np.ndarray, organs: Sequence[str], known: Sequence[bool]) -> Descriptor:
    """Describe a CT by its scanner, body and organs.

    The organs are those of a mask or of a reference, so CTs with and without label can be compared.

    Args:
        scan: The CT.
        classes: (I,J,K) class indices on its grid.
        organs: Class i is organs[i-1].
        known: For each class, background first, whether `classes` says where it is.

    Returns:
        The numbers of `OF_CT`, and those of `OF_ORGAN` as `<organ>: <number>` for the organs that are known.
    """
    body, edges_mm = measure_body(scan), voxel_sizes(scan.affine)
    numbers = {
        "pixel size": _log2(edges_mm.min()),
        "slice thickness": _log2(body["thickness_mm"]),
        "height of the scan": _log2(body["height_mm"]),
        "cross-section of the body": _log2(body["area_cm2"]),
        "noise": _log2(body["noise_hu"] + 1),  # an image without noise is allowed
        "sharpness": body["edge_hu"],
        "HU of fat": body["fat_hu"],
        "HU of soft tissue": body["soft_hu"],
        "place of bones": body["bone_back_mm"],
        "place of gas": body["gas_up_mm"],
    }
    structures = measure_structures(scan, classes)
    for index, organ in enumerate(organs, start=1):
        if known[index]:
            own = _describe_organ(structures.get(index))
            numbers |= {f"{organ}: {name}": value for name, value in own.items()}
    return {name: round(float(value), 4) for name, value in numbers.items() if np.isfinite(value)}


def _describe_organ(structure: Structure | None) -> dict[str, float]:
    if structure is None:
        return {"presence": 0.0}
    hu = np.nan if structure.median_hu is None else structure.median_hu
    cut = float(len(set(structure.faces) & set("SI")))
    return {"presence": 1.0, "volume": _log2(structure.volume_ml), "HU": hu, "cut ends": cut}


def _log2(value: float) -> float:
    return float(np.log2(value)) if value > 0 else np.nan


def similarity(one: Sequence[Descriptor], other: Sequence[Descriptor]) -> np.ndarray:
    """How similar CTs (N) are to others (M): (N,M) in [0, 1], 1 for equal descriptors.

    It is exp(−d²), where d² is the mean of two numbers: the mean squared difference of what describes the CT, and of
    what describes the organs. Differences are in the units of `OF_CT` and `OF_ORGAN`; what one of the two CTs lacks is
    left out. Two CTs that differ by one unit in everything have a similarity of 0.37; two unrelated ones, about 0.1.
    Two CTs of which nothing is known in both have 0.
    """
    of_organs = sorted({name for descriptor in (*one, *other) for name in descriptor} - OF_CT.keys())
    squares = [_mean_squares(one, other, names) for names in (list(OF_CT), of_organs)]
    known = np.isfinite(squares)
    mean = np.where(known, squares, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), np.exp(-mean), 0.0)


def _mean_squares(one: Sequence[Descriptor], other: Sequence[Descriptor], names: Sequence[str]) -> np.ndarray:
    """(N,M) mean squared difference over the names that both have; NaN if there is none."""
    rows, columns = _scaled(one, names), _scaled(other, names)
    known_rows, known_columns = (np.isfinite(values).astype(float) for values in (rows, columns))
    rows, columns = np.nan_to_num(rows), np.nan_to_num(columns)
    total = rows**2 @ known_columns.T - 2 * rows @ columns.T + known_rows @ (columns**2).T
    count = known_rows @ known_columns.T
    return np.where(count > 0, np.maximum(total, 0) / np.maximum(count, 1), np.nan)


def _scaled(descriptors: Sequence[Descriptor], names: Sequence[str]) -> np.ndarray:
    """(N,D) in units; NaN for what is missing."""
    rows = [[descriptor.get(name, np.nan) / _unit(name) for name in names] for descriptor in descriptors]
    return np.array(rows, float).reshape(len(descriptors), len(names))


def _unit(name: str) -> float:
    return OF_CT[name] if name in OF_CT else OF_ORGAN[name.rpartition(": ")[2]]


def largest_differences(one: Descriptor, other: Descriptor, count: int = 3) -> list[str]:
    """Names of the clearest differences between two CTs, the largest first; at most `count`."""
    units = {name: abs(one[name] - other[name]) / _unit(name) for name in one if name in other}
    clear = [name for name, difference in units.items() if difference >= LEAST_DIFFERENCE]
    return sorted(clear, key=lambda name: -units[name])[:count]
