import multiprocessing

import numpy as np
import pytest
import torch

from segment.errors import UserError
from segment.memory import measure as memory
from segment.memory.refuse import check_memory
from segment.run.use import peak

SIZE = 200_000_000
CPU = torch.device("cpu")


def hold(ready, done):
    data = np.ones(SIZE, np.uint8)
    ready.set()
    done.wait(60)
    data.fill(0)


def test_what_workers_hold_of_their_own_counts():
    assert memory.workers() == 0
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    worker = context.Process(target=hold, args=(ready, done))
    worker.start()
    assert ready.wait(60)
    held = memory.workers()
    done.set()
    worker.join()
    assert SIZE <= held < 2 * SIZE  # this process, whose pages it shares, is not counted again
    assert memory.workers() == 0


def test_available_memory_holds_this_process():
    assert peak() // 10 < memory.available() < 10**14


def test_a_job_s_limits_bound_what_is_available(monkeypatch):
    monkeypatch.setattr(memory.limit, "free_in_groups", lambda: 10**6)
    assert memory.available() <= peak() + 10**6 + 2**24  # the kernel counts pages in batches
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "3")
    assert memory.available() == 3 * 2**20


def test_a_reserve_stays_free(monkeypatch):
    monkeypatch.setattr(memory.limit, "free_in_groups", lambda: 10**9)
    assert memory.free(CPU) == 750_000_000
    check_memory(750_000_000, "a thing", "take less")
    with pytest.raises(UserError, match=r"a thing needs 0\.751 GB of memory, and 0\.75 GB are free"):
        check_memory(751_000_000, "a thing", "take less")
    monkeypatch.setattr(memory.limit, "free_in_groups", lambda: 10**8)
    assert memory.free(CPU) == 0


def test_what_slurm_grants_counts_what_is_held_already(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "3")  # MiB, less than this process holds
    assert memory.free(CPU) == 0


def test_without_a_gpu_there_is_no_peak_of_one():
    assert memory.gpu_peak(CPU) is None
