"""How well the names of structures fit their measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.scale import at_adult_size
from segment.anatomy.structure import Structure

# A misfit is a sum of squared deviations in units of standard deviations, as in a normal distribution: if the misfits
# of two ways to name the organs differ by 6, one is exp(6 / 2) = 20 times as likely as the other.
LIMIT = 9.0  # upper bound of a single term, because positions further off have reasons that distances do not measure
WIDTH = 4.0  # standard deviations between the smallest and the largest plausible volume, on a logarithmic scale
HU_MISFIT = 4.0  # misfit of a median HU outside the plausible range
FACES = (("R", "L"), ("A", "P"), ("S", "I"))  # faces of a scan at the ends of each axis, the first at its upper end


def misfit_matrix(
    structures: Sequence[Structure], names: Sequence[str], anatomy: Anatomy, current: Sequence[str]
) -> np.ndarray:
    """Compute the misfit of every structure under every name.

    Structures are first scaled to the size of an adult (`at_adult_size`), because a child's organs are smaller. They
    are then shifted: under their current names their mean deviation from the expected height and depth becomes zero.
    The origin of coordinates and the patient's position on the table therefore do not matter. In a cropped CT the
    structures are shifted from right to left, too. The centre of an organ that the scan cuts is not known along that
    axis, so it does not determine the shift.

    Args:
        structures: Structures of one case.
        names: Organs with an entry in `anatomy.centre_mm`.
        anatomy: The configured anatomy.
        current: Name of every structure, used to estimate the body's size and the shift.

    Returns:
        (structures, names), each from 0 to 5·`LIMIT`.
    """
    structures = at_adult_size(structures, current, anatomy)
    shift = _mean_offset(structures, current, anatomy)
    result = np.empty((len(structures), len(names)))
    for j, name in enumerate(names):
        offsets = _offsets_mm(structures, [name] * len(structures), anatomy) - shift
        deviations = np.nan_to_num(offsets / anatomy.spread_mm)
        if name in anatomy.running_through:
            deviations[:, 2] = 0
        for i, structure in enumerate(structures):
            result[i, j] = _position_misfit(structure, deviations[i])
            result[i, j] += _volume_misfit(structure, name, anatomy) + _hu_misfit(structure, name, anatomy)
    return result


def swapped_names(named: Mapping[str, Structure], anatomy: Anatomy, gain: float) -> Mapping[str, str]:
    """Find organs that have each other's names, for example liver and spleen.

    Args:
        named: Structures by organ.
        anatomy: The configured anatomy.
        gain: By how much the misfit must fall, on average, for each name that changes.

    Returns:
        Better name by present name; empty if the names fit.
    """
    names = [name for name in named if name in anatomy.centre_mm]
    if len(names) < 2:
        return {}
    costs = misfit_matrix([named[name] for name in names], names, anatomy, names)
    rows, columns = linear_sum_assignment(costs)
    changed = {names[i]: names[j] for i, j in zip(rows, columns, strict=True) if i != j}
    gained = float(np.trace(costs) - costs[rows, columns].sum())
    return changed if changed and gained > gain * len(changed) else {}


def misnamed_organ(named: Mapping[str, Structure], anatomy: Anatomy, gain: float) -> Mapping[str, str]:
    """Find an organ with the name of another organ that is not annotated, for example a spleen called left kidney.

    The position alone must fit the other name better. Otherwise a small spleen could become an adrenal gland.

    Args:
        named: Structures by organ.
        anatomy: The configured anatomy.
        gain: By how much the misfit must fall.

    Returns:
        The better name by the present name; empty if the names fit.
    """
    known = {name: structure for name, structure in named.items() if name in anatomy.centre_mm}
    others = [
        organ
        for organ in anatomy.volume_ml
        if organ in anatomy.centre_mm and organ not in named and organ not in anatomy.running_through
    ]
    without_volumes = replace(anatomy, volume_ml={})
    gains = []
    for organ in known:
        for other in others:
            under_other = {}
            for name, structure in known.items():
                under_other[other if name == organ else name] = structure
            if _total_misfit(known, without_volumes) > _total_misfit(under_other, without_volumes):
                gains.append((_total_misfit(known, anatomy) - _total_misfit(under_other, anatomy), organ, other))
    gained, organ, other = max(gains, default=(0.0, "", ""))
    return {organ: other} if gained > gain else {}


def _total_misfit(named: Mapping[str, Structure], anatomy: Anatomy) -> float:
    """Sum of the misfits of all organs under their own names."""
    if not named:
        return 0.0
    names = list(named)
    return float(np.trace(misfit_matrix(list(named.values()), names, anatomy, names)))


def _offsets_mm(structures: Sequence[Structure], names: Sequence[str], anatomy: Anatomy) -> np.ndarray:
    """Measured minus expected position of structures with these names, (structures, 3) in mm."""
    measured = np.array([[each.right_mm, each.front_mm, each.up_mm] for each in structures])
    expected = np.array([anatomy.centre_mm[name] for name in names], float)
    offsets: np.ndarray = measured - expected
    return offsets


def _mean_offset(structures: Sequence[Structure], names: Sequence[str], anatomy: Anatomy) -> np.ndarray:
    """Mean offset in mm to the right, front and up; NaN along an axis along which the scan cuts all structures.

    It is 0 to the right if the midline is known.
    """
    offsets = _offsets_mm(structures, names, anatomy)
    runs_through = np.array([name in anatomy.running_through for name in names])
    shift = np.full(3, np.nan)
    for axis, faces in enumerate(FACES):
        is_whole = np.array([set(faces).isdisjoint(structure.faces) for structure in structures])
        if axis == 2:
            is_whole &= ~runs_through
        if is_whole.any():
            shift[axis] = offsets[is_whole, axis].mean()
    if not any(structure.off_middle for structure in structures):
        shift[0] = 0
    return shift


def _position_misfit(structure: Structure, deviation: np.ndarray) -> float:
    """Misfit of a structure's position, from its deviation (3,) in standard deviations."""
    # A structure that the scan cuts below extends further down, so its true centre is at most as high as the measured
    # one. A measured centre that is too high is then no misfit. The same holds for the other faces.
    misfit = 0.0
    for along, (upper, lower) in zip(deviation, FACES, strict=True):
        is_explained = (along > 0 and lower in structure.faces) or (along < 0 and upper in structure.faces)
        if not is_explained:
            misfit += min(float(along) ** 2, LIMIT)
    return misfit


def _volume_misfit(structure: Structure, name: str, anatomy: Anatomy) -> float:
    if name not in anatomy.volume_ml:
        return 0.0
    low, high = np.log(anatomy.volume_ml[name])
    deviation = (np.log(structure.volume_ml) - (low + high) / 2) * WIDTH / (high - low)
    if structure.faces and deviation < 0:  # it may be small only because the scan cuts it
        return 0.0
    return float(min(deviation**2, LIMIT))


def _hu_misfit(structure: Structure, name: str, anatomy: Anatomy) -> float:
    if name not in anatomy.median_hu or structure.median_hu is None:
        return 0.0
    low, high = anatomy.median_hu[name]
    return 0.0 if low <= structure.median_hu <= high else HU_MISFIT
