"""The starter weights: a network that was trained on synthetic CTs only and comes with the package."""

import hashlib
from functools import cache
from pathlib import Path

from segment.errors import UserError

STARTER = "starter"  # what ckpt= and init_from= take instead of a path
_FILE = Path(__file__).parents[1] / "weights" / "starter.ckpt"
_SHA256 = _FILE.with_suffix(".sha256")  # in the format of sha256sum


def checkpoint_path(name: str | Path) -> Path:
    """The file of a checkpoint that a user names: `starter` is the file in the package, anything else is a path.

    Write `./starter` for a file of that name in the working directory.

    Raises:
        UserError: When the file in the package is missing or damaged.
    """
    if str(name) != STARTER:
        return Path(name)
    _check()
    return _FILE


@cache
def _check() -> None:
    try:
        expected = _SHA256.read_text(encoding="utf-8").split()[0]
        found = hashlib.sha256(_FILE.read_bytes()).hexdigest()
    except (OSError, IndexError) as error:
        msg = f"the starter weights are missing from this installation ({error}); reinstall the package, or give ckpt="
        raise UserError(msg) from error
    if found != expected:
        msg = f"the starter weights are damaged: SHA-256 {found}, expected {expected}; reinstall the package"
        raise UserError(msg)
