from pathlib import Path

import pytest
import tiny
import yaml

from segment.checkpoint.load import load_model
from segment.configuration.values import config_dir
from segment.exported import write


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A checkpoint whose preprocessing resamples, with the default post-processing of training."""
    held = tiny.config(spacing_mm=[3, 3, 4])
    steps = yaml.safe_load((Path(config_dir()) / "postprocess" / "default.yaml").read_text())
    steps["small"]["min_ml"] = {"liver": 1, "spleen": 0.1}
    target = "segment.inference.postprocess.clean_up.CleanUp"
    clean_up = {"_target_": target, "organs": tiny.ORGANS, "steps": steps, "left_out": {"holes": ["spleen"]}}
    held["model"]["postprocess"] = clean_up
    return tiny.write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", held)


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory):
    """Its exported file."""
    pytest.importorskip("onnxscript")
    trained = load_model(checkpoint)
    description = write.describe(trained, checkpoint)
    content = write.with_description(write.network(trained, description), description, {"liver": 1.0, "spleen": None})
    path = tmp_path_factory.mktemp("exported") / "organs.onnx"
    path.write_bytes(content)
    return path
