"""Compare the masks of an exported file with those of its checkpoint."""

from dataclasses import dataclass

import numpy as np

from segment.checkpoint.load import TrainedModel
from segment.errors import UserError
from segment.exported import segment_onnx
from segment.exported.read import parse_exported
from segment.exported.script import import_clean_up
from segment.inference.engines.onnx_engine import OnnxEngine
from segment.io.scan import Scan
from segment.memory.measure import CPU

LEAST = 0.999  # Dice of each organ with the checkpoint's mask


@dataclass(frozen=True)
class Agreement:
    """How the masks of an exported file agree with the checkpoint's, on one CT.

    Attributes:
        predict: Dice per organ of `segment predict` with the file; None if both masks lack the organ.
        script: The same of the stand-alone script.
        voxels: Number of voxels of the CT that differ, of both.
    """

    predict: dict[str, float | None]
    script: dict[str, float | None]
    voxels: tuple[int, int]

    @property
    def least(self) -> dict[str, float | None]:
        """The lower Dice of each organ."""
        lower: dict[str, float | None] = {}
        for organ, dice in self.predict.items():
            lower[organ] = min((d for d in (dice, self.script[organ]) if d is not None), default=None)
        return lower


def verify(content: bytes, trained: TrainedModel, scan: Scan, threads: int) -> Agreement:
    """Segment a CT with a checkpoint, with the exported file, and with the stand-alone script.

    Args:
        content: The exported file.
        trained: The checkpoint, on the CPU.
        scan: A CT that shows at least one of the organs.
        threads: Number of threads of ONNX Runtime.

    Raises:
        UserError: When the checkpoint finds no organ in the CT, so that there is nothing to compare.
    """
    expected = trained.segmenter(scan)
    if not expected.any():
        msg = "the checkpoint finds no organ in this CT, so the masks say nothing; give a CT that shows one with input="
        raise UserError(msg)
    segmenter = parse_exported(content).segmenter
    segmenter.run = OnnxEngine(CPU, threads).prepare(segmenter.net, ())
    import_clean_up()
    session, recipe = segment_onnx.load(content, threads)
    predicted, by_script = segmenter(scan), segment_onnx.segment(scan.data, scan.affine, session, recipe)
    return Agreement(
        _dice(predicted, expected, trained.organs),
        _dice(by_script, expected, trained.organs),
        (int(np.count_nonzero(predicted != expected)), int(np.count_nonzero(by_script != expected))),
    )


def check(agreement: Agreement) -> None:
    """Refuse a file whose masks differ.

    Raises:
        UserError: With the organs and their Dice.
    """
    low = {organ: dice for organ, dice in agreement.least.items() if dice is not None and dice < LEAST}
    if low:
        found = ", ".join(f"{organ} {dice:.4f}" for organ, dice in low.items())
        msg = (
            f"the exported network does not agree with the checkpoint: Dice of {found}, below {LEAST}; nothing is "
            "written; use the checkpoint itself"
        )
        raise UserError(msg)


def _dice(mask: np.ndarray, expected: np.ndarray, organs: list[str]) -> dict[str, float | None]:
    scores: dict[str, float | None] = {}
    for index, organ in enumerate(organs, start=1):
        ours, theirs = mask == index, expected == index
        total = np.count_nonzero(ours) + np.count_nonzero(theirs)
        scores[organ] = 2 * np.count_nonzero(ours & theirs) / total if total else None
    return scores
