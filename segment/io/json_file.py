"""Read the JSON files of data sets (descriptions, tables and splits), and prepare values for JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.errors import UserError


def read_json(path: Path) -> Any:  # noqa: ANN401
    """Return the content of a JSON file.

    Raises:
        UserError: When the file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; check the path"
        raise UserError(msg) from error
    except ValueError as error:
        msg = f"{path} is not JSON: {error}; correct it or download it again"
        raise UserError(msg) from error


def plain_json(value: Any, digits: int | None = None) -> Any:  # noqa: ANN401
    """A value in which NaN and infinity are None, because JSON has no word for them, and sequences are lists.

    Args:
        value: Mappings, sequences, text and numbers, nested.
        digits: Decimals that floating-point numbers are rounded to; None keeps all.
    """
    if isinstance(value, Mapping):
        return {str(key): plain_json(item, digits) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain_json(item, digits) for item in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)
