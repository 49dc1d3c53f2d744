"""What an exported file says about its network, as JSON in the metadata of the ONNX model."""

import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from segment.errors import UserError
from segment.exported.steps import Step

FORMAT, VERSION, KEY = "segment.exported", 1, "segment"  # as in segment_onnx.py; KEY is that of the metadata
LONGEST = 1_000_000  # characters
MOST_ORGANS = 255  # masks are uint8
MOST_STEPS = 20
# Organs become parts of file names and tables.
_ORGAN = re.compile(r"[^\W_][\w .()+-]{0,63}")
ORGAN_NAMES = "begin with a letter or a digit and have at most 64 letters, digits, spaces and ._()+-"


@dataclass(frozen=True)
class Description:
    """Everything a mask needs besides the network.

    Attributes:
        organs: Class i is organs[i-1].
        preprocess: Steps on a CT in RAS+ orientation; see `segment.exported.steps`.
        patch_size: Windows (I,J,K) of the network.
        overlap: Minimum overlap of the windows along I, J, K.
        postprocess: The step that cleans the mask, or None.
        tolerance_mm: Tolerance of surface scores per organ.
        source: Where the file comes from: SHA-256 of the checkpoint, versions of programs.
        agreement: Dice of each organ between the masks of this file and of the checkpoint when it was exported; None if
            both were empty.
    """

    organs: list[str]
    preprocess: list[Step]
    patch_size: list[int]
    overlap: list[int]
    postprocess: Step | None
    tolerance_mm: dict[str, float]
    source: dict[str, str]
    agreement: dict[str, float | None]

    def to_json(self) -> str:
        """The text for the model's metadata."""
        return json.dumps({"format": FORMAT, "version": VERSION, "orientation": "RAS", **asdict(self)})


def from_json(text: str) -> Description:
    """Read the metadata of a file, which may come from a stranger.

    Raises:
        UserError: When it is not what `to_json` writes. The values of the steps are checked when they are built.
    """
    if len(text) > LONGEST:
        msg = f"its metadata has {len(text)} characters, more than {LONGEST}"
        raise UserError(msg)
    try:
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        msg = "its metadata is not JSON"
        raise UserError(msg) from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        msg = "it was not written by `segment export`"
        raise UserError(msg)
    version, orientation = content.pop("version", None), content.pop("orientation", None)
    if version != VERSION or orientation != "RAS":
        msg = f"it has version {version} of the format, and this version of segment reads {VERSION}; export again"
        raise UserError(msg)
    fields = Description.__dataclass_fields__
    if content.keys() != fields.keys():
        odd = sorted(content.keys() ^ fields.keys())
        msg = f"its metadata lacks, or should not have, {', '.join(map(str, odd))[:200]}; export again"
        raise UserError(msg)
    for name, is_valid in _VALID.items():
        if not is_valid(content[name]):
            msg = f"its metadata has an invalid {name}: {str(content[name])[:100]}; export again"
            raise UserError(msg)
    return Description(**content)


def is_organ_name(name: str) -> bool:
    """Whether an exported file may name an organ so."""
    return _ORGAN.fullmatch(name) is not None


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and infinities


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_size(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list) and len(value) == 3 and all(type(n) is int and 0 <= n <= 4096 for n in value)


def _is_plain(value: Any) -> bool:  # noqa: ANN401
    """Whether an argument of a step is a number or a list of three."""
    return _is_number(value) or (isinstance(value, list) and len(value) == 3 and all(map(_is_number, value)))


def _is_step(step: Any) -> bool:  # noqa: ANN401
    if not isinstance(step, dict) or not isinstance(step.get("name"), str):
        return False
    return all(_is_plain(value) for key, value in step.items() if key != "name")


def _is_postprocessing(value: Any) -> bool:  # noqa: ANN401
    """Whether a value is None, or the steps of `CleanUp` with plain arguments."""
    if value is None:
        return True
    if not isinstance(value, dict) or value.keys() != {"name", "steps", "left_out"} or value["name"] != "clean_up":
        return False
    steps = value["steps"]
    if not isinstance(steps, list) or len(steps) > MOST_STEPS or not _is_nested(value["left_out"]):
        return False
    for step in steps:
        if not isinstance(step, dict) or step.keys() != {"name", "kind", "arguments"}:
            return False
        if not all(isinstance(step[key], str) for key in ("name", "kind")) or not _is_nested(step["arguments"]):
            return False
    return True


def _is_nested(value: Any, depth: int = 3) -> bool:  # noqa: ANN401
    """Whether a value consists of numbers, names of organs, and lists and dictionaries of these."""
    if isinstance(value, str):
        return is_organ_name(value)
    if isinstance(value, list | dict):
        items = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        return depth > 0 and len(items) <= 2 * MOST_ORGANS and all(_is_nested(item, depth - 1) for item in items)
    return _is_number(value)


def _are_organs(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, list) or not all(isinstance(organ, str) and is_organ_name(organ) for organ in value):
        return False
    return 1 <= len(value) <= MOST_ORGANS and len({*value}) == len(value)


def _are_numbers(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and all(map(_is_number, value.values()))


_VALID: dict[str, Any] = {
    "organs": _are_organs,
    "preprocess": lambda value: isinstance(value, list) and len(value) <= MOST_STEPS and all(map(_is_step, value)),
    "patch_size": lambda value: _is_size(value) and 0 not in value,
    "overlap": _is_size,
    "postprocess": _is_postprocessing,
    "tolerance_mm": _are_numbers,
    "source": lambda value: isinstance(value, dict) and all(isinstance(text, str) for text in value.values()),
    "agreement": lambda value: isinstance(value, dict) and all(v is None or _is_number(v) for v in value.values()),
}
