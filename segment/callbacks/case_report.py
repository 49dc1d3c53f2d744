"""Callback that writes cases.csv and the pictures of every test case."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from segment.data.volumes import LabelledScan
from segment.metrics.cases_csv import append_case, create_cases, sort_cases
from segment.metrics.scores import OrganScore
from segment.view import failsafe
from segment.view.overlay import write_overlay
from segment.view.video import write_video


class CaseReport(pl.Callback):
    """Write `cases.csv` and the pictures of a case, in `cases/<source>-<case>/`, after each test case.

    Args:
        folder: The run folder.
        organs: Class i is organs[i-1].
        overlay: Whether to write `overlay.png`.
        video: Whether to write `organs.mp4` and `turntable.gif`, which takes up to half a minute a case.
    """

    def __init__(self, folder: str | Path, organs: Sequence[str], overlay: bool, video: bool) -> None:
        self.folder = Path(folder)
        self.organs = list(organs)
        self.overlay = overlay
        self.video = video
        self.positions: dict[str, int] = {}  # in the test set, by case id

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the table of an earlier test: after more training, its scores belong to another network."""
        if trainer.is_global_zero:
            (self.folder / "cases.csv").unlink(missing_ok=True)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Create an empty table."""
        self.positions = {}
        if trainer.is_global_zero:
            create_cases(self.folder / "cases.csv")
        trainer.strategy.barrier()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401  # Lightning's own type would need a cast
        batch: LabelledScan,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the case."""
        # With n processes, process r tests the cases r, r + n, r + 2n and so on (`CTDataModule.test_dataloader`).
        self.positions[batch.id] = trainer.global_rank + batch_idx * trainer.world_size
        self.add(batch, outputs["mask"], outputs["scores"])

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sort the rows of several processes, which were appended as they finished, as one process would write them."""
        if trainer.world_size == 1:
            return
        gathered: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(gathered, self.positions)  # also waits for the rows of all processes
        if trainer.is_global_zero:
            positions: dict[str, int] = {}
            for part in gathered:
                positions.update(part)
            sort_cases(self.folder / "cases.csv", sorted(positions, key=lambda case: positions[case]))

    def add(self, labelled: LabelledScan, mask: np.ndarray, scores: list[OrganScore]) -> None:
        """Write the pictures and rows of a case. A picture that fails is logged, and the rows are still written."""
        folder = self.folder / "cases" / labelled.id.replace("/", "-")
        ct, affine = labelled.scan.data, labelled.scan.affine
        if self.overlay:
            with failsafe.warn_on_error(f"overlay.png of {labelled.id}"):
                write_overlay(
                    folder / "overlay.png",
                    ct,
                    mask,
                    affine,
                    self.organs,
                    reference=labelled.reference,
                    annotated=labelled.annotated,
                    title=labelled.id,
                )
        if self.video:
            with failsafe.warn_on_error(f"organs.mp4 of {labelled.id}"):
                write_video(
                    folder / "organs.mp4",
                    ct,
                    mask,
                    affine,
                    self.organs,
                    reference=labelled.reference,
                    annotated=labelled.annotated,
                    title=labelled.id,
                    turntable=folder / "turntable.gif",
                )
        append_case(self.folder / "cases.csv", labelled.id, scores)
