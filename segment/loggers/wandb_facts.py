"""Facts about a run for Weights & Biases, read from the files of the run folder."""

import json
from pathlib import Path
from typing import Any

from segment.run.folder import ENVIRONMENT, code_name, process_records, resources_used


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
    return {f"run/{name}": value for name, value in resources_used(_processes(folder)).items()}


def _processes(folder: Path) -> list[dict[str, Any]]:
    path = folder / ENVIRONMENT
    return process_records(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []
