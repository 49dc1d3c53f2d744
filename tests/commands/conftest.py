import pytest
import tiny
from run_commands import config

from segment.commands.predict import predict


@pytest.fixture
def ckpt(tmp_path):
    return tiny.write_checkpoint(tmp_path / "best.ckpt")


@pytest.fixture
def run(ckpt, tmp_path):
    """Run `segment predict` with the output `masks`, without pictures."""

    def call(given, *overrides):
        output = tmp_path / "masks"
        arguments = [f"ckpt={ckpt}", f"input={given}", f"output={output}", "pictures=false", "engine=torch", *overrides]
        predict(config("predict", *arguments))

    return call
