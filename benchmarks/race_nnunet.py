"""nnU-Net v2 in `race.py`: its own fingerprint, plan, preprocessing, network, loss, augmentation and inference.

Three settings differ from the defaults. It plans for a GPU with less memory (`Job.memory_gb`), because a step of the
default plan takes minutes on two cores. It does not mirror (`nnUNetTrainerNoMirroring`, which TotalSegmentator uses as
well), because mirroring exchanges the kidneys. And its epochs are short, and its learning rate follows the clock with
the same polynomial, because its 1,000 epochs of 250 steps would take weeks.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from race_job import NAME, Clock, Job

from segment.io.json_file import read_json

DATASET = 801  # the number in NAME
CONFIGURATION = "3d_fullres"
STEPS_PER_EPOCH = 25  # one validation step follows each; nnU-Net has 250 and 50
CPU = torch.device("cpu")


def _set_paths(job: Job) -> None:
    """Set the environment that nnU-Net reads when it is imported."""
    folders = {"raw": job.data.parent, "preprocessed": job.folder / "preprocessed", "results": job.folder / "results"}
    os.environ.update({f"nnUNet_{name}": str(folder) for name, folder in folders.items()})
    os.environ.update({f"nnUNet_{name}": str(job.threads) for name in ("n_proc_DA", "def_n_proc")})


def _prepare(job: Job) -> Path:
    """Plan and preprocess as `nnUNetv2_plan_and_preprocess` does; return the folder."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    folder = job.folder / "preprocessed" / NAME
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(job.folder / "results", ignore_errors=True)
    extract_fingerprints([DATASET], num_processes=job.threads, verbose=False, show_progress_bar=False)
    plan_experiments([DATASET], gpu_memory_target_in_gb=job.memory_gb)
    preprocess([DATASET], configurations=(CONFIGURATION,), num_processes=(job.threads,), show_progress_bar=False)
    shutil.copy(job.data / "splits_final.json", folder)
    return folder


def _trainer(job: Job, clock: Clock, plans: dict, dataset: dict):
    """A trainer of nnU-Net that looks at the clock before and after every step."""
    from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import (
        nnUNetTrainerNoMirroring,
    )

    class RaceTrainer(nnUNetTrainerNoMirroring):
        steps, over = 0, False

        def train_step(self, batch: dict) -> dict:
            for group in self.optimizer.param_groups:
                group["lr"] = self.initial_lr * (1 - clock.share()) ** 0.9
            result = super().train_step(batch)
            self.steps += 1
            if clock.save_if_due(self.steps, lambda path: torch.save(self.network.state_dict(), path)):
                raise TimeoutError
            return result

    trainer = RaceTrainer({**plans, "continue_training": False}, CONFIGURATION, 0, dataset, device=CPU)
    trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = STEPS_PER_EPOCH, 1
    trainer.disable_checkpointing = True  # the clock saves
    return trainer


def train(job: Job) -> None:
    """Plan, preprocess and train until the last mark."""
    clock = Clock(job)
    _set_paths(job)
    folder = _prepare(job)
    torch.manual_seed(job.seed)
    trainer = _trainer(job, clock, read_json(folder / "nnUNetPlans.json"), read_json(job.data / "dataset.json"))
    try:
        trainer.run_training()
    except TimeoutError:
        trainer.on_train_end()  # ends its workers


def predict(job: Job, checkpoint: Path, cts: Mapping[str, Path], output: Path) -> None:
    """Write a mask on the CT's own grid for every CT that has none yet."""
    _set_paths(job)
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(read_json(job.folder / "preprocessed" / NAME / "nnUNetPlans.json"))
    dataset, configuration = read_json(job.data / "dataset.json"), plans.get_configuration(CONFIGURATION)
    heads = plans.get_label_manager(dataset).num_segmentation_heads
    net = nnUNetTrainer.build_network_architecture(plans, configuration, 1, heads, enable_deep_supervision=False)
    weights = torch.load(checkpoint, weights_only=True)
    predictor = nnUNetPredictor(use_mirroring=False, device=CPU, allow_tqdm=False)
    predictor.manual_initialization(net, plans, configuration, [weights], dataset, "nnUNetTrainerNoMirroring", None)
    for name, path in cts.items():
        target = output / f"{name}.nii.gz"
        if not target.exists():
            partial = output / f"partial_{name}"
            predictor.predict_from_files_sequential([[str(path)]], [str(partial)])
            partial.with_name(f"partial_{name}.nii.gz").replace(target)


def describe(job: Job) -> dict[str, object]:
    """What it planned."""
    plans = read_json(job.folder / "preprocessed" / NAME / "nnUNetPlans.json")["configurations"][CONFIGURATION]
    return {key: plans[key] for key in ("spacing", "patch_size", "batch_size")}
