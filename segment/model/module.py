"""The LightningModule: it trains, validates and tests a network, and logs losses and scores."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torchio as tio
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from segment.data.volumes import LabelledScan
from segment.errors import UserError
from segment.inference.segmenter import PostProcess, Segmenter
from segment.metrics.meter import OrganMeter
from segment.metrics.scores import OrganScore, mean_scores, score_case
from segment.model.combined_loss import Criterion, DeepSupervision, set_epoch
from segment.model.lightning_internals import discard_train_loader
from segment.model.marginal_loss import marginal
from segment.model.state_keys import CRITERION


class SegmentationModule(pl.LightningModule):
    """Train any network that maps a patch to logits of the same size, and score it on whole patients.

    Logs

    - `train/loss_step` (mean over the batches of a step) and `train/lr`: every `log_every_n_steps`-th step and the last
      step of an epoch;
    - `train/loss`: every epoch;
    - `val/loss`, `val/dice/<organ>`, `val/dice/mean`, `val/accuracy/<organ>` and `val/accuracy`: on whole preprocessed
      volumes;
    - `test/dice|hd95_mm|nsd/<organ>` and their means: on the CTs' own grids.

    Scores are computed for each patient, then averaged over patients. An organ absent from prediction and reference is
    left out. An organ that a case does not annotate affects neither the loss nor the scores.

    Args:
        organs: Class i is organs[i-1].
        net: Called with `out_channels`, the number of classes including background; returns the network. In training
            mode the network may return a list of logits at several resolutions, the finest first (deep supervision).
        criterion: Called with logits (B,C,I,J,K) float32 and label (B,1,I,J,K); returns a scalar.
        preprocess: The transform of the training volumes; test and prediction apply it, too.
        inferer: Runs the network over a whole volume; see `segment.inference.sliding_window.SlidingWindow`.
        postprocess: Cleans a mask on the CT's grid, or None.
        optimizer: Called with the parameters.
        scheduler: Called with the optimizer, stepped after every epoch; or None. A scheduler with the argument
            `total_steps` gets the number of optimizer steps of the whole run and is stepped after every step.
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
        missing = [organ for organ in organs if organ not in tolerance_mm]
        if missing:
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
        # Sum and number of the losses of this epoch. Lightning's own mean would start at 0 after a resume.
        self.losses = torch.zeros(2)
        self.step_losses: list[Tensor] = []  # losses of the batches since the last step
        # Plain values for the checkpoint, set by `build`.
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
        """Log loss and learning rate of this step, before a checkpoint contains the step.

        Lightning's own logging also logs the step at which training is stopped, and a resumed run would not repeat
        that row.
        """
        trainer = self.trainer
        step = trainer.global_step
        losses, self.step_losses = self.step_losses, []
        if (step + 1) % trainer.log_every_n_steps and not trainer.is_last_batch:  # type: ignore[attr-defined]
            return
        scalars = {"train/loss_step": float(torch.stack(losses).mean()), "train/lr": optimizer.param_groups[0]["lr"]}
        for logger in trainer.loggers:
            logger.log_metrics({**scalars, "epoch": self.current_epoch}, step=step)

    def on_train_epoch_start(self) -> None:
        """Reset the mean loss of the epoch. Lightning does not call this if a run resumes within an epoch."""
        self.losses = torch.zeros(2)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Pass the epoch to the criterion, before every batch because a run may resume within an epoch."""
        set_epoch(self.criterion, self.current_epoch)

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Log the loss of a whole volume and update the scores; returns class indices `pred` (1,1,I,J,K)."""
        image, label = batch["image"]["data"], batch["label"]["data"]
        logits = self.inferer(self.net, image)
        annotated = batch["annotated"]
        self.log("val/loss", self.criterion(marginal(logits, annotated), label), batch_size=1, sync_dist=True)
        pred = logits.argmax(dim=1, keepdim=True)
        self.val_meter.update(pred, label, annotated)
        return {"pred": pred}

    def on_validation_epoch_end(self) -> None:
        """Log the scores of all validation patients."""
        for name, value in self.val_meter.compute().items():
            self.log(f"val/{name}", value, prog_bar=name.startswith("dice/"))
        self.val_meter.reset()

    def on_test_epoch_start(self) -> None:
        """Reset the scores."""
        self.test_scores = []

    def test_step(self, batch: LabelledScan, batch_idx: int) -> dict[str, Any]:
        """The `mask` and `scores` of one CT, on its own grid, for callbacks."""
        mask = self.segmenter(batch.scan)
        scores = score_case(mask, batch.reference, batch.scan.affine, self.organs, self.tolerance_mm, batch.annotated)
        self.test_scores.append(scores)
        return {"mask": mask, "scores": scores}

    def on_test_epoch_end(self) -> None:
        """Log the mean scores of all test patients, gathered from all processes."""
        scores = self.test_scores
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, scores)
            scores = []
            for part in gathered:
                scores += part
        for name, value in mean_scores(scores).items():
            self.log(f"test/{name}", value, rank_zero_only=True)

    def configure_optimizers(self) -> Any:  # noqa: ANN401  # Lightning's own type is not public
        """The optimizer and, unless it is None, the scheduler."""
        optimizer = self.make_optimizer(self.net.parameters())
        if self.make_scheduler is None:
            return optimizer
        if "total_steps" in getattr(self.make_scheduler, "keywords", {}):
            msg = "scheduler.total_steps follows from the number of epochs; leave it out, and set trainer.max_epochs"
            raise UserError(msg)
        if "total_steps" not in inspect.signature(self.make_scheduler).parameters:
            scheduler = self.make_scheduler(optimizer)
            if isinstance(scheduler, ReduceLROnPlateau):
                msg = "ReduceLROnPlateau depends on a score, which schedules here do not get; choose another scheduler"
                raise UserError(msg)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler}}
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
        # Lightning has made a training loader to count the steps. The checkpoint is loaded later, so this loader would
        # not continue at the right batch.
        discard_train_loader(self.trainer)
        return int(steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the metadata, which loading needs, and the losses of the epoch, which a resume needs."""
        checkpoint["segment"] = self.checkpoint_metadata
        # A row per process: each resumes with its own sum, since a mean would differ in its last bit.
        checkpoint["losses"] = self.trainer.strategy.all_gather(self.losses.to(self.device)).reshape(-1, 2).cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the losses of the epoch, and start a loss with another configuration as it is configured now."""
        if _criterion(checkpoint["segment"]) != _criterion(self.checkpoint_metadata):
            own = {name: value for name, value in self.state_dict().items() if name.startswith(CRITERION)}
            for key in {"state_dict", "current_model_state"} & checkpoint.keys():
                weights = {name: value for name, value in checkpoint[key].items() if not name.startswith(CRITERION)}
                checkpoint[key] = weights | own
        losses = checkpoint["losses"]
        if len(losses) == self.trainer.world_size:
            self.losses = losses[self.trainer.global_rank]
        else:
            self.losses = losses.mean(dim=0)


def _criterion(metadata: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Configuration of the loss in the metadata of a checkpoint; None if there is none."""
    return metadata.get("config", {}).get("model", {}).get("criterion")
