"""Clean a mask in configured steps."""

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from segment.errors import UserError
from segment.inference.postprocess.pieces import Pieces, find_pieces
from segment.inference.postprocess.runs import Runs, find_runs, set_runs

log = logging.getLogger(__name__)

# Maps the pieces of a mask, and the names of the organs, to new class indices (P,). A step depends on nothing else.
Step = Callable[[Pieces, Sequence[str]], np.ndarray]

MAX_ROUNDS = 50  # of all steps. Two or three are usual: every change leaves fewer pieces
MAX_RUNS = 5_000_000  # 1 GB of memory; a CT of 512×512×133 has about 200,000


class CleanUp:
    """Clean a mask in steps, until no step changes anything.

    Steps may remove pieces and fill holes. They decide by the pieces' sizes, positions and neighbours, so the result
    does not depend on the orientation of the grid. Cleaning a mask twice is the same as cleaning it once.

    Args:
        organs: Class i is organs[i-1].
        steps: Steps by name, in their order; None leaves one out.
        left_out: For each step, the organs that it leaves as they are; see `tune_postprocessing`.

    Raises:
        UserError: When `left_out` names an unknown step.
    """

    def __init__(
        self, organs: Sequence[str], steps: Mapping[str, Step | None], left_out: Mapping[str, Sequence[str]]
    ) -> None:
        self.organs = list(organs)
        self.steps = {name: step for name, step in steps.items() if step is not None}
        self.left_out = {name: list(names) for name, names in left_out.items()}
        unknown = [name for name in self.left_out if name not in steps]
        if unknown:
            msg = f"postprocess.left_out names the step {unknown[0]}; the steps are {', '.join(steps) or 'none'}"
            raise UserError(msg)

    def __call__(self, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """Clean class indices.

        Args:
            mask: (I,J,K) uint8. It is overwritten if it is contiguous, so that no copy is in memory.
            affine: (4,4) voxel → RAS+ mm.

        Returns:
            The cleaned mask. An empty mask stays empty.
        """
        mask = np.ascontiguousarray(mask)
        runs = find_runs(mask)
        if runs is None:
            return mask
        if len(runs.start) > MAX_RUNS:
            log.warning(
                "the mask has %d runs of equal voxels and is not cleaned: it is noise; check the network and the CT",
                len(runs.start),
            )
            return mask
        value = self._clean(runs, affine)
        changed = np.flatnonzero(value != runs.value)
        set_runs(mask, runs, changed, value[changed])
        return mask

    def _clean(self, runs: Runs, affine: np.ndarray) -> np.ndarray:
        """New class index of each run, (N,)."""
        pieces, piece_of_run = find_pieces(runs, affine)
        for _ in range(MAX_ROUNDS):
            before = pieces
            for name, step in self.steps.items():
                value = self._without_left_out(name, pieces.value, step(pieces, self.organs))
                if not np.array_equal(value, pieces.value):
                    pieces, new_index = pieces.with_values(value)
                    piece_of_run = new_index[piece_of_run]
            if pieces is before:
                break
        return np.asarray(pieces.value[piece_of_run])

    def _without_left_out(self, name: str, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Classes after a step, (P,), without its changes to organs that it leaves out."""
        is_left_out = np.zeros(256, bool)
        for index, organ in enumerate(self.organs, start=1):
            is_left_out[index] = organ in self.left_out.get(name, ())
        return np.where(is_left_out[before] | is_left_out[after], before, after)
