"""The warnings of Lightning that no user of this package can act on."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_fabric.utilities.warnings import PossibleUserWarning


@contextmanager
def without_known_warnings() -> Iterator[None]:
    """Hide these warnings while the block trains or tests; all others are shown."""
    with warnings.catch_warnings():
        # Lightning 2.6 uses a function that PyTorch 2.13 deprecates, for every loader.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        # Lightning looks for a SLURM job whenever it starts without a checkpoint, also on a login node without a job.
        warnings.filterwarnings("ignore", "The `srun` command is available", PossibleUserWarning)
        # Lightning cannot know that these scores were gathered from all processes (metrics/meter.py).
        warnings.filterwarnings("ignore", r"It is recommended to use `self.log\('(val|test)/", PossibleUserWarning)
        yield
