import pytest
import tiny
import torch

from segment.checkpoint.compact import write_compact
from segment.checkpoint.load import load_model, read_checkpoint
from segment.checkpoint.resumable import check_epochs, epochs_done
from segment.errors import UserError
from segment.io.read import read_ct


@pytest.fixture
def full(tmp_path):
    """A checkpoint with a counter, and with the states that a training adds."""
    path = tiny.write_checkpoint(tmp_path / "best.ckpt", voxel_hashes=["a"])
    content = torch.load(path, weights_only=True)
    content["state_dict"]["steps"] = torch.tensor(2**40 + 1)
    content["optimizer_states"] = [torch.zeros(10_000)]
    torch.save(content | {"loops": {"fit_loop": {}}, "callbacks": {}}, path)
    return path


def test_weights_are_rounded_to_half_precision_and_the_rest_is_left_out(full, tmp_path):
    write_compact(full, tmp_path / "small.ckpt")
    before, after = read_checkpoint(full), read_checkpoint(tmp_path / "small.ckpt")
    assert after.keys() == {"state_dict", "segment", "global_step"}
    assert (after["segment"], after["global_step"]) == (before["segment"], 7)
    assert after["state_dict"].keys() == before["state_dict"].keys()
    for name, value in before["state_dict"].items():
        half = after["state_dict"][name]
        assert half.dtype == (torch.float16 if value.is_floating_point() else value.dtype)
        assert torch.allclose(half.to(value.dtype), value, rtol=2**-11)
    assert after["state_dict"]["steps"] == 2**40 + 1
    assert (tmp_path / "small.ckpt").stat().st_size < full.stat().st_size / 6


def test_a_tensor_that_half_precision_cannot_hold_is_not_rounded(full, tmp_path):
    content = torch.load(full, weights_only=True)
    content["state_dict"]["running_var"] = torch.tensor([1.0, 70_000.0])
    torch.save(content, full)
    write_compact(full, tmp_path / "small.ckpt")
    assert read_checkpoint(tmp_path / "small.ckpt")["state_dict"]["running_var"].tolist() == [1.0, 70_000.0]


def test_the_bytes_depend_on_the_checkpoint_alone(full, tmp_path):
    (tmp_path / "other").mkdir()
    for target in ("small.ckpt", "other/a name that is longer.ckpt"):
        write_compact(full, tmp_path / target)
    write_compact(tmp_path / "small.ckpt", tmp_path / "again.ckpt")  # half precision is not rounded again
    assert len({path.read_bytes() for path in tmp_path.rglob("*.ckpt") if path != full}) == 1


def test_the_network_segments_as_before(tmp_path):
    write_compact(tiny.write_checkpoint(tmp_path / "best.ckpt"), tmp_path / "small.ckpt")
    hu, classes = tiny.body()
    trained = load_model(tmp_path / "small.ckpt")
    assert {weights.dtype for weights in trained.net.parameters()} == {torch.float32}
    assert (trained.segmenter(read_ct(tiny.save(tmp_path / "ct.nii.gz", hu))) == classes).all()


def test_no_run_can_resume_from_it(full, tmp_path):
    write_compact(full, tmp_path / "last.ckpt")
    message = r"last\.ckpt holds weights alone, .*; start a new run with init_from=.*last\.ckpt"
    with pytest.raises(UserError, match=message):
        check_epochs(tmp_path / "last.ckpt", 10)
    with pytest.raises(UserError, match=message):
        epochs_done(tmp_path / "last.ckpt", 5)


def test_only_checkpoints_of_a_training_are_taken(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt was not written by `segment train`"):
        write_compact(tmp_path / "other.pt", tmp_path / "small.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["other.pt"]
