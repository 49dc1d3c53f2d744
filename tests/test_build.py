import os

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from segment import build
from segment.errors import UserError
from segment.run.trainer import FIXED, check_fixed, check_length


@pytest.mark.parametrize(("built", "why"), [(None, "CPUs only"), ("12.8", "CUDA 12.8; its driver may be missing")])
def test_a_missing_gpu_is_refused(monkeypatch, built, why):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    with pytest.raises(UserError) as info:
        build.check_accelerator(OmegaConf.create({"accelerator": "gpu"}))
    assert str(info.value).startswith(f"trainer.accelerator=gpu, but PyTorch finds no GPU (it is built for {why}); use")
    for accelerator in ("cpu", "auto"):
        build.check_accelerator(OmegaConf.create({"accelerator": accelerator}))


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed", "16-true", "bf16-true", 16])
@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
@pytest.mark.parametrize("capabilities", [{"avx512_bf16": False}, {"architecture": "aarch64"}])
def test_half_precision_on_a_cpu_without_it_is_refused(monkeypatch, precision, accelerator, capabilities):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    trainer = OmegaConf.create({"precision": precision, "accelerator": accelerator})
    with pytest.raises(UserError, match=r"use trainer\.precision=32-true"):
        build.check_precision(trainer)


@pytest.mark.parametrize(
    ("trainer", "gpu", "bf16"),
    [
        ({"precision": "32-true", "accelerator": "cpu"}, False, False),
        ({"accelerator": "cpu"}, False, False),
        ({"precision": "16-mixed", "accelerator": "gpu"}, False, False),  # `check_accelerator` refuses this
        ({"precision": "16-mixed", "accelerator": "auto"}, True, False),
        ({"precision": "bf16-mixed"}, False, True),
        ({"precision": "64-true", "accelerator": "cpu"}, False, False),
    ],
)
def test_supported_precisions_are_accepted(monkeypatch, trainer, gpu, bf16):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})
    build.check_precision(OmegaConf.create(trainer))


def test_bfloat16_on_a_cpu_is_refused_by_a_pytorch_that_cannot_determine_its_instructions(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    with pytest.raises(UserError, match=r"use trainer\.precision=32-true"):
        build.check_precision(OmegaConf.create({"precision": "bf16-mixed", "accelerator": "cpu"}))


def test_16_mixed_is_refused_on_a_cpu_that_supports_bfloat16(monkeypatch):
    """Lightning replaces 16-mixed by bf16 on a CPU, so the user should ask for bf16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    with pytest.raises(UserError, match="16-mixed"):
        build.check_precision(OmegaConf.create({"precision": "16-mixed", "accelerator": "cpu"}))


@pytest.mark.parametrize("interval", [0.5, 1, 3, "00:10:00:00"])
def test_validation_within_an_epoch_is_refused(interval):
    with pytest.raises(UserError, match=rf"val_check_interval={interval} .* lower data.patches_per_epoch"):
        check_length(OmegaConf.create({"val_check_interval": interval}))
    check_length(OmegaConf.create({"val_check_interval": 1.0}))
    check_length(OmegaConf.create({}))


def test_a_length_in_steps_is_refused():
    with pytest.raises(UserError, match=r"trainer\.max_steps=9 .* set trainer\.max_epochs"):
        check_length(OmegaConf.create({"max_steps": 9}))
    check_length(OmegaConf.create({"max_steps": -1}))


def test_a_run_that_ends_before_its_first_validation_is_refused():
    message = r"check_val_every_n_epoch=5, but trainer\.max_epochs=4, .* set at most check_val_every_n_epoch=4"
    with pytest.raises(UserError, match=message):
        check_length(OmegaConf.create({"check_val_every_n_epoch": 5, "max_epochs": 4}))
    for epochs in (5, -1, None):
        check_length(OmegaConf.create({"check_val_every_n_epoch": 5, "max_epochs": epochs}))


def test_close_finalizes_the_loggers_of_an_unfinished_run(tmp_path):
    ended = []

    class Logger(pl.loggers.logger.DummyLogger):
        def finalize(self, status):
            ended.append(status)

    trainer = pl.Trainer(accelerator="cpu", logger=[Logger()], default_root_dir=tmp_path, enable_progress_bar=False)
    build.close(trainer)
    assert ended == ["failed"]
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reload_dataloaders_every_n_epochs", 0),
        ("use_distributed_sampler", True),
        ("num_sanity_val_steps", 2),
        ("overfit_batches", 3),
    ],
)
def test_trainer_options_that_training_relies_on_cannot_be_changed(name, value):
    with pytest.raises(UserError, match=f"trainer.{name}={value} would .*; remove it"):
        check_fixed(OmegaConf.create({name: value}))
    check_fixed(OmegaConf.create({name: FIXED[name][0]}))
    check_fixed(OmegaConf.create({}))
