"""Read the JSON files of data sets: descriptions, tables and splits."""

import json
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
