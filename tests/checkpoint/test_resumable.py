import pytest
import tiny
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
