import multiprocessing

import numpy as np
import pytest
import torch

from segment.errors import UserError
from segment.memory import measure as memory
from segment.memory.measure import check_memory
from segment.run.resource_use import peak

SIZE = 200_000_000
CPU = torch.device("cpu")


def hold(ready, done):
    data = np.ones(SIZE, np.uint8)
    ready.set()
    done.wait(60)
    data.fill(0)


def test_memory_of_workers_is_counted_without_shared_pages():
    assert memory.workers() == 0
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    worker = context.Process(target=hold, args=(ready, done))
    worker.start()
    assert ready.wait(60)
    held = memory.workers()
    done.set()
    worker.join()
    assert SIZE <= held < 2 * SIZE  # pages shared with this process are not counted
    assert memory.workers() == 0


def test_available_memory_includes_this_process():
    assert peak() // 10 < memory.available() < 10**14


def test_available_memory_is_within_the_limits_of_the_job(monkeypatch):
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


def test_used_memory_is_subtracted_from_the_slurm_limit(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "3")  # MiB, less than this process holds
    assert memory.free(CPU) == 0


def test_without_a_gpu_there_is_no_gpu_peak():
    assert memory.gpu_peak(CPU) is None


def test_an_error_names_needed_and_free_memory(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda _: 2 * 10**9)
    check_memory(2e9, "a thing", "take less")
    with pytest.raises(UserError, match=r"^a thing needs 3.5 GB of memory, and 2 GB are free; take less$"):
        check_memory(3.5e9, "a thing", "take less")
