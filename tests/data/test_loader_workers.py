import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from small_ct import ORGANS, transform
from torch.utils.data import DataLoader

from segment.data.patches import EpochSampler, PatchLoader
from segment.data.store.store import Store
from segment.doctor.inspection import Inspection, inspect_all
from segment.runtime.signals import SIGNALS

# A loader with slow workers. The program prints when each batch arrives, and when it has ended its workers.
PROGRAM = """
import time, torch
from segment.data.loader_workers import ignore_job_signals, signals_held_back

def start(threads):  # the first function that a worker calls
    print("start", flush=True)
    time.sleep(1)

torch.set_num_threads = start

class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, index):
        time.sleep(0.3)
        return index

import signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: print("run", number, flush=True))
loader = torch.utils.data.DataLoader(Slow(), num_workers=2, worker_init_fn=ignore_job_signals)
def batches():
    with signals_held_back():
        return iter(loader)

print(sum(int(batch) * (print("batch", flush=True) or 1) for batch in batches()), flush=True)
batches = batches()
next(batches)
del batches  # ends the workers
print("ended", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the sender of a signal")
@pytest.mark.parametrize("moment", ["start", "batch"])
def test_signals_to_the_job_are_handled_once_and_end_no_worker(moment):
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        for _ in range(2):  # one of each worker; with a batch, both have begun to ignore signals
            while process.stdout.readline() != f"{moment}\n":
                assert process.poll() is None
        for number in SIGNALS:
            os.killpg(process.pid, number)
        lines = process.stdout.read().split("\n")
    assert process.returncode == 0
    assert sorted(line for line in lines if line.startswith("run")) == sorted(f"run {number:d}" for number in SIGNALS)
    assert {"15", "ended"} <= {*lines}


@pytest.mark.parametrize("loads", ["patches", "cases", "inspections"])
def test_every_loader_starts_its_workers_with_signals_held_back(loads, tmp_path, monkeypatch):
    masks = []

    def start(loader):
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return iter(["summary"] if loads == "inspections" else [])

    monkeypatch.setattr(DataLoader, "_get_iterator", start)
    if loads == "patches":
        list(PatchLoader([0], sampler=EpochSampler(0, 2, 2), batch_size=2))
    elif loads == "cases":
        Store(tmp_path, transform(), ORGANS).facts([])
    else:
        inspect_all(Inspection([SimpleNamespace(id="a")], ORGANS, None), 0)
    assert [mask.issuperset(SIGNALS) for mask in masks] == [True]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()).isdisjoint(SIGNALS)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the sender of a signal")
def test_a_worker_ends_when_its_parent_terminates_it(tmp_path):
    program = f"""
import multiprocessing, time
from segment.data.loader_workers import ignore_job_signals

def work():
    ignore_job_signals(0)
    open({str(tmp_path / "ready")!r}, "w").close()
    time.sleep(60)

if __name__ == "__main__":
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    while not __import__("os").path.exists({str(tmp_path / "ready")!r}):
        time.sleep(0.01)
    worker.terminate()
    worker.join(20)
    print(worker.exitcode)
"""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
    assert time.monotonic() - start < 50
