"""The callback that leaves the scores of the best epoch's validation, and pictures of two of its cases."""

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from segment.data.volumes import ScanDataset
from segment.files import write_text
from segment.inference.segmenter import Segmenter
from segment.metrics.cases_csv import csv_text
from segment.metrics.confusion import confusion, dice, worst_and_median, write_confusion
from segment.view import failsafe as guard
from segment.view.overlay import write_overlay

Scores = tuple[np.ndarray, list[float]]  # confusion and Dice of the organs


class ValidationReport(pl.Callback):
    """Write `validation/cases.csv`, `confusion.csv` and, when training ends, `worst.png` and `median.png`.

    The tables are those of the best epoch, on preprocessed volumes. The pictures show the cases of its lowest and its
    median mean Dice, segmented by the best checkpoint on their own grids, which takes as long as two test cases.

    Args:
        folder: The run folder.
        organs: Class i is organs[i-1].
        overlay: Whether to draw.
    """

    def __init__(self, folder: str | Path, organs: Sequence[str], overlay: bool) -> None:
        self.folder = Path(folder) / "validation"
        self.organs = list(organs)
        self.overlay = overlay
        self.scores: dict[str, Scores] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self.scores = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Mapping[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the cases."""
        label = batch["label"]["data"]
        for case, pred, reference, known in zip(batch["id"], outputs["pred"], label, batch["annotated"], strict=True):
            found, true = (mask[0].to("cpu", torch.uint8).numpy() for mask in (pred, reference))
            annotated = known.tolist()
            matrix = confusion(found, true, len(annotated), annotated)
            self.scores[case] = matrix, dice(matrix, annotated)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the tables if this is the best epoch so far, whose checkpoint is about to be saved."""
        best = trainer.checkpoint_callback
        if trainer.sanity_checking or not isinstance(best, ModelCheckpoint) or best.monitor is None:
            return
        score = trainer.callback_metrics.get(best.monitor)
        if best.check_monitor_top_k(trainer, score) and _is_better(score, best):
            scores = self._of_all_processes(trainer)
            if trainer.is_global_zero:
                self._write(scores)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, also when a run that was stopped just before goes on."""
        best = getattr(trainer.checkpoint_callback, "best_model_path", "")
        if self.overlay and trainer.is_global_zero and best and (self.folder / "cases.csv").exists():
            device = trainer.strategy.root_device
            with guard.picture("validation/worst.png and median.png"), _weights_of(best, pl_module, device):
                self._draw(trainer, pl_module)

    def _of_all_processes(self, trainer: pl.Trainer) -> dict[str, Scores]:
        """Scores by case, each once: with few cases, several processes have the same."""
        gathered: list[Any] = [self.scores]
        if trainer.world_size > 1:
            gathered = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, self.scores)
        return dict(sorted({case: score for part in gathered for case, score in part.items()}.items()))

    def _write(self, scores: Mapping[str, Scores]) -> None:
        rows = [
            (case, organ, value)
            for case, (_, values) in scores.items()
            for organ, value in zip(self.organs, values, strict=True)
        ]
        write_text(self.folder / "cases.csv", csv_text([("case", "organ", "dice"), *rows]))
        total = np.sum([matrix for matrix, _ in scores.values()], axis=0)
        write_confusion(self.folder / "confusion.csv", total, self.organs)

    def _draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        worst, median = self._worst_and_median()
        cases = {case.id: case for case in trainer.datamodule.split.val}  # type: ignore[attr-defined]
        if not {worst, median} <= cases.keys():  # since the best epoch, the split was changed
            return
        segmenter: Segmenter = pl_module.segmenter  # type: ignore[assignment]
        for case, name in {median: "median.png", worst: "worst.png"}.items():
            labelled = ScanDataset([cases[case]], self.organs)[0]
            write_overlay(
                self.folder / name,
                labelled.scan.data,
                segmenter(labelled.scan),
                labelled.scan.affine,
                self.organs,
                reference=labelled.reference,
                annotated=labelled.annotated,
                title=labelled.id,
            )
        if worst == median:
            shutil.copyfile(self.folder / "worst.png", self.folder / "median.png")

    def _worst_and_median(self) -> tuple[str, str]:
        """Of the table, since an earlier process may have written it."""
        values: dict[str, list[float]] = {}
        with (self.folder / "cases.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                values.setdefault(row["case"], []).append(float(row["dice"]))
        return worst_and_median(values.items())


def _is_better(score: torch.Tensor | None, best: ModelCheckpoint) -> bool:
    """Whether a score is the best so far, not only one of the best that are kept."""
    if score is None or best.best_model_score is None:
        return True
    return bool(score < best.best_model_score if best.mode == "min" else score > best.best_model_score)


@contextmanager
def _weights_of(checkpoint: str, module: pl.LightningModule, device: torch.device) -> Iterator[None]:
    """Let a module have a checkpoint's weights, on a device, while the block runs."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    origin = module.device
    module.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"])
    module.to(device)
    try:
        yield
    finally:
        module.load_state_dict(before)
        module.to(origin)
