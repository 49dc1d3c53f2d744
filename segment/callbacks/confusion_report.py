"""Callback that writes the confusion between organs over all test cases, as a table and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segment.data.volumes import LabelledScan
from segment.files import atomic_write
from segment.metrics.confusion import BACKGROUND, confusion, shares, write_confusion
from segment.view import failsafe

MAX_PX = 8000  # height of the picture, which grows with the number of organs


class ConfusionReport(pl.Callback):
    """Write `confusion.csv` and `confusion.png` of a test, summed over all processes.

    Args:
        folder: The run folder.
        organs: Class i is organs[i-1].
    """

    def __init__(self, folder: str | Path, organs: Sequence[str]) -> None:
        self.folder = Path(folder)
        self.organs = list(organs)
        self.matrix = np.zeros((0, 0), dtype=np.int64)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the files of an earlier test: after more training, they belong to another network."""
        if trainer.is_global_zero:
            for name in ("confusion.csv", "confusion.png"):
                (self.folder / name).unlink(missing_ok=True)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the counts."""
        self.matrix = np.zeros((1 + len(self.organs), 1 + len(self.organs)), dtype=np.int64)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: LabelledScan,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a case."""
        self.matrix += confusion(outputs["mask"], batch.reference, len(self.matrix), batch.annotated)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the sum over all cases."""
        own = torch.from_numpy(self.matrix).to(pl_module.device)
        total: np.ndarray = trainer.strategy.reduce(own, reduce_op="sum").cpu().numpy()
        if trainer.is_global_zero:
            write_confusion(self.folder / "confusion.csv", total, self.organs)
            with failsafe.warn_on_error("confusion.png"):
                render_confusion(self.folder / "confusion.png", total, self.organs)


def render_confusion(path: Path, matrix: np.ndarray, organs: Sequence[str]) -> None:
    """Render a confusion matrix as a heat map. Each row shows the shares of one reference class, which add up to 1.

    Args:
        path: Where to write the PNG, atomically.
        matrix: Voxels by reference class (rows) and predicted class (columns).
        organs: Class i is organs[i-1].
    """
    names = [name.replace("_", " ") for name in (BACKGROUND, *organs)]
    share = shares(matrix)
    edge = 2.2 + 0.8 * len(names)  # inches
    figure = Figure(figsize=(edge + 1, edge), dpi=min(100, MAX_PX / edge), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("reference")
    for (row, column), value in np.ndenumerate(share):
        text = "none" if np.isnan(value) else f"{value:.1%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if value > 0.5 else "black")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")
