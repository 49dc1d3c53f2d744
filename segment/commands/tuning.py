"""Choose the steps of the post-processing during `segment evaluate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segment.checkpoint.load_ensemble import Ensemble
from segment.checkpoint.tuned import write_tuned
from segment.data.volumes import LabelledScan
from segment.inference.postprocess.clean_up import Step
from segment.inference.postprocess.tuning import (
    Recorder,
    append_gains,
    measure_steps,
    organs_left_out,
    print_gains,
    read_gains,
)

TABLE = "postprocessing.csv"


class Tuning:
    """Measure the steps on every case that is scored, and write checkpoints with those that help.

    The scores of the evaluation are those of the checkpoint's own post-processing.

    Args:
        trained: The networks.
        steps: The steps to try, by name.
        folder: The run folder.
    """

    def __init__(self, trained: Ensemble, steps: Mapping[str, Step | None], folder: Path) -> None:
        self.trained = trained
        self.steps = steps
        self.folder = folder
        # An ensemble uses the post-processing of its first member.
        segmenter = trained.members[0].segmenter
        self.recorder = Recorder(segmenter.postprocess)
        segmenter.postprocess = self.recorder

    def add(self, labelled: LabelledScan) -> None:
        """Measure the steps on the case that was segmented last."""
        raw, affine = self.recorder.raw, labelled.scan.affine
        organs, annotated = self.trained.organs, labelled.annotated
        dices = measure_steps(raw, labelled.reference, affine, organs, self.steps, annotated)
        append_gains(self.folder / TABLE, labelled.id, dices)

    def conclude(self, steps: Mapping[str, Any], cases: Mapping[str, str]) -> None:
        """Print the gains, and write a copy of each checkpoint with the steps that help.

        Args:
            steps: The steps as plain values.
            cases: Voxel hashes of the cases by id.
        """
        table = self.folder / TABLE
        if not table.exists():  # every case failed
            return
        gains = read_gains(table)
        print_gains(gains)
        chosen = organs_left_out(gains)
        paths = self.trained.paths
        for number, path in enumerate(paths, start=1):
            target = self.folder / ("tuned.ckpt" if len(paths) == 1 else f"tuned_{number}.ckpt")
            write_tuned(path, target, steps, chosen, cases)
            print(f"checkpoint with this post-processing: {target}")
