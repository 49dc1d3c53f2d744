from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from segment.search.space import read_space
from segment.search.wandb_sweep import wandb_sweep

SPACE = read_space(
    {
        "lr": {"low": 1e-4, "high": 0.1, "log": True},
        "share": {"low": 0.2, "high": 0.9},
        "channels": {"low": 8, "high": 32, "step": 8},
        "patches": {"low": 1, "high": 100, "log": True},
        "model/net": ["vnet", "unet"],
        "scheduler": [None, "x"],
    }
)


def test_every_distribution_is_translated():
    config = wandb_sweep(SPACE, ["experiment=quick"], "val/dice/mean", "maximize", 24)
    assert config["metric"] == {"name": "val/dice/mean", "goal": "maximize"}
    assert (config["method"], config["run_cap"]) == ("bayes", 24)
    assert config["parameters"] == {
        "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
        "share": {"distribution": "uniform", "min": 0.2, "max": 0.9},
        "channels": {"values": [8, 16, 24, 32]},
        "patches": {"distribution": "q_log_uniform_values", "q": 1, "min": 1, "max": 100},
        "model/net": {"values": ["vnet", "unet"]},
        "scheduler": {"values": ["null", "x"]},
    }
    assert "run_cap" not in wandb_sweep(SPACE, [], "val/loss", "minimize", None)


def test_agent_runs_segment_train_with_overrides():
    # With the functions of W&B that its agent calls.
    config = wandb_sweep(SPACE, ["experiment=quick"], "val/dice/mean", "maximize", None)
    command = create_sweep_command(config["command"])
    arguments = create_sweep_command_args({"args": {"lr": {"value": 0.003}, "model/net": {"value": "unet"}}})
    arguments |= {"env": ["/usr/bin/env"], "program": [config["program"]]}
    names = {f"${{{name}}}": value for name, value in arguments.items()}
    expanded = [word for part in command for word in names.get(part, [part])]
    assert expanded == ["/usr/bin/env", "segment", "train", "experiment=quick", "lr=0.003", "model/net=unet"]
