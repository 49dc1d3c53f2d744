"""How this process, and those that it starts, use cores and memory: settings of OpenMP and glibc."""

import ctypes
import os
import sys

# <malloc.h>: the parameter, and the most that a heap keeps of it instead of handing it back to the system.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
THRESHOLDS = {
    "MALLOC_MMAP_THRESHOLD_": (M_MMAP_THRESHOLD, 1 << 30),
    "MALLOC_TRIM_THRESHOLD_": (M_TRIM_THRESHOLD, 1 << 31),
}


def let_threads_sleep() -> None:
    """Let OpenMP's threads sleep while they have nothing to do, instead of taking a core from whoever has work.

    They spin by default, which saves microseconds on an idle machine and costs multiples of a step on a busy one: all
    threads of a step wait for the one that has lost its core to a spinning one. libgomp, of torch's wheels for Linux,
    and libomp read the variable when they are loaded, so torch must not be imported yet. What the user sets wins:
    `OMP_WAIT_POLICY`, and `GOMP_SPINCOUNT` and `KMP_BLOCKTIME`, which overrule it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def keep_freed_memory() -> None:
    """Let glibc keep up to 2 GiB that was freed for the next tensor; nothing happens with another C library.

    It gives blocks of more than 32 MiB, as are most of a 3D network, back at once, and for the next one the system has
    to find pages and fill them with zeros. Programs that this one starts inherit the environment, but not what
    `mallopt` has set. What the user sets wins: these variables, or `GLIBC_TUNABLES`.
    """
    if sys.platform != "linux" or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    for name, (parameter, size) in THRESHOLDS.items():
        if name not in os.environ:
            library.mallopt(parameter, ctypes.c_int(min(size, 2**31 - 1)))
            os.environ[name] = str(size)
