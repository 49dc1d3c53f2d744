"""Plans of `segment plan` for five public sets on GPUs of four sizes, beside those of nnU-Net.

    python benchmarks/plan_table.py [--hours 8] [--memory 8 12 24 80] [--sets flare22 btcv]

The fingerprints are in `fingerprints/`, made from published figures; `fingerprints/sources.yaml` says where each number
comes from. nnU-Net's plans are what its own planner gives for the same fingerprints (`nnunet_plans.py`).
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from segment.configuration.instantiate import instantiate
from segment.configuration.values import config_dir
from segment.plan.fingerprint import Fingerprint, read_fingerprint
from segment.plan.machine import Machine
from segment.plan.plan import plan
from segment.plan.recipe import Recipe
from segment.runtime.seeding import random_state

FINGERPRINTS = Path(__file__).parent / "fingerprints"
TITLES = {"flare22": "FLARE22", "amos22": "AMOS22", "btcv": "BTCV", "msd_spleen": "MSD Spleen", "kits23": "KiTS23"}
HOURS, MEMORY_GB = 8.0, (8, 12, 24, 80)
CORES, CPU_GB = 8, 64  # of the machine that holds the GPU

OURS = """\
| set | GPU | voxels, mm | patch | batch | halvings | epochs | steps | window, HU |
|---|---|---|---|---|---|---|---|---|"""
THEIRS = """\
| set | plan | voxels, mm | patch | batch | halvings | 2D patch, batch |
|---|---|---|---|---|---|---|"""


def facts_of(name: str) -> Fingerprint:
    """The fingerprint of a public set."""
    return read_fingerprint(FINGERPRINTS / f"{name}.json")


@cache
def recipe_of(name: str, memory_gb: float, hours: float = HOURS) -> Recipe:
    """Its plan for a GPU."""
    facts = facts_of(name)
    node = OmegaConf.load(Path(config_dir()) / "model" / "net" / "vnet.yaml")

    def make_net(keys: Mapping[str, Any]) -> nn.Module:
        with random_state(0), torch.device("meta"):
            return instantiate(OmegaConf.merge(node, keys))(out_channels=1 + len(facts.organs))

    return plan(facts, Machine(CORES, CPU_GB, memory_gb), hours, "vnet", make_net, "planned")


def row(name: str, memory_gb: float, hours: float = HOURS) -> str:
    """A row of the table of our plans."""
    recipe = recipe_of(name, memory_gb, hours)
    values = {line.key: line.value for line in (*recipe.choices, *recipe.lines) if line.key}
    steps = values["trainer.max_epochs"] * values["data.patches_per_epoch"] // values["data.batch_size"]
    cells = (
        TITLES[name],
        f"{memory_gb:g} GB",
        _product(values["spacing_mm"]),
        _product(values["data.patch_size"]),
        values["data.batch_size"],
        halvings(values["model.net.strides"]),
        values["trainer.max_epochs"],
        f"{steps:,}",
        _window(values),
    )
    return _line(cells)


def their_rows(name: str) -> list[str]:
    """Rows of nnU-Net's plans."""
    found = json.loads((FINGERPRINTS / "nnunet.json").read_text())[name]
    rows = []
    for preset, of in found.items():
        two = f"{_product(of['patch_2d'])}, {of['batch_2d']}" if preset == "default" else "the same"
        cells = (_product(of["spacing_mm"]), _product(of["patch_size"]), of["batch_size"], halvings(of["strides"]), two)
        rows.append(_line((TITLES[name], preset, *cells)))
    return rows


def halvings(strides: Sequence[Sequence[int]]) -> str:
    """How often each axis is halved, and from which step on if not from the first.

    Example:
        >>> halvings([[2, 2, 1], [2, 2, 2]])
        '2, 2, 1; slices from the 2nd'
    """
    times = ", ".join(str(sum(step == 2 for step in axis)) for axis in zip(*strides, strict=True))
    first = next((number for number, step in enumerate(strides, start=1) if step[2] == 2), None)
    if first is None or first == 1:
        return times
    return f"{times}; slices from the {first}{ {2: 'nd', 3: 'rd'}.get(first, 'th') }"


def _window(values: Mapping[str, Any]) -> str:
    for transform in values.get("preprocess.transforms", []):
        if "window_hu" in transform:
            return " to ".join(str(end) for end in transform["window_hu"])
    return "-160 to 240"


def _product(numbers: Sequence[float]) -> str:
    return " × ".join(f"{number:g}" for number in numbers)  # noqa: RUF001


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--memory", nargs="+", type=float, default=MEMORY_GB, help="of the GPUs in GB")
    parser.add_argument("--sets", nargs="+", default=list(TITLES), choices=list(TITLES), metavar="SET")
    arguments = parser.parse_args()
    print(OURS)
    for name in arguments.sets:
        for memory_gb in arguments.memory:
            print(row(name, memory_gb, arguments.hours), flush=True)
    print(f"\n{THEIRS}")
    for name in arguments.sets:
        print("\n".join(their_rows(name)))


if __name__ == "__main__":
    main()
