"""JSON that comes with data sets: descriptions, tables, splits."""

import json
from pathlib import Path
from typing import Any

from segment.errors import UserError


def read_json(path: Path) -> Any:  # noqa: ANN401
    """What a JSON file holds.

    Raises:
        UserError: When it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; check the path"
        raise UserError(msg) from error
    except ValueError as error:
        msg = f"{path} is not JSON: {error}; correct it or download it again"
        raise UserError(msg) from error
