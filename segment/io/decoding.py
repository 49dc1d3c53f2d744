"""Run the C++ readers of SimpleITK: keep what they print off the terminal, and find out why they failed."""

import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

STDERR = 2  # its file descriptor, to which C++ code writes directly
# For example `MetaImage: M_ReadElementsData: ` or `ITK ERROR: GDCMImageIO(0x55e9c07a8480): `.
_ORIGIN = re.compile(r"^(\[nrrd\] |ITK ERROR: |[\w:]+(\(0x\w+\))?: )+")

_lock = threading.Lock()  # the process has one standard error


class DecodingError(Exception):
    """A file cannot be decoded. The message is the cause, in the words of the reader."""


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Run a reader of SimpleITK in the block, without output on the terminal. What it printed is logged at level DEBUG.

    Some readers print the cause of an error (`data not read completely`) and raise another one
    (`File cannot be read … Reason: Success`).

    Args:
        path: The file that is read.

    Raises:
        DecodingError: When the reader fails.
    """
    with tempfile.TemporaryFile() as output:
        try:
            with _stderr_to(output):
                yield
        except RuntimeError as error:
            raise DecodingError(_cause(_text(output), str(error))) from error
        except BaseException:  # a signal ends the program: show what its handler has written
            os.write(STDERR, _text(output).encode())
            raise
        printed = _text(output)
    if printed:
        log.debug("%s: %s", path, printed.strip())


@contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Redirect the standard error of the process to a file while the block runs."""
    if sys.stderr is None:  # the program was started without one
        yield
        return
    with _lock:
        saved = os.dup(STDERR)
        try:
            os.dup2(file.fileno(), STDERR)
            yield
        finally:
            os.dup2(saved, STDERR)
            os.close(saved)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _cause(printed: str, error: str) -> str:
    """The first line that a reader printed, with the indented ones below it; other lines are about consequences.

    If it printed none, the last line of its error, which is the innermost.
    """
    lines = [line for line in printed.splitlines() if line.strip()]
    if not lines:
        return _without_origin((error.splitlines() or ["unknown"])[-1])
    parts = [_without_origin(lines[0])]
    for line in lines[1:]:
        if not line.startswith(" "):
            break
        parts.append(line.strip())
    return ", ".join(parts)


def _without_origin(line: str) -> str:
    return _ORIGIN.sub("", line.strip()).removesuffix(".")
