"""Facts about a run for Weights & Biases, read from the files of the run folder."""

import json
from pathlib import Path
from typing import Any

from segment.run.folder import ENVIRONMENT, code_name, process_records

USED = ("hours", "core_hours")  # summed over the processes of a run
PEAKS = ("peak_memory_gib", "peak_gpu_memory_gib")  # the maximum over its processes


def facts_at_start(folder: Path) -> dict[str, Any]:
    """Facts that are known when a run starts, as plain values under the keys `run.<name>`.

    These are the commits, the overrides of the first process, the hardware of the last process, the number of
    parameters, and the number of cases in each part of the split. Empty if the folder has no environment.json.
    """
    processes = _processes(folder)
    if not processes:
        return {}
    first, last = processes[0], processes[-1]
    facts = {
        "commit": " then ".join(dict.fromkeys(map(code_name, processes))),
        "overrides": first.get("overrides"),
        "cpu": last.get("cpu"),
        "cores": last.get("cpu_cores"),
        "memory_gib": last.get("memory_gib"),
        "gpu": ", ".join(last.get("gpus", [])) or None,
        "parameters": last.get("parameters"),
    }
    path = folder / "split.json"
    split = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for part, ids in split.items():
        facts[f"cases.{part}"] = len(ids)
    return {f"run.{name}": value for name, value in facts.items()}


def facts_at_end(folder: Path) -> dict[str, float]:
    """Facts that are known when a run ends, under the keys `run/<name>`.

    These are the hours of all processes that were not killed, the seconds per epoch of the last process that trained
    an epoch, and the memory peaks. A value that no process has measured is left out.
    """
    processes = _processes(folder)
    found: dict[str, float] = {}
    for names, combine in ((USED, sum), (PEAKS, max), (("epoch_s",), lambda values: values[-1])):
        for name in names:
            values = [process[name] for process in processes if name in process]
            if values:
                found[f"run/{name}"] = round(combine(values), 4)
    return found


def _processes(folder: Path) -> list[dict[str, Any]]:
    path = folder / ENVIRONMENT
    return process_records(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []
