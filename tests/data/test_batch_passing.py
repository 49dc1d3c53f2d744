"""Passing batches from workers, also with a small /dev/shm as in a container."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from segment.data.batch_passing import PassedTensor, wrap_batch

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has memfd_create")
SMALL_SHM = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m none /dev/shm && exec "$@"', "sh"]
PROGRAM = """
import torch
from segment.data.batch_passing import wrap_batch
patches = [torch.full((1 << 20,), float(i)) for i in range(8)]
loader = torch.utils.data.DataLoader(patches, 2, num_workers=2, collate_fn=lambda batch: wrap_batch(torch.stack(batch)))
batches = list(loader)  # all in memory at once: 32 MB
print([int(value) for batch in batches for value in batch.mean(1)])
"""
TENSORS = {
    "large": torch.arange(1 << 18, dtype=torch.float32).view(1, 1, 64, 64, 64),
    "turned": torch.arange(1 << 18, dtype=torch.uint8).view(512, 512).T,
    "small": torch.tensor([[True, False], [False, True]]),
    "scalar": torch.tensor(3.5, dtype=torch.float64),
    "half": torch.ones(1 << 17, dtype=torch.bfloat16),
    "none": torch.empty(0, 3),
}


def test_in_the_main_process_a_batch_is_not_wrapped():
    batch = {"image": torch.zeros(1 << 20)}
    assert wrap_batch(batch) is batch


def as_batch(samples: list[int]) -> dict:
    return wrap_batch({"image": TENSORS, "case": [f"case{i}" for i in samples], "list": [torch.tensor(samples)]})


@linux
def test_a_received_batch_equals_the_sent_one(recwarn):
    for number, batch in enumerate(DataLoader(range(4), batch_size=2, num_workers=2, collate_fn=as_batch)):
        assert batch["case"] == [f"case{2 * number}", f"case{2 * number + 1}"]
        assert batch["list"][0].tolist() == [2 * number, 2 * number + 1]
        for name, tensor in TENSORS.items():
            found = batch["image"][name]
            assert found.dtype == tensor.dtype
            assert torch.equal(found, tensor), name
        batch["image"]["large"] += 1  # writing must be possible
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@linux
def test_the_files_of_batches_are_closed():
    before = open_files()
    tensor = PassedTensor(torch.zeros(1 << 20))
    assert open_files() == before + 1
    tensor.__reduce__()
    for batch in DataLoader(range(8), batch_size=2, num_workers=1, collate_fn=as_batch):
        del batch
    assert open_files() <= before + 4  # the copy and the socket of multiprocessing's resource sharer


@linux
def test_a_container_with_little_shared_memory_receives_its_batches():
    if subprocess.run([*SMALL_SHM, "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounting a small /dev/shm needs root")
    run = [*SMALL_SHM, sys.executable, "-c", PROGRAM]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "[0, 1, 2, 3, 4, 5, 6, 7]\n", done.stderr
