"""What trials that run at the same time share out among themselves."""

from collections.abc import Mapping, Sequence

THREADS = "OMP_NUM_THREADS"
DEVICES = "CUDA_VISIBLE_DEVICES"


def slots(workers: int, cores: int, devices: Sequence[str], environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Environment variables for each of the trials that run at once.

    A single one is left alone. Of several, each gets its share of the cores as threads, unless the user has set their
    number, and one GPU in turn, if there are several.

    Args:
        workers: Trials at once.
        cores: Of the processor that this process may use.
        devices: Names or numbers of the GPUs that it may use.
        environment: Variables of this process.
    """
    if workers == 1:
        return [{}]
    threads = {} if THREADS in environment else {THREADS: str(max(1, cores // workers))}
    shared = len(devices) < 2
    return [threads | ({} if shared else {DEVICES: devices[index % len(devices)]}) for index in range(workers)]
