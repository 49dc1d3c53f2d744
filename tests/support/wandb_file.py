"""Read the .wandb files that Weights & Biases writes offline."""

import json
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32768
QUIET_S = 3.0  # a file that has not grown for this long is complete
WHOLE, LAST = 1, 4  # types of chunks that end a message


@dataclass
class WandbFile:
    """One offline run."""

    path: Path
    run: Any = None  # the last run record: run_id, project, run_group, job_type, tags, notes, display_name, host
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def table(self, key: str) -> list[dict[str, Any]]:
        """Rows of a logged table."""
        (value,) = [row[key] for row in self.history if key in row]
        content = json.loads((self.path.parent / "files" / value["path"]).read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def records(path: Path):
    """Messages of the file, which has a header of 7 bytes and LevelDB's log format; an incomplete end is left out."""
    data, position, message = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, position)
        message += data[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (WHOLE, LAST):
            yield Record.FromString(message)
            message = b""


def read(path: Path) -> WandbFile:
    found = WandbFile(path)
    for record in records(path):
        match record.WhichOneof("record_type"):
            case "run":
                found.run = record.run
                _put(found.config, record.run.config.update)
            case "config":
                _put(found.config, record.config.update)
            case "history":
                found.history.append(_put({}, record.history.item))
            case "summary":
                _put(found.summary, record.summary.update)
            case "files":
                found.files += [file.path for file in record.files.files]
            case "exit":
                found.exit_code = record.exit.exit_code
    return found


def offline_runs(folder: Path) -> list[WandbFile]:
    """All offline runs below a folder."""
    return [read_whole(path) for path in sorted(folder.rglob("*.wandb"))]


def read_whole(path: Path) -> WandbFile:
    """Read a run, and wait until W&B's service has written the file, which may be after `finish`."""
    found, size, since = read(path), path.stat().st_size, time.monotonic()
    while found.exit_code is None and time.monotonic() - since < QUIET_S:
        time.sleep(0.05)
        if path.stat().st_size != size:
            found, size, since = read(path), path.stat().st_size, time.monotonic()
    return found


def _put(values: dict[str, Any], items: Any) -> dict[str, Any]:
    for item in items:
        *outer, name = list(item.nested_key) or [item.key]
        node = values
        for key in outer:
            node = node.setdefault(key, {})
        node[name] = json.loads(item.value_json)
    return values
