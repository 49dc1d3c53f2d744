import pytest
import tiny

from segment.checkpoint.load import load_model
from segment.exported import write


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A checkpoint whose preprocessing resamples, and which keeps the largest pieces."""
    held = tiny.config(spacing_mm=[3, 3, 4])
    held["model"]["postprocess"] = {"_target_": "segment.inference.postprocess.KeepLargest", "min_share": 0.5}
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
