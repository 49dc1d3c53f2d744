"""How well names fit the places of what they name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.place import Place
from segment.anatomy.scale import at_adult_size

# A misfit is a sum of squares of standard deviations, as in a normal distribution: a difference of 6 between two ways
# to name organs makes one exp(6 / 2) = 20 times as likely as the other.
LIMIT = 9.0  # of a single term: whatever lies far off does so for reasons that distances do not measure
WIDTH = 4.0  # standard deviations between the smallest and the largest plausible volume, on a logarithmic scale
HU_MISFIT = 4.0  # of a median outside of the plausible range


def misfits(structures: Sequence[Place], names: Sequence[str], anatomy: Anatomy, current: Sequence[str]) -> np.ndarray:
    """Misfit of every structure under every name.

    All structures are first put at the size that they would have in an adult (`at_adult_size`), so that a child's
    organs fit their names as well. Heights and depths are compared after the shift that puts the structures, under
    their current names, where these belong on average: neither origin nor the patient's place on the table matters.
    So are sides in a cropped CT.

    Args:
        structures: Places in one case.
        names: Organs with an entry in `anatomy.centre_mm`.
        anatomy: The facts.
        current: Name of every structure, from which the body's size and the shift follow.

    Returns:
        (structures, names), each from 0 to 5·`LIMIT`.
    """
    structures = at_adult_size(structures, current, anatomy)
    away = _away(structures, current, anatomy)
    firm = np.array(
        [
            not place.is_cut and name not in anatomy.running_through
            for place, name in zip(structures, current, strict=True)
        ]
    )
    off_middle = any(place.off_middle for place in structures)
    shift = np.array(
        [away[:, 0].mean() if off_middle else 0.0, away[:, 1].mean(), away[firm, 2].mean() if firm.any() else 0.0]
    )
    result = np.empty((len(structures), len(names)))
    for j, name in enumerate(names):
        away = (_away(structures, [name] * len(structures), anatomy) - shift) / anatomy.spread_mm
        if not firm.any() or name in anatomy.running_through:
            away[:, 2] = 0
        for i, place in enumerate(structures):
            # What the scan cuts below reaches further down: it lies at most as high as it seems; so above.
            if (away[i, 2] > 0 and "I" in place.faces) or (away[i, 2] < 0 and "S" in place.faces):
                away[i, 2] = 0
            result[i, j] = np.minimum(away[i] ** 2, LIMIT).sum()
            result[i, j] += _of_volume(place, name, anatomy) + _of_hu(place, name, anatomy)
    return result


def _away(structures: Sequence[Place], names: Sequence[str], anatomy: Anatomy) -> np.ndarray:
    """From where organs of these names belong to where the structures lie, (structures, 3) in mm."""
    at = np.array([[place.right_mm, place.front_mm, place.up_mm] for place in structures])
    belong = np.array([anatomy.centre_mm[name] for name in names], float)
    away: np.ndarray = at - belong
    return away


def exchanged(named: Mapping[str, Place], anatomy: Anatomy, gain: float) -> Mapping[str, str]:
    """Better name by present name, where organs have each other's names; empty when the names fit.

    Args:
        named: Places by organ.
        anatomy: The facts.
        gain: By how much the misfit must fall for each name that changes, on average.
    """
    names = [name for name in named if name in anatomy.centre_mm]
    if len(names) < 2:
        return {}
    costs = misfits([named[name] for name in names], names, anatomy, names)
    rows, columns = linear_sum_assignment(costs)
    changed = {names[i]: names[j] for i, j in zip(rows, columns, strict=True) if i != j}
    gained = float(np.trace(costs) - costs[rows, columns].sum())
    return changed if changed and gained > gain * len(changed) else {}


def renamed(named: Mapping[str, Place], anatomy: Anatomy, gain: float) -> Mapping[str, str]:
    """Better name by present name, where one organ has the name of another that is not there; empty when it fits.

    The place has to speak for the other name by itself: a small spleen is no adrenal.

    Args:
        named: Places by organ.
        anatomy: The facts.
        gain: By how much the misfit must fall.
    """
    known = {name: place for name, place in named.items() if name in anatomy.centre_mm}
    others = [
        organ
        for organ in anatomy.volume_ml
        if organ in anatomy.centre_mm and organ not in named and organ not in anatomy.running_through
    ]
    sizeless = replace(anatomy, volume_ml={})
    gains = []
    for organ in known:
        for other in others:
            under_other = {other if name == organ else name: place for name, place in known.items()}
            if _total(known, sizeless) > _total(under_other, sizeless):
                gains.append((_total(known, anatomy) - _total(under_other, anatomy), organ, other))
    gained, organ, other = max(gains, default=(0.0, "", ""))
    return {organ: other} if gained > gain else {}


def _total(named: Mapping[str, Place], anatomy: Anatomy) -> float:
    """Misfit of all organs under their own names."""
    return float(np.trace(misfits(list(named.values()), list(named), anatomy, list(named)))) if named else 0.0


def _of_volume(place: Place, name: str, anatomy: Anatomy) -> float:
    if name not in anatomy.volume_ml:
        return 0.0
    low, high = np.log(anatomy.volume_ml[name])
    away = (np.log(place.volume_ml) - (low + high) / 2) * WIDTH / (high - low)
    return 0.0 if place.faces and away < 0 else float(min(away**2, LIMIT))


def _of_hu(place: Place, name: str, anatomy: Anatomy) -> float:
    if name not in anatomy.median_hu or place.median_hu is None:
        return 0.0
    low, high = anatomy.median_hu[name]
    return 0.0 if low <= place.median_hu <= high else HU_MISFIT
