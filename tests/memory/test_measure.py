import multiprocessing

import numpy as np
import torch

from segment.memory import measure as memory
from segment.run.use import peak

SIZE = 200_000_000


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


def test_without_a_gpu_there_is_no_peak_of_one():
    assert memory.gpu_peak(torch.device("cpu")) is None
