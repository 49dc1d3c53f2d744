"""Callback that writes the best weights to a small file at the end of a training."""

from pathlib import Path

import pytorch_lightning as pl

from segment.checkpoint.compact import write_compact


class CompactWeights(pl.Callback):
    """At the end of the training, write the best checkpoint's weights in half precision, without the optimizer's state.

    The file is for sharing: `segment predict` and `init_from` take it, but a run cannot resume from it.

    Args:
        source: The checkpoint.
        target: The file to write.
    """

    def __init__(self, source: str | Path, target: str | Path) -> None:
        self.source = Path(source)
        self.target = Path(target)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file, unless no epoch was finished."""
        if trainer.is_global_zero and self.source.is_file():
            write_compact(self.source, self.target)
