"""What a run found out about itself, as columns of Weights & Biases, out of the files of the run folder."""

import json
from pathlib import Path
from typing import Any

from segment.run.folder import ENVIRONMENT, code_name, processes_of

USED = ("hours", "core_hours")  # sums over the processes of a run
PEAKS = ("peak_memory_gib", "peak_gpu_memory_gib")


def known_at_start(folder: Path) -> dict[str, Any]:
    """Code, overrides of the first process, hardware of the last one, size of network and split; empty without any.

    Keys are `run.<name>`, values plain.
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
    cases = {f"cases.{part}": len(ids) for part, ids in split.items()}
    return {f"run.{name}": value for name, value in (facts | cases).items()}


def known_at_end(folder: Path) -> dict[str, float]:
    """Hours of all processes that were not killed, seconds per epoch of the last one that did any, peaks of memory.

    Keys are `run/<name>`; what no process has measured is missing.
    """
    processes = _processes(folder)
    found: dict[str, float] = {}
    for names, combine in ((USED, sum), (PEAKS, max), (("epoch_s",), lambda values: values[-1])):
        for name in names:
            if values := [facts[name] for facts in processes if name in facts]:
                found[f"run/{name}"] = round(combine(values), 4)
    return found


def _processes(folder: Path) -> list[dict[str, Any]]:
    path = folder / ENVIRONMENT
    return processes_of(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []
