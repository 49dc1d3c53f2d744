"""Time of a window of the engines, in turns, and how near their logits are to PyTorch's.

    python benchmarks/engines.py [--repeats 5] [--threads 2] [starter] [full]

`starter` is the network of the starter weights with its windows of 80x80x80 voxels, `full` an untrained V-Net with 16
channels at full resolution with windows of 96x96x96. User seconds count, because other programs may use the machine.
"""

import argparse
import resource
import time
from collections.abc import Callable
from statistics import median

from segment.runtime.start import set_up_process

set_up_process()  # before torch is imported, as in `segment predict`

import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from torch import nn  # noqa: E402

from segment.checkpoint.load import load_model  # noqa: E402
from segment.checkpoint.starter import checkpoint_path  # noqa: E402
from segment.inference.engines.converted import compare  # noqa: E402
from segment.inference.engines.onnx_engine import OnnxEngine  # noqa: E402
from segment.inference.engines.openvino_engine import OpenVinoEngine  # noqa: E402
from segment.inference.engines.torch_engine import TorchEngine  # noqa: E402
from segment.model.vnet import VNet  # noqa: E402


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="starter, full; both by default")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = Table(
        "network", "engine", "convert: CPU s", "window: user s", "system s", "wall s", "of torch", "difference"
    )
    for name in args.networks or ("starter", "full"):
        _measure(name, table, args.repeats, args.threads)
    Console(width=140).print(table)


def _measure(name: str, table: Table, repeats: int, threads: int) -> None:
    net, size = _network(name)
    window = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(1))
    networks, converting = {}, {}
    for kind in (TorchEngine, OnnxEngine, OpenVinoEngine):
        engine = kind(torch.device("cpu"), threads)
        user, system, _ = _seconds(lambda engine=engine: networks.update({engine.name: engine.prepare(net, size)}))
        converting[engine.name] = user + system
    times: dict[str, list[tuple[float, ...]]] = {engine: [] for engine in networks}
    with torch.inference_mode():
        differences = {engine: compare(net, run, window) for engine, run in networks.items()}  # and warms up
        for _ in range(repeats):
            for engine, run in networks.items():
                times[engine].append(_seconds(lambda run=run: run(window)))
    own = median(user + system for user, system, _ in times["torch"])
    for engine, rows in times.items():
        user, system, wall = (median(column) for column in zip(*rows, strict=True))
        share = median(user + system for user, system, _ in rows) / own
        numbers = (converting[engine], user, system, wall, share)
        table.add_row(name, engine, *(f"{number:.2f}" for number in numbers), f"{differences[engine]:.1e}")


def _network(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    if name == "starter":
        trained = load_model(checkpoint_path(name))
        return trained.net, trained.segmenter.inferer.patch_size
    torch.manual_seed(0)
    return VNet(5, base_channels=16, convolutions=[1, 2, 2, 2], residual=True, norm="instance").eval(), (96, 96, 96)


def _seconds(work: Callable[[], object]) -> tuple[float, float, float]:
    """User, system and wall seconds of this process."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - start
    return after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, wall


if __name__ == "__main__":
    main()
