"""Find CTs that arrive in folders, and wait until each is completely written."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from segment.errors import UserError
from segment.inference.inputs.find_inputs import Input, find_inputs
from segment.io.left_out import LeftOut, files_below

log = logging.getLogger(__name__)

Contents = dict[Path, int]  # by file and by folder: a hash of sizes and times


@dataclass
class Arrivals:
    """The inputs in folders to which other programs write.

    A file counts as complete when its size and time have not changed for `settle_s`; a DICOM series, when no file of
    its folder has changed for as long, and none was added. If a CT changes later, it is given again.

    Attributes:
        given: The folders.
        output: The folder of the masks, which is not searched if it lies in one of the folders.
        settle_s: Seconds without a change.
        left_out: What the last search left out.
    """

    given: Sequence[str]
    output: Path
    settle_s: float
    left_out: list[LeftOut] = field(default_factory=list)
    _contents: Contents = field(default_factory=dict)
    _inputs: list[Input] = field(default_factory=list)
    _since: dict[Path, tuple[int, float]] = field(default_factory=dict)  # content, and when it was first seen
    _given: dict[Path, int] = field(default_factory=dict)  # content when the input was returned

    def settled(self) -> list[Input]:
        """Inputs that are complete and that were not returned with this content before, sorted by name."""
        self._search()
        now = time.monotonic()
        ready = []
        for item in self._inputs:
            content = self._contents.get(item.path, 0)
            if self._given.get(item.path) == content:
                continue
            if item.path not in self._since:
                log.info("%s arrived; waiting until it is written", item.display_name)
            before, since = self._since.get(item.path, (None, now))
            if before != content:
                self._since[item.path] = (content, now)
            elif now - since >= self.settle_s:
                ready.append(item)
                self._given[item.path] = content
        return ready

    def _search(self) -> None:
        """List the inputs. Files are opened only if one has changed since the last search."""
        contents = _contents(self.given, self.output)
        if contents == self._contents:
            return
        self._contents, self._inputs, self.left_out = contents, [], []
        with suppress(UserError):  # there is no CT yet
            self._inputs, self.left_out = find_inputs(self.given, self.output)


def _contents(given: Sequence[str], output: Path) -> Contents:
    entries: dict[Path, set[tuple[str, int, int]]] = defaultdict(set)
    for folder in given:
        is_below = output.resolve().is_relative_to(Path(folder).resolve())
        for path in files_below(Path(folder)):
            if is_below and path.is_relative_to(output):
                continue
            with suppress(OSError):  # it was removed or renamed just now
                status = path.stat()
                entry = (path.name, status.st_size, status.st_mtime_ns)
                entries[path] = {entry}
                entries[path.parent].add(entry)
    return {path: hash(frozenset(parts)) for path, parts in entries.items()}
