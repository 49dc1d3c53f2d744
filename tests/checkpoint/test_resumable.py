import pytest
import pytorch_lightning as pl
import tiny
import torch
from omegaconf import OmegaConf

from segment import build
from segment.checkpoint.resumable import check_resumable, steps_of
from segment.errors import UserError


def test_steps_of_reads_the_number_of_steps(tmp_path):
    assert steps_of(tiny.write_checkpoint(tmp_path / "best.ckpt")) == 7


def module_with(metadata):
    config = metadata["config"]
    module = build.instantiate(OmegaConf.create(config["model"]))
    module.checkpoint_metadata = metadata
    return module


def test_a_run_can_resume_from_its_own_checkpoint(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b"])
    metadata = {"config": tiny.config(), "split": {}, "voxel_hashes": ["a", "b"]}
    check_resumable(ckpt, module_with(metadata), other_data=False)


def test_a_run_cannot_resume_with_other_organs_network_or_data(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b"])
    config = tiny.config()
    metadata = {"config": {**config, "organs": ["liver", "left_kidney"]}, "split": {}, "voxel_hashes": ["a", "b"]}
    with pytest.raises(UserError, match="was trained for liver, spleen, not for liver, left_kidney"):
        check_resumable(ckpt, module_with(metadata), other_data=False)
    config["model"]["net"]["kernel_size"] = 3
    metadata = {"config": config, "split": {}, "voxel_hashes": ["a", "b"]}
    message = (
        r"another network: net\.weight has shape \(3, 1, 1, 1, 1\) in the checkpoint and \(3, 1, 3, 3, 3\) "
        "in this run; start a new run"
    )
    with pytest.raises(UserError, match=message):
        check_resumable(ckpt, module_with(metadata), other_data=False)
    module = module_with({"config": tiny.config(), "split": {}, "voxel_hashes": ["a", "c"]})
    with pytest.raises(UserError, match="was trained on other CTs"):
        check_resumable(ckpt, module, other_data=False)
    check_resumable(ckpt, module, other_data=True)
    module = module_with({"config": tiny.config(), "split": {"train": ["set/a"]}, "voxel_hashes": ["a", "b"]})
    with pytest.raises(UserError, match="another split of them"):
        check_resumable(ckpt, module, other_data=False)


def test_after_one_resume_with_other_data_the_next_needs_no_permission(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b", "c"])
    metadata = {"config": tiny.config(), "split": {}, "voxel_hashes": ["b", "c"]}
    check_resumable(ckpt, module_with(metadata), other_data=False)


def module_with_weights(weights):
    config = tiny.config()
    target = {"_target_": "segment.model.combined_loss.class_weights", "organs": config["organs"], "weights": weights}
    config["model"]["criterion"]["weight"] = target
    module = module_with({"config": config, "split": {}, "voxel_hashes": []})
    module.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    return module


def resumed(module, before):
    """Load the module as Lightning does; both states of a run with averaged weights."""
    states = {name: before.state_dict() for name in ("state_dict", "current_model_state")}
    checkpoint = {**states, "segment": before.checkpoint_metadata, "losses": torch.zeros(1, 2)}
    module.on_load_checkpoint(checkpoint)
    for name in states:
        module.load_state_dict(checkpoint[name])
    return module.criterion.criterion.cross_entropy.weight


def test_a_run_that_is_resumed_with_other_class_weights_uses_them(tmp_path):
    before = module_with_weights({"liver": 2})
    after = module_with_weights({"liver": 5})
    torch.nn.init.constant_(before.net.bias, 3.0)
    assert resumed(after, before).tolist() == [1, 5, 1]
    assert after.net.bias.tolist() == [3, 3, 3]
    assert resumed(module_with_weights(None), before) is None
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt")
    check_resumable(ckpt, after, other_data=False)  # that checkpoint has no class weights


def test_a_loss_with_the_same_configuration_keeps_its_state():
    before = module_with_weights({"liver": 2})
    before.criterion.criterion.cross_entropy.weight[2] = 7.0  # as a loss that adapts to the training would
    assert resumed(module_with_weights({"liver": 2}), before).tolist() == [1, 2, 7]
