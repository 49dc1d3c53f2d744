"""Remove pieces that lie where their organ cannot be, given where the other organs are.

Only the mask is known, not the body. So the step looks for the position of the body that most of the mask supports:
every piece of a fair size proposes one, from the usual position of its organ, and all pieces vote. A piece is removed
if the positions for which its place is possible have less than half of the most votes.

What is possible is wide on purpose. A kidney may lie in the pelvis, as after a transplantation, or on the other side; a
spleen may wander; a liver may reach the iliac crest. No abdominal organ lies in the neck or the shoulders. And a single
organ that may lie elsewhere is no evidence against others: beside a kidney in the pelvis, the lower pole of the other
one may be the only other organ in a scan.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from segment.bounds import PositiveFloat, Spacing, in_range
from segment.errors import UserError
from segment.inference.postprocess.pieces import Pieces

MIN_SIZE = 0.02  # of a usual organ: smaller pieces do not propose a position
MAX_PROPOSALS = 100  # the largest pieces; a mask has a few
WIDER = 2.0  # the spreads are those of adults; children and cut organs differ more
# A position counts as evidence with this much of one fixed organ, or of two organs.
FIXED_SHARE, OTHER_SHARE = 0.3, 0.05


class RemoveMisplaced:
    """Remove pieces in an impossible place.

    Args:
        centre_mm: Usual position of each organ's centre: mm to the right, to the front and up; see `Anatomy`.
        spread_mm: Standard deviation of these.
        usual_ml: Usual volume of each organ. A piece of this size has a whole vote.
        reach_mm: For each organ that is judged, how far below and above its usual position a piece may lie.
        aside_mm: How far to the right or left, and to the front or back.
        fixed: Organs that are never elsewhere, so that one of them is evidence alone.

    Raises:
        UserError: When an organ in `reach_mm` has no position or usual volume, or not two positive numbers.
    """

    @in_range
    def __init__(
        self,
        centre_mm: Mapping[str, Sequence[float]],
        spread_mm: Spacing,
        usual_ml: Mapping[str, float],
        reach_mm: Mapping[str, Sequence[float]],
        aside_mm: PositiveFloat,
        fixed: Sequence[str],
    ) -> None:
        for organ, reach in reach_mm.items():
            if len(reach) != 2 or min(reach) <= 0:
                msg = f"reach_mm.{organ} must be two positive numbers, [below, above], got {reach}"
                raise UserError(msg)
            if organ not in centre_mm or organ not in usual_ml:
                missing = "centre_mm" if organ not in centre_mm else "usual_ml"
                msg = f"{organ} has a reach_mm but no {missing}; add {missing}.{organ}, or remove reach_mm.{organ}"
                raise UserError(msg)
        self.centre_mm = {organ: np.array(centre, float) for organ, centre in centre_mm.items()}
        self.spread_mm = WIDER * np.array(spread_mm, float)
        self.usual_ml = dict(usual_ml)
        self.reach_mm = dict(reach_mm)
        self.aside_mm = aside_mm
        self.fixed = list(fixed)

    def __call__(self, pieces: Pieces, organs: Sequence[str]) -> np.ndarray:
        """New class index of each piece, (P,)."""
        judged = [index for index, organ in enumerate(organs, start=1) if organ in self.reach_mm]
        own = np.flatnonzero(np.isin(pieces.value, judged))
        names = [organs[int(index) - 1] for index in pieces.value[own]]
        if len(set(names)) < 2:
            return pieces.value
        size = pieces.volume_ml[own] / [self.usual_ml[name] for name in names]
        origins_mm = pieces.centre_mm[own] - [self.centre_mm[name] for name in names]  # (N,3)
        cut_below, cut_above = _cut(pieces, own)
        most, most_in_place = 0.0, np.zeros(len(own))
        for proposal in np.flatnonzero(size >= max(MIN_SIZE, np.sort(size)[-MAX_PROPOSALS:][0])):
            deviation_mm = origins_mm - origins_mm[proposal]
            up = deviation_mm[:, 2]
            # The true centre of a piece that the scan cuts below is further down, and so is the position that the piece
            # proposes. Above, it is the reverse.
            is_lower, is_higher = cut_below | cut_above[proposal], cut_above | cut_below[proposal]
            up[(is_lower & (up > 0)) | (is_higher & (up < 0))] = 0
            votes = self._votes(deviation_mm, size, names)
            total = sum(votes.values())
            if self._is_evidence(votes):
                most = max(most, total)
            in_place = self._in_place(deviation_mm, names)
            most_in_place[in_place] = np.maximum(most_in_place[in_place], total)
        value = pieces.value.copy()
        value[own[most_in_place < most / 2]] = 0
        return value

    def _votes(self, deviation_mm: np.ndarray, size: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        """Votes for a position of the body: how much of each organ is in its usual place, from 0 to 1."""
        near = size * np.exp(-0.5 * ((deviation_mm / self.spread_mm) ** 2).sum(axis=1))
        return {organ: min(1.0, float(near[np.array(names) == organ].sum())) for organ in sorted(set(names))}

    def _is_evidence(self, votes: Mapping[str, float]) -> bool:
        """Whether a position is supported by a large part of a fixed organ, or by parts of two organs."""
        parts = sum(share >= OTHER_SHARE for share in votes.values())
        return parts >= 2 or any(votes.get(organ, 0.0) >= FIXED_SHARE for organ in self.fixed)

    def _in_place(self, deviation_mm: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Whether each piece may lie where it is, (N,)."""
        reach_mm = np.array([self.reach_mm[name] for name in names])
        up = deviation_mm[:, 2]
        aside = np.abs(deviation_mm[:, :2]).max(axis=1) <= self.aside_mm
        return np.asarray(aside & (up >= -reach_mm[:, 0]) & (up <= reach_mm[:, 1]))


def _cut(pieces: Pieces, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the scan cuts pieces below, and above, (len(own),) each."""
    # Directions, not steps: from one thick slice that leans a little to the next may be further up than along the
    # vertical axis from voxel to voxel.
    vertical = pieces.affine[2, :3] / np.linalg.norm(pieces.affine[:3, :3], axis=0)
    axis = int(np.abs(vertical).argmax())
    low, high = pieces.cut[own, axis], pieces.cut[own, 3 + axis]
    return (low, high) if vertical[axis] > 0 else (high, low)
