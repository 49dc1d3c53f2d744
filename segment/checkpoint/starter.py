"""The starter weights: a network that was trained on synthetic CTs only and comes with the package."""

from pathlib import Path

from segment.errors import UserError
from segment.files import file_sha256

STARTER = "starter"  # what ckpt= and init_from= take instead of a path
_FILE = Path(__file__).parents[1] / "weights" / "starter.ckpt"  # beside it, .sha256 in the format of sha256sum


def checkpoint_path(name: str | Path) -> Path:
    """The file of a checkpoint that a user names: `starter` is the file in the package, anything else is a path.

    Write `./starter` for a file of that name in the working directory.

    Raises:
        UserError: When the file in the package is missing or damaged.
    """
    if str(name) != STARTER:
        return Path(name)
    _check(_FILE)
    return _FILE


def _check(file: Path) -> None:
    checksum = file.with_suffix(".sha256")
    missing = [path.name for path in (file, checksum) if not path.is_file()]
    if missing:
        msg = (
            f"this installation has no starter weights: there is no {missing[0]} in the package; reinstall it, or name "
            "a checkpoint of your own"
        )
        raise UserError(msg)
    expected, found = checksum.read_text(encoding="utf-8").split()[:1], file_sha256(file)
    if [found] != expected:
        msg = (
            f"the starter weights of this installation are damaged: their SHA-256 is {found}, not "
            f"{' '.join(expected) or 'in the package'}; reinstall the package"
        )
        raise UserError(msg)
