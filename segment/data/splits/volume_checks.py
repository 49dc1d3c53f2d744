"""Checks of a split that need the voxels and labels of its cases."""

import logging
from collections.abc import Collection, Mapping, Sequence

from segment.data.splits.split import Split
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError

log = logging.getLogger(__name__)


def check_leaks(split: Split, voxel_hashes: Mapping[str, str]) -> None:
    """Check that no CT is in two parts, unless the split shares cases on purpose.

    Args:
        split: The split.
        voxel_hashes: `voxel_hash` of each CT, by case id.

    Raises:
        UserError: When two cases of different parts hold the same voxels.
    """
    if split.shared:
        return
    first: dict[str, tuple[str, str]] = {}  # case id and part in which each CT occurs first
    for part in PARTS:
        for case in getattr(split, part):
            other, other_part = first.setdefault(voxel_hashes[case.id], (case.id, part))
            if other_part != part:
                msg = f"{other} ({other_part}) and {case.id} ({part}) hold the same voxels; remove one of them"
                raise UserError(msg)


def check_origins(split: Split, voxel_hashes: Mapping[str, str], origin_hashes: Mapping[str, str]) -> None:
    """Check that no synthetic case was made from the label map of a CT that validates or tests under another name.

    Args:
        split: The split.
        voxel_hashes: `voxel_hash` of each CT, by case id.
        origin_hashes: `voxel_hash` of the CT to which the label map belongs, by id of the synthetic case.

    Raises:
        UserError: When there is such a case.
    """
    held_out = {voxel_hashes[case.id]: case.id for case in (*split.val, *split.test)}
    for name, origin in origin_hashes.items():
        if origin in held_out:
            msg = (
                f"{name} (train) was made from the label map of a CT with the same voxels as {held_out[origin]}, which "
                "validates or tests; leave one of them out by data.exclude"
            )
            raise UserError(msg)


def check_maps(split: Split, map_hashes: Mapping[str, Collection[str]]) -> None:
    """Check that no synthetic case was made from a label map that belongs to a CT that validates or tests.

    Args:
        split: The split.
        map_hashes: `voxel_hash` of the label files, by id of the cases that validate or test and of the synthetic cases
            that were made from a label map without CT.

    Raises:
        UserError: When there is such a case.
    """
    held_out: dict[str, str] = {}
    for case in (*split.val, *split.test):
        held_out |= dict.fromkeys(map_hashes.get(case.id, ()), case.id)
    for case in split.train:
        for voxels in set(map_hashes.get(case.id, ())) & held_out.keys():
            msg = (
                f"{case.id} (train) was made from the label map of {held_out[voxels]}, which validates or tests; take "
                "that map out of its folder, or leave one of the cases out by data.exclude"
            )
            raise UserError(msg)


def check_organs(split: Split, organs: Sequence[str], classes: Mapping[str, Collection[int]]) -> None:
    """Check that the training cases show every organ and the validation cases at least one.

    A warning names the organs that no validation case shows.

    Args:
        split: The split.
        organs: Class i is organs[i-1].
        classes: Classes that each case shows, by case id.

    Raises:
        UserError: When an organ cannot be learned, or no epoch can be scored.
    """
    missing = _not_shown(split.train, organs, classes)
    if missing:
        other = "choose another one with split.case=<its id>, " if split.shared else ""
        msg = f"no training case shows {', '.join(missing)}; {other}check its code or mask, or remove it from organs"
        raise UserError(msg)
    missing = _not_shown(split.val, organs, classes)
    if missing:
        names = ", ".join(missing)
        log.warning("no validation case shows %s, so it does not count when the best epoch is chosen", names)
    if len(missing) == len(organs):
        msg = "no validation case shows any organ, so no epoch could be scored; choose another split"
        raise UserError(msg)


def _not_shown(cases: Sequence[Case], organs: Sequence[str], classes: Mapping[str, Collection[int]]) -> list[str]:
    shown: set[int] = set()
    for case in cases:
        shown.update(classes[case.id])
    return [organ for index, organ in enumerate(organs, start=1) if index not in shown]
