"""What a run was made with: code, versions, hardware."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "torchio", "torchmetrics", "monai", "numpy", "nibabel", "wandb")


def environment(seed: int) -> dict[str, Any]:
    """Facts that decide whether a run can be repeated; no names of users, hosts or folders."""
    return {
        "segment": metadata.version("segment"),
        "git": _git(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "seed": seed,
        "arguments": sys.argv[1:],
    }


def _git() -> dict[str, str] | None:
    """Commit and uncommitted changes of the checkout that this code runs from; None for an installed wheel."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        sha, diff = (
            subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["diff", "HEAD"])
        )
    except (OSError, subprocess.CalledProcessError):  # no git program, or no commit yet
        return None
    return {"sha": sha.strip(), "diff": diff}
