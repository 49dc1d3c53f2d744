"""The LightningModule: forward, loss, scores; everything it is made of comes from configuration."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torchio as tio
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from segment.data.volumes import LabelledScan
from segment.errors import UserError
from segment.inference.segmenter import PostProcess, Segmenter
from segment.metrics.meter import OrganMeter
from segment.metrics.scores import OrganScore, mean_scores, score_case
from segment.model.combined_loss import Criterion, DeepSupervision, set_epoch
from segment.model.marginal_loss import marginal


class SegmentationModule(pl.LightningModule):
    """Train any network that maps a patch to logits of the same size, and score it on whole patients.

    Logs `train/loss_step`, the mean over a step's batches, and `train/lr` of every `log_every_n_steps`-th step and of
    an epoch's last one; `train/loss` of every epoch; `val/loss`, `val/dice/<organ>`, `val/dice/mean`,
    `val/accuracy/<organ>` and `val/accuracy` on whole preprocessed volumes; and `test/dice|hd95_mm|nsd/<organ>` and
    their means on the CTs' own grids. A patient's scores come first, then their mean over patients; an organ absent
    from prediction and reference is left out. Organs that a case's label does not annotate take part in neither loss
    nor scores.

    Args:
        organs: Class i is organs[i-1].
        net: Called with `out_channels`, the number of classes with background; returns the network. In training mode
            the network may return a list of logits of several resolutions, the finest first (deep supervision).
        criterion: Called with logits (B,C,I,J,K) float32 and label (B,1,I,J,K); returns a scalar.
        preprocess: The transform that volumes went through; test and prediction repeat it.
        inferer: Runs the network over a whole volume; see `segment.inference.sliding_window.SlidingWindow`.
        postprocess: Cleans a mask on the CT's grid, or None.
        optimizer: Called with the parameters.
        scheduler: Called with the optimizer, stepped after every epoch; or None. One that takes `total_steps` is given
            the optimizer steps of the whole run and stepped after each.
        tolerance_mm: Tolerance of the normalised surface distance (nsd) per organ, in mm.

    Raises:
        UserError: When an organ has no tolerance.
    """

    def __init__(
        self,
        organs: Sequence[str],
        net: Callable[..., nn.Module],
        criterion: Criterion,
        preprocess: tio.Transform,
        inferer: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
        postprocess: PostProcess | None,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None,
        tolerance_mm: Mapping[str, float],
    ) -> None:
        super().__init__()
        if missing := [organ for organ in organs if organ not in tolerance_mm]:
            msg = f"tolerance_mm has no value for {', '.join(missing)}; add it in mm: +tolerance_mm.{missing[0]}=3"
            raise UserError(msg)
        self.organs = list(organs)
        self.net = net(out_channels=1 + len(self.organs))
        self.criterion = DeepSupervision(criterion)
        self.inferer = inferer
        self.segmenter = Segmenter(self.net, preprocess, inferer, postprocess, 1 + len(self.organs))
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.tolerance_mm = dict(tolerance_mm)
        self.val_meter = OrganMeter(self.organs)
        self.test_scores: list[list[OrganScore]] = []
        # Sum of this epoch's losses and their number. Lightning's own mean would start at 0 after a resume.
        self.losses = torch.zeros(2)
        self.step_losses: list[Tensor] = []  # of the batches since the last step
        # Plain values that travel in checkpoints; `build` fills them.
        self.checkpoint_metadata: dict[str, Any] = {}

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B,C,I,J,K) of patches (B,1,I,J,K)."""
        logits: Tensor = self.net(image)
        return logits

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> Tensor:
        """Loss of a batch of patches."""
        image, label = batch["image"]["data"], batch["label"]["data"]
        loss: Tensor = self.criterion(marginal(self.net(image), batch["annotated"]), label)
        value = loss.detach().float()
        self.losses = self.losses.to(value.device) + torch.stack([value, torch.ones_like(value)])
        self.step_losses.append(value)
        self.log("loss", loss, prog_bar=True, logger=False, batch_size=len(image))
        if self.trainer.is_last_batch:
            mean = self.losses[0] / self.losses[1]
            self.log("train/loss", mean, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)
        return loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Log loss and learning rate of this step, before any checkpoint holds it.

        Lightning's own logging of steps adds one when training is told to end, which no resume would repeat.
        """
        step, trainer = self.trainer.global_step, self.trainer
        losses, self.step_losses = self.step_losses, []
        if (step + 1) % trainer.log_every_n_steps and not trainer.is_last_batch:  # type: ignore[attr-defined]
            return
        scalars = {"train/loss_step": float(torch.stack(losses).mean()), "train/lr": optimizer.param_groups[0]["lr"]}
        for logger in trainer.loggers:
            logger.log_metrics({**scalars, "epoch": self.current_epoch}, step=step)

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's mean loss; not called when an epoch is resumed in its middle."""
        self.losses = torch.zeros(2)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Tell the criterion the epoch: before every batch, because an epoch may be resumed in its middle."""
        set_epoch(self.criterion, self.current_epoch)

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Loss and scores of one whole volume; `pred` (1,1,I,J,K), its class indices, for callbacks."""
        image, label = batch["image"]["data"], batch["label"]["data"]
        logits, known = self.inferer(self.net, image), batch["annotated"]
        self.log("val/loss", self.criterion(marginal(logits, known), label), batch_size=1, sync_dist=True)
        pred = logits.argmax(dim=1, keepdim=True)
        self.val_meter.update(pred, label, known)
        return {"pred": pred}

    def on_validation_epoch_end(self) -> None:
        """Log the scores of all validation patients."""
        for name, value in self.val_meter.compute().items():
            self.log(f"val/{name}", value, prog_bar=name.startswith("dice/"))
        self.val_meter.reset()

    def on_test_epoch_start(self) -> None:
        """Forget an earlier test."""
        self.test_scores = []

    def test_step(self, batch: LabelledScan, batch_idx: int) -> dict[str, Any]:
        """`mask` and `scores` of one CT, on its own grid, for callbacks."""
        mask = self.segmenter(batch.scan)
        scores = score_case(mask, batch.reference, batch.scan.affine, self.organs, self.tolerance_mm, batch.annotated)
        self.test_scores.append(scores)
        return {"mask": mask, "scores": scores}

    def on_test_epoch_end(self) -> None:
        """Log the scores of all test patients, of every process."""
        scores = self.test_scores
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, scores)
            scores = [case for part in gathered for case in part]
        for name, value in mean_scores(scores).items():
            self.log(f"test/{name}", value, rank_zero_only=True)

    def configure_optimizers(self) -> Any:  # noqa: ANN401  # Lightning's own type is not public
        """Optimizer and, if there is one, the scheduler, stepped once an epoch or once a step."""
        optimizer = self.make_optimizer(self.net.parameters())
        if self.make_scheduler is None:
            return optimizer
        if "total_steps" not in inspect.signature(self.make_scheduler).parameters:
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.make_scheduler(optimizer)}}
        make_scheduler: Callable[..., LRScheduler] = self.make_scheduler
        scheduler = make_scheduler(optimizer, total_steps=self._total_steps())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _total_steps(self) -> int:
        steps = self.trainer.estimated_stepping_batches
        if not 0 < steps < math.inf:
            msg = (
                f"the learning rate schedule needs the number of epochs; set trainer.max_epochs, now "
                f"{self.trainer.max_epochs}"
            )
            raise UserError(msg)
        # Counting makes a loader before the checkpoint is read, so it would not be told its place in the epoch; without
        # it, Lightning makes another when training begins.
        self.trainer.fit_loop._combined_loader = None
        return int(steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put what prediction needs beside the weights, as plain values; and the epoch's losses, for a resume."""
        checkpoint["segment"] = self.checkpoint_metadata
        # Mean over processes, which then all go on with the same.
        checkpoint["losses"] = self.trainer.strategy.reduce(self.losses.clone(), reduce_op="mean").cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the epoch's losses up again."""
        self.losses = checkpoint.get("losses", self.losses)
