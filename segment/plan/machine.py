"""The machine that a recipe is planned for."""

import re
from dataclasses import dataclass

from segment.errors import UserError

# Rates in floating-point operations a second, forward and backward pass of a training step. That of a core was measured
# with the default network (2 × 64³ voxels, 20 GFLOP, 0.44 s on two cores of an AMD Zen 3). That of a GPU of 40 GB in
# mixed precision follows from what nnU-Net's authors measured on an A100 (documentation/resenc_presets.md): 250,000
# steps of 5.7 to 40 TFLOP in 9 to 66 hours, which are 44 to 60 TFLOP/s. That it grows with the root of the memory is an
# assumption.
CORE_RATE = 2.3e10
GPU_RATE, GPU_RATE_GB = 5.0e13, 40
CONTEXT = 1.0e9  # bytes on a GPU for CUDA, cuDNN and its workspace; an assumption
GPU_ROOM = 0.85  # share of the rest that a step may use
# A heap with gaps holds up to this many times the bytes in use, see docs/plan.md.
HEAP = 2.0
CPU_ROOM = 0.5  # share of the machine's memory for a step; the rest is for data workers, validation and other programs

GPU = re.compile(r"(\d+(?:\.\d+)?) ?GB", re.IGNORECASE)


@dataclass(frozen=True)
class Machine:
    """What a plan needs to know about a machine.

    Attributes:
        cores: Cores that training may use.
        memory_gb: Memory of the machine.
        gpu_gb: Memory of the GPU; None: training on the CPU.
    """

    cores: int
    memory_gb: float
    gpu_gb: float | None = None

    @property
    def rate(self) -> float:
        """Floating-point operations a second in training."""
        if self.gpu_gb is None:
            return CORE_RATE * self.cores
        return float(GPU_RATE * (self.gpu_gb / GPU_RATE_GB) ** 0.5)

    @property
    def room(self) -> float:
        """Bytes in use that a training step may reach, weights included."""
        if self.gpu_gb is None:
            return CPU_ROOM * 1e9 * self.memory_gb / HEAP
        return GPU_ROOM * (1e9 * self.gpu_gb - CONTEXT)

    @property
    def cores_in_words(self) -> str:
        """The number of cores in words, e.g. `1 core`."""
        return "1 core" if self.cores == 1 else f"{self.cores} cores"

    def __str__(self) -> str:
        cpu = f"{self.cores_in_words}, {self.memory_gb:g} GB"
        return cpu if self.gpu_gb is None else f"a GPU with {self.gpu_gb:g} GB ({cpu})"


def gpu_memory(device: str) -> float | None:
    """Memory of a GPU that is named by it, for example 24 for `24GB`; None for `cpu`.

    Raises:
        UserError: When the device is neither.
    """
    if device == "cpu":
        return None
    match = GPU.fullmatch(device)
    if match is None or not 4 <= float(match[1]) <= 1000:
        msg = f"device={device} is neither cpu nor the memory of a GPU; write for example device=24GB, at least 4GB"
        raise UserError(msg)
    return float(match[1])
