"""Choose the engine of a call, before anything is read, and equip segmenters with it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import nn

from segment.errors import UserError
from segment.inference.device import find_device
from segment.inference.engines.converted import ConvertingEngine
from segment.inference.engines.cost import is_worth_converting
from segment.inference.engines.engine import CannotRunError, Engine, ExportedNetwork, Network
from segment.inference.engines.onnx_engine import OnnxEngine
from segment.inference.engines.openvino_engine import OpenVinoEngine
from segment.inference.engines.torch_engine import TorchEngine
from segment.inference.segmenter import Segmenter
from segment.runtime.cores import allowed_cores

log = logging.getLogger(__name__)

AUTO, CPU = "auto", "cpu"
MANY_CTS = 1000  # for calls whose number of CTs is not known, or large: converting the network pays
ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (OpenVinoEngine, TorchEngine, OnnxEngine)}
# Packages that each engine needs, for a checkpoint and for an exported file.
FOR_CHECKPOINT: dict[str, tuple[str, ...]] = {
    "onnx": ("onnxruntime", "onnx", "onnxscript"),
    "openvino": ("openvino",),
    "torch": (),
}
FOR_EXPORTED: dict[str, tuple[str, ...]] = {"onnx": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx")}


@dataclass(frozen=True)
class Choice:
    """The engines to try, in this order.

    Attributes:
        engines: One, if the user named it.
        device: Where the networks run.
    """

    engines: tuple[type[Engine], ...]
    device: torch.device

    def equip(self, segmenters: Sequence[Segmenter], cts: int = 1) -> Engine:
        """Make segmenters, whose networks are on the device, run with the first engine that can run all of them.

        Args:
            segmenters: The members of an ensemble.
            cts: Number of CTs that will be segmented.

        Returns:
            The engine.

        Raises:
            UserError: When no engine can run them.
        """
        threads = min(torch.get_num_threads(), allowed_cores())
        torch.set_num_threads(threads)
        kinds = self._worthwhile([segmenter.net for segmenter in segmenters], segmenters[0].inferer, cts)
        for number, kind in enumerate(kinds, start=1):
            engine = TorchEngine(self.device, threads, cts) if kind is TorchEngine else kind(self.device, threads)
            try:
                networks = [_prepare(engine, segmenter) for segmenter in segmenters]
            except CannotRunError as error:
                msg = f"engine={engine.name} cannot run this network: {error}"
                if number == len(kinds):
                    msg = f"{msg}; {_remedy(self.engines)}"
                    raise UserError(msg) from error
                log.warning("%s; the next engine is used", msg)
                continue
            for segmenter, network in zip(segmenters, networks, strict=True):
                segmenter.run = network
            return engine
        raise AssertionError(kinds)  # there is always one

    def _worthwhile(self, nets: Sequence[nn.Module], inferer: object, cts: int) -> list[type[Engine]]:
        """The engines, without those that would take longer to convert the networks than they save."""
        converting = [kind for kind in self.engines if issubclass(kind, ConvertingEngine)]
        if not converting or len(self.engines) == 1 or any(isinstance(net, ExportedNetwork) for net in nets):
            return list(self.engines)
        patch_size = getattr(inferer, "patch_size", None)
        if patch_size is not None and is_worth_converting(nets, patch_size, cts):
            return list(self.engines)
        return [kind for kind in self.engines if kind not in converting]


def choose(name: str, device: str, exported: bool) -> Choice:
    """The engines for the options `engine` and `device`.

    `auto` is PyTorch on a GPU. On a CPU it is OpenVINO if that is installed and the networks are large enough, else
    PyTorch: OpenVINO takes half of its time, ONNX Runtime about the same (docs/engines.md). An exported file runs with
    OpenVINO or ONNX Runtime.

    Args:
        name: `auto`, `torch`, `onnx` or `openvino`.
        device: `auto`, or the name of a device.
        exported: Whether the network is an exported file.

    Raises:
        UserError: When there is no such device, a package is missing, or an engine does not run on the device.
    """
    needed = FOR_EXPORTED if exported else FOR_CHECKPOINT
    if name != AUTO and name not in needed:
        msg = f"engine={name} does not run exported files, which hold no network of PyTorch; use engine=auto"
        raise UserError(msg)
    if name == AUTO and not exported:
        found = find_device(device)
        preferred = [] if found.type == "cuda" else ["openvino"]
        return Choice((*(ENGINES[n] for n in preferred if not _missing(needed[n])), TorchEngine), found)
    if name == TorchEngine.name:
        return Choice((TorchEngine,), find_device(device))
    if device not in (AUTO, CPU):
        msg = f"engine={name} runs {'exported files ' if exported else ''}on CPUs only; use device=cpu, not {device}"
        raise UserError(msg)
    if name == AUTO:
        installed = [n for n in needed if not _missing(needed[n])]
        name = "openvino" if "openvino" in installed else (installed or ["onnx"])[0]
    missing = _missing(needed[name])
    if missing:
        what = "an exported file" if exported else f"engine={name}"
        msg = f"{what} needs {', '.join(missing)}; install with `pip install {' '.join(missing)}`"
        raise UserError(msg)
    return Choice((ENGINES[name],), find_device(CPU))


def _prepare(engine: Engine, segmenter: Segmenter) -> Network:
    patch_size = getattr(segmenter.inferer, "patch_size", None)
    if patch_size is None and not isinstance(engine, TorchEngine):
        msg = f"its inferer, {type(segmenter.inferer).__name__}, has no patch_size"
        raise CannotRunError(msg)
    return engine.prepare(segmenter.net, patch_size or ())


def _remedy(tried: Sequence[type[Engine]]) -> str:
    if TorchEngine in tried:
        return "use engine=auto" if len(tried) == 1 else "give a checkpoint"
    return "use engine=torch"


def _missing(packages: Sequence[str]) -> list[str]:
    return [package for package in packages if find_spec(package) is None]
