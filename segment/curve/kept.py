"""Keep what was computed from a CT in the cache, so that it is not computed again."""

import json
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from segment.files import write_text

VERSION = 2  # raise it when the code changes what is computed


def kept(folder: Path, key: Any, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401
    """What `compute` returned for this key in an earlier call, or what it returns now.

    An entry that cannot be read is computed again. What cannot be written, for example because the disk is full, is
    returned nevertheless.

    Args:
        folder: Holds a file for each key; it can be deleted.
        key: Plain values that determine the result.
        compute: Returns plain values.
    """
    name = blake2b(json.dumps([VERSION, key], sort_keys=True).encode(), digest_size=16).hexdigest()
    path = folder / f"{name}.json"
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    content = compute()
    with suppress(OSError):
        write_text(path, json.dumps(content))
    return content
