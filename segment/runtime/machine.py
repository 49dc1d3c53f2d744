"""How this process and its children use cores and memory: settings of OpenMP and glibc."""

import ctypes
import os
import sys

# Rounds that an idle thread of libgomp spins before it sleeps. With 0, threads sleep even in the short pauses within a
# training step, which then takes 5 % longer. With 10,000, two trainings side by side take three times as long as one.
SPIN_COUNT = "2000"

# Parameters of mallopt, from <malloc.h>, and the sizes in bytes that we set.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
THRESHOLDS = {
    "MALLOC_MMAP_THRESHOLD_": (M_MMAP_THRESHOLD, 1 << 30),
    "MALLOC_TRIM_THRESHOLD_": (M_TRIM_THRESHOLD, 1 << 31),
}


def let_threads_sleep() -> None:
    """Make idle OpenMP threads sleep after a few microseconds instead of spinning for milliseconds.

    Threads spin by default. That saves microseconds on an idle machine, but makes a step several times slower on a busy
    one: all threads of a step wait for the one whose core a spinning thread occupies. libgomp (in torch's wheels for
    Linux) and libomp read the variables when they are loaded, so call this before torch is imported. Settings of the
    user take precedence: `OMP_WAIT_POLICY`, `GOMP_SPINCOUNT` and `KMP_BLOCKTIME`.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def keep_freed_memory() -> None:
    """Make glibc keep up to 2 GiB of freed memory for the next tensor; do nothing with another C library.

    By default glibc returns blocks of more than 32 MiB to the system at once, and most tensors of a 3D network are
    larger. For the next tensor the system must then find pages and fill them with zeros. Child processes inherit the
    environment variables, but not the settings of `mallopt`, so both are set. Settings of the user take precedence:
    these variables, or `GLIBC_TUNABLES`.
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


def release_freed_memory() -> None:
    """Return freed memory to the system; do nothing with another C library than glibc.

    `keep_freed_memory` keeps it for the next tensor. Between two stages that use tensors of other sizes, what is kept
    would add up.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
