"""Memory of a training step: computed from shapes, and measured in a process of its own.

    python benchmarks/memory.py

Each row is a network, a batch and a patch. `computed` is `segment.memory.network.step_bytes` and what PyTorch loads.
`in use` is the peak of the process during three steps, less what it held before, when every tensor is mapped and
unmapped on its own. `kept` is the same with the settings of `segment train`, where freed memory is kept for the next
tensor. That is faster, but the heap has gaps.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

STEPS = 3
GRID = (
    ("vnet", 2, (64, 64, 64)),
    ("vnet", 2, (96, 96, 96)),
    ("vnet", 1, (96, 96, 48)),
    ("vnet_seed", 1, (64, 64, 64)),
    ("vnet_seed", 2, (64, 64, 64)),
    ("vnet_large", 1, (64, 64, 64)),
    ("segresnet", 1, (64, 64, 64)),
    ("unet", 2, (96, 96, 96)),
    ("dynunet", 1, (64, 64, 64)),
    ("dynunet", 2, (64, 64, 64)),
)


def main() -> None:
    """Print the table."""
    print("| network | batch | patch | computed MB | in use MB | ratio | kept MB | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for net, batch, patch in GRID:
        mapped, kept = (run(net, batch, patch, keeps) for keeps in (False, True))
        size = "x".join(map(str, patch))
        parts = [f"{found['measured']:.0f} | {found['computed'] / found['measured']:.2f}" for found in (mapped, kept)]
        print(f"| {net} | {batch} | {size} | {mapped['computed']:.0f} | {' | '.join(parts)} |", flush=True)


def run(net: str, batch: int, patch: tuple[int, ...], keeps: bool) -> dict[str, float]:
    """Computed and measured MB, from a new process."""
    environment = dict(os.environ)
    if not keeps:
        environment |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    line = [sys.executable, __file__, net, str(batch), *map(str, patch)]
    output = subprocess.run(line, check=True, capture_output=True, text=True, env=environment).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def child(name: str, batch: int, patch: tuple[int, ...]) -> None:
    """Measure in this process and print the result as JSON."""
    from segment.runtime.start import set_up_process

    set_up_process()
    import torch
    from hydra import compose, initialize_config_dir

    from segment.configuration.instantiate import instantiate
    from segment.configuration.values import config_dir
    from segment.memory.network import step_bytes
    from segment.memory.onednn import LOADED
    from segment.run.resource_use import peak

    with initialize_config_dir(config_dir(), version_base="1.3"):
        cfg = compose("train", [f"model/net={name}", "run_dir=."])
    net = instantiate(cfg.model.net)(out_channels=5).train()
    criterion, optimizer = instantiate(cfg.model.criterion), instantiate(cfg.optimizer)(net.parameters())
    computed = step_bytes(net, batch, patch) + LOADED
    torch.nn.Conv3d(16, 16, 3)(torch.zeros(2, 16, 8, 8, 8)).sum().backward()  # loads oneDNN
    before = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    for _ in range(STEPS):
        image, label = torch.randn(batch, 1, *patch), torch.zeros(batch, 1, *patch, dtype=torch.uint8)
        logits = net(image)
        levels = [logits] if isinstance(logits, torch.Tensor) else logits
        loss = criterion(levels[0], label)
        for level in levels[1:]:  # deep supervision; the label is only as large as the level
            loss = loss + criterion(level, torch.zeros_like(level[:, :1], dtype=torch.uint8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        del logits, levels, loss
    print(json.dumps({"computed": computed / 1e6, "measured": (peak() - before) / 1e6}))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        child(sys.argv[1], int(sys.argv[2]), tuple(map(int, sys.argv[3:])))
