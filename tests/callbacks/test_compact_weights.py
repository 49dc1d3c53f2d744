from types import SimpleNamespace

import tiny
from run_commands import config

from segment.callbacks.compact_weights import CompactWeights
from segment.checkpoint.load import read_checkpoint


def test_the_best_weights_are_written_at_the_end_by_one_process(tmp_path):
    source, target = tmp_path / "best.ckpt", tmp_path / "new" / "weights.ckpt"
    callback = CompactWeights(str(source), target)
    callback.on_fit_end(SimpleNamespace(is_global_zero=True), None)  # no epoch was finished
    assert not target.exists()
    tiny.write_checkpoint(source)
    callback.on_fit_end(SimpleNamespace(is_global_zero=False), None)
    assert not target.exists()
    callback.on_fit_end(SimpleNamespace(is_global_zero=True), None)
    assert read_checkpoint(target).keys() == {"state_dict", "segment", "global_step"}


def test_the_file_is_beside_the_best_checkpoint():
    cfg = config("train", "experiment=starter", "run_dir=there")
    assert cfg.callbacks.compact_weights.source == "there/checkpoints/best.ckpt"
    assert cfg.callbacks.compact_weights.target == "there/checkpoints/weights.ckpt"
