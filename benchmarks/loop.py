"""Cost of the framework: epochs of `segment train` compared with the same steps in a bare PyTorch loop.

    python benchmarks/loop.py [overrides of segment train]

Both run in one process and take turns after every step, so that a slower machine slows both. They use the same patches,
network, loss, optimizer and gradient clipping. All time between two steps of the bare loop counts as the framework's:
creating its loader, its loops, loggers, learning rate, ignoring unknown organs in the loss, and the progress bar, which
another thread renders after its callback. Neither side has validation or checkpoints. Target: less than 3 % more time
(docs/design.md).
"""

import copy
import sys
import tempfile
import time
from statistics import median

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from segment import build
from segment.commands.command import config_dir

EPOCHS = 8  # after a warm-up epoch


class Duel(pl.Callback):
    """Times a step of Lightning, then the same step of a bare loop.

    Must be the first callback: work that others start at the end of a step, e.g. in another thread, then counts as the
    framework's.
    """

    def on_train_start(self, trainer, module) -> None:
        self.net = copy.deepcopy(module.net).train()
        self.optimizer = module.make_optimizer(self.net.parameters())
        self.framework: list[float] = []
        self.bare: list[float] = []
        self.since = time.perf_counter()

    def on_train_epoch_start(self, trainer, module) -> None:
        self.framework.append(0.0)
        self.bare.append(0.0)
        self.batches = None

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        start = time.perf_counter()
        self.framework[-1] += start - self.since
        if self.batches is None:
            self.batches = iter(trainer.datamodule.train_dataloader())
        self.step(next(self.batches), trainer.gradient_clip_val, module.criterion)
        if batch_idx + 1 == trainer.num_training_batches:
            self.batches = None  # ends the loader's workers, as the end of a loop does
        self.since = time.perf_counter()
        self.bare[-1] += self.since - start

    def step(self, batch, clip, criterion) -> None:
        loss = criterion(self.net(batch["image"]["data"]), batch["label"]["data"])
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), clip)
        self.optimizer.step()


def main() -> None:
    """Run and print the table."""
    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(config_dir(), version_base="1.3"):
        quiet = [
            "callbacks.checkpoint=null",
            "callbacks.last=null",
            "callbacks.early_stopping=null",
            "callbacks.cases=null",
        ]
        overrides = [f"run_dir={folder}", f"trainer.max_epochs={EPOCHS + 1}", *quiet, *sys.argv[1:]]
        overrides += ["+trainer.enable_checkpointing=false", "+trainer.limit_val_batches=0"]
        cfg = compose("train", overrides=overrides)
        pl.seed_everything(cfg.seed)
        parts = build.parts(cfg)
        len(parts.datamodule.volumes)  # prepare the volumes before the clock starts
        duel = Duel()
        parts.trainer.callbacks.insert(0, duel)
        try:
            parts.trainer.fit(parts.module, datamodule=parts.datamodule)
        finally:
            build.close(parts.trainer)
        size = f"{cfg.data.patches_per_epoch} patches of {list(cfg.data.patch_size)}, batch {cfg.data.batch_size}"
    report(duel, size)


def report(duel: Duel, size: str) -> None:
    """Print the medians of the epochs and of their ratios."""
    framework, bare = duel.framework[1:], duel.bare[1:]
    ratios = sorted(a / b for a, b in zip(framework, bare, strict=True))
    table = Table(title=f"seconds an epoch: {size}")
    for column in ("", "median", "lowest", "highest"):
        table.add_column(column, justify="left" if not column else "right")
    for name, values, form in (("bare loop", bare, ".3f"), ("segment", framework, ".3f"), ("ratio", ratios, ".4f")):
        table.add_row(name, *(format(value, form) for value in (median(values), min(values), max(values))))
    Console().print(table)


if __name__ == "__main__":
    main()
