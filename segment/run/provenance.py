"""Describe the code, the versions and the hardware of a run."""

import hashlib
import logging
import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from segment import __version__
from segment.privacy import without_path, without_paths

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "torchio", "torchmetrics", "monai", "numpy", "nibabel", "wandb")
# The files of a checkout that affect a run. Its data, notebooks and outputs do not belong in a record.
CODE = ("segment", "conf", "pyproject.toml", "constraints.txt")
MAX_TEXT_BYTES = 100_000  # of an untracked file; of larger files only the hash is kept

log = logging.getLogger(__name__)


def environment(seed: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Describe what is needed to repeat a run, without names of users, hosts or folders.

    Args:
        seed: The run's seed.
        overrides: Hydra overrides from which its configuration was composed.
    """
    content = {
        "segment": __version__,
        "git": _git(Path(__file__).resolve().parents[2]),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpu_cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "seed": seed,
        "overrides": [without_path(override) for override in overrides],
    }
    result: dict[str, Any] = without_paths(content)
    return result


def _cpu() -> str:
    """Model name of the processor; on Linux `platform.processor()` returns nothing or the architecture."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(root: Path) -> dict[str, Any] | None:
    """Commit of a checkout, and the changes since; None for an installed wheel, or if git fails."""
    if not (root / ".git").exists():
        return None
    try:
        return {
            "sha": _ask_git(root, "rev-parse", "HEAD").strip(),
            "diff": _ask_git(root, "diff", "--no-ext-diff", "--no-color", "HEAD", "--", *CODE),
            "untracked": {name: _content(root / name) for name in _untracked(root)},
        }
    except (OSError, subprocess.CalledProcessError) as error:  # no git, no commit yet, or another user's checkout
        output = getattr(error, "stderr", None) or str(error).encode()
        reason = output.decode(errors="replace").strip().partition("\n")[0]
        log.warning("the version of the code is not recorded: %s", reason)
        return None


def _untracked(root: Path) -> list[str]:
    names = _ask_git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *CODE)
    return [name for name in names.split("\0") if name]


def _content(path: Path) -> str:
    """The text of a small file; the SHA-256 of a large or binary one."""
    content = path.read_bytes()
    with suppress(UnicodeDecodeError):
        if len(content) <= MAX_TEXT_BYTES:
            return content.decode()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _ask_git(root: Path, *command: str) -> str:
    output = subprocess.run(["git", "-C", str(root), *command], capture_output=True, check=True).stdout
    return output.decode(errors="replace")
