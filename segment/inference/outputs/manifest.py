"""manifest.json: what a call of `segment predict` was given, with what it ran, and what became of every input."""

import json
import platform
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from segment import __version__
from segment.files import write_text
from segment.inference.inputs.find_inputs import Input
from segment.inference.outputs.names import report_path
from segment.inference.outputs.report import read_report
from segment.io.left_out import LeftOut
from segment.privacy import without_paths, without_paths_in_log

MANIFEST = "manifest.json"
PACKAGES = (
    "torch",
    "torchio",
    "monai",
    "numpy",
    "scipy",
    "nibabel",
    "SimpleITK",
    "pydicom",
    "highdicom",
    "onnxruntime",
    "openvino",
)
# Options that decide what is in a mask, beside the organs. Masks of other values are not kept beside new ones.
DECIDING: Mapping[str, Any] = {"exact": False, "tta": []}  # and their values before they existed
# The description of a DICOM series in a message, as typed at the scanner, which may name the patient.
_DESCRIPTION = re.compile(r"([\d.]+) \((?:(?!, \d+ slices, ).)*, (\d+ slices, )")

State = Literal["running", "complete", "failed", "interrupted"]


@dataclass
class Manifest:
    """The manifest of a call. The file is written when the first mask is, and replaced at the end of the call.

    A manifest whose state is `running` belongs to a call that runs or was killed. It has no patient's name except in
    names of the input's own files and folders, and no absolute path.

    Attributes:
        output: The folder of the masks.
        options: The options of the call.
        checkpoints: Name and SHA-256 of each checkpoint.
        organs: Value in the mask of every organ.
        device: Where the network runs.
        engine: What runs it, with its version; empty if no CT is left to segment.
        cases: What became of every input so far, by the name that messages use: `case`, the name of its outputs;
            `state` (done, kept or failed); for failed ones `reason`.
        started: When the call started.
    """

    output: Path
    options: Mapping[str, Any]
    checkpoints: Sequence[Mapping[str, str]]
    organs: Mapping[str, int]
    device: str
    engine: str = ""
    cases: dict[str, dict[str, str]] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now().astimezone())
    _clock: float = field(default_factory=time.monotonic)

    @property
    def decided_by(self) -> dict[str, Any]:
        """The organs and options that decide what is in a mask."""
        return {"organs": list(self.organs)} | {key: self.options[key] for key in DECIDING}

    def add(self, item: Input, state: Literal["done", "kept", "failed"], reason: str = "") -> None:
        """Record what became of an input."""
        facts = {"case": item.name, "state": state}
        self.cases[item.display_name] = facts | ({"reason": without_names(reason)} if reason else {})

    def write(self, state: State, left_out: Iterable[LeftOut] = ()) -> None:
        """Write the file. The write is atomic."""
        content = {
            "command": "segment predict",
            "state": state,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 1),
            "segment": __version__,
            "python": platform.python_version(),
            "packages": _versions(),
            "platform": platform.platform(),
            "device": self.device,
            "engine": self.engine,
            "checkpoints": list(self.checkpoints),
            "organs": dict(self.organs),
            "decided_by": self.decided_by,
            "options": {key: without_paths(value) for key, value in self.options.items()},
            "cases": [self._case(path, facts) for path, facts in sorted(self.cases.items())],
            "left_out": [
                {"name": without_names(one.name), "reason": without_names(one.reason), "expected": one.is_expected}
                for one in left_out
            ],
        }
        write_text(self.output / MANIFEST, json.dumps(content, indent=2) + "\n")

    def _case(self, path: str, facts: Mapping[str, str]) -> dict[str, Any]:
        """What became of an input, with facts of its report: they are also those of earlier calls."""
        report = read_report(report_path(self.output, facts["case"])) if facts["state"] != "failed" else None
        known = {key: report[key] for key in ("input", "not_written", "seconds") if key in report} if report else {}
        return {"input": {"path": path}} | known | dict(facts)


def without_names(text: str) -> str:
    """A message without absolute paths and without the descriptions of DICOM series."""
    return _DESCRIPTION.sub(r"\1 (\2", without_paths_in_log(text))


def recorded(output: Path) -> dict[str, Any]:
    """What decided the masks in a folder, see `Manifest.decided_by`; empty if there is no manifest.

    A manifest of an earlier version lacks options that came later, and that were off.
    """
    try:
        content = json.loads((output / MANIFEST).read_text(encoding="utf-8"))["decided_by"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {**DECIDING, **content} if isinstance(content, dict) and content else {}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
