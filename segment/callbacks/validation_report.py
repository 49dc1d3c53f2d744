"""Callback that writes the validation scores of the best epoch, and pictures of two of its cases."""

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from segment.data.splits.split import Split
from segment.data.volumes import ScanDataset
from segment.files import write_text
from segment.inference.segmenter import Segmenter
from segment.metrics.cases_csv import csv_text
from segment.metrics.confusion import confusion, dice, worst_and_median, write_confusion
from segment.model.state_keys import CRITERION
from segment.view import failsafe
from segment.view.overlay import write_overlay

Scores = tuple[np.ndarray, list[float]]  # confusion matrix of a case, and the Dice of its organs


class ValidationReport(pl.Callback):
    """Write `validation/cases.csv`, `confusion.csv` and, when training ends, `worst.png` and `median.png`.

    The tables describe the best epoch, on preprocessed volumes. The pictures show the cases with the lowest and the
    median mean Dice of that epoch, segmented by the best checkpoint on their own grids. This takes as long as two test
    cases.

    Args:
        folder: The run folder.
        organs: Class i is organs[i-1].
        overlay: Whether to write the pictures.
        split: Returns the split; the pictures show two of its validation cases. Called when training has ended.
    """

    def __init__(self, folder: str | Path, organs: Sequence[str], overlay: bool, split: Callable[[], Split]) -> None:
        self.folder = Path(folder) / "validation"
        self.organs = list(organs)
        self.overlay = overlay
        self.split = split
        self.scores: dict[str, Scores] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the scores."""
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
        """Add the cases of a batch."""
        label = batch["label"]["data"]
        for case, pred, reference, known in zip(batch["id"], outputs["pred"], label, batch["annotated"], strict=True):
            annotated = known.tolist()
            matrix = confusion(_to_numpy(pred[0]), _to_numpy(reference[0]), len(annotated), annotated)
            self.scores[case] = matrix, dice(matrix, annotated)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the tables if this epoch is the best so far. Its checkpoint is saved after this."""
        best = trainer.checkpoint_callback
        if trainer.sanity_checking or not isinstance(best, ModelCheckpoint) or best.monitor is None:
            return
        score = trainer.callback_metrics.get(best.monitor)
        if best.check_monitor_top_k(trainer, score) and _is_better(score, best):
            scores = self._gather(trainer)
            if trainer.is_global_zero:
                self._write(scores)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the pictures.

        The table on disk decides which cases to show. A run that was killed after its last epoch therefore gets its
        pictures when it is resumed.
        """
        best = getattr(trainer.checkpoint_callback, "best_model_path", "")
        if self.overlay and trainer.is_global_zero and best and (self.folder / "cases.csv").exists():
            device = trainer.strategy.root_device
            with failsafe.warn_on_error("validation/worst.png and median.png"), _weights_of(best, pl_module, device):
                self._write_pictures(pl_module)

    def _gather(self, trainer: pl.Trainer) -> dict[str, Scores]:
        """Scores by case, of all processes. With few cases, several processes validate the same one."""
        gathered: list[Any] = [self.scores]
        if trainer.world_size > 1:
            gathered = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, self.scores)
        scores: dict[str, Scores] = {}
        for part in gathered:
            scores.update(part)
        return dict(sorted(scores.items()))

    def _write(self, scores: Mapping[str, Scores]) -> None:
        rows: list[tuple[object, ...]] = [("case", "organ", "dice")]
        for case, (_, values) in scores.items():
            rows += [(case, organ, value) for organ, value in zip(self.organs, values, strict=True)]
        write_text(self.folder / "cases.csv", csv_text(rows))
        total = np.sum([matrix for matrix, _ in scores.values()], axis=0)
        write_confusion(self.folder / "confusion.csv", total, self.organs)

    def _write_pictures(self, pl_module: pl.LightningModule) -> None:
        worst, median = self._worst_and_median()
        cases = {case.id: case for case in self.split().val}
        if not {worst, median} <= cases.keys():  # the split has changed since the best epoch
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
        """The two cases, read from the table, because an earlier process may have written it."""
        values: dict[str, list[float]] = {}
        with (self.folder / "cases.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                values.setdefault(row["case"], []).append(float(row["dice"]))
        return worst_and_median(values.items())


def _to_numpy(mask: torch.Tensor) -> np.ndarray:
    array: np.ndarray = mask.to("cpu", torch.uint8).numpy()
    return array


def _is_better(score: torch.Tensor | None, best: ModelCheckpoint) -> bool:
    """Whether a score is the best so far, not just among the `save_top_k` best."""
    if score is None or best.best_model_score is None:
        return True
    return bool(score < best.best_model_score if best.mode == "min" else score > best.best_model_score)


@contextmanager
def _weights_of(checkpoint: str, module: pl.LightningModule, device: torch.device) -> Iterator[None]:
    """Give a module the weights of a checkpoint, except those of its loss, on a device, while the block runs."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    original_device = module.device
    best = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    # A run that was resumed with another loss may have its best checkpoint from before.
    weights = {name: value for name, value in best.items() if not name.startswith(CRITERION)}
    module.load_state_dict(weights, strict=False)
    module.to(device)
    try:
        yield
    finally:
        module.load_state_dict(before)
        module.to(original_device)
