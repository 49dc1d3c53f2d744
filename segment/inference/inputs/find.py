"""The CTs among all that lies under the inputs of `segment predict`, and why the rest is left out."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segment.errors import UserError
from segment.inference.inputs.paths import absolute, matching, no_ct, shared_folder
from segment.io.dicom import kinds
from segment.io.dicom_file import CT, ENHANCED
from segment.io.left_out import LeftOut, grouped, line, of_other_format
from segment.io.scan import case_name, has_suffix

ENDING = "_seg"  # what the name of a CT's mask has after the CT's
STRAIGHTENED = "_straightened"  # and the name of a CT whose mask lies on another grid than its files


@dataclass(frozen=True)
class Input:
    """What may be a CT.

    Attributes:
        path: A file, or a folder in which DICOM files of a CT lie, without what lies below.
        name: Its path below the folder that all inputs share, without suffix: `p1/ct` of `scans/p1/ct.nii.gz` under
            `scans`. Its mask and its rows in volumes.csv are named after it.
        is_named: Whether the user named this very file, so that it is not left out, whatever its name.
        clash: Which other input its mask would replace, or the mask of which, and what to do; empty where none.
    """

    path: Path
    name: str
    is_named: bool = False
    clash: str = ""

    @property
    def shown(self) -> str:
        """The name with its suffix, for messages."""
        return str(Path(self.name).with_name(self.path.name or self.path.resolve().name))


def find_inputs(given: Sequence[str], output: Path) -> tuple[list[Input], list[LeftOut]]:
    """All that may be a CT in files, in folders with all that lies below, and in what globs match; and the rest.

    Nothing depends on the order in which a file system lists files. Hidden files are no one's. Masks and straightened
    CTs that this command has written beside the CTs, and all in the output folder, are left out, but for what is named
    itself.

    Args:
        given: Paths and globs.
        output: Where masks are written.

    Returns:
        Inputs sorted by name, and what is left out.

    Raises:
        UserError: When a path does not exist, or nothing may be a CT.
    """
    matches = [(path, path == Path(one)) for one in given for path in matching(one)]
    named = [path for path, is_named in matches if is_named]
    search = _Search(shared_folder(given, [path for path, _ in matches]), output, {path.resolve() for path in named})
    # Named files first: a folder may hold them.
    for path, is_named in sorted(matches, key=lambda match: not match[1] or match[0].is_dir()):
        search.take(path, is_named)
    inputs = search.without_own_masks()
    if not inputs:
        there = "".join(f"\n  {line(group)}" for group in grouped(search.left_out))
        raise UserError(no_ct(",".join(given)) + there)
    return _with_clashes(inputs, output), search.left_out


@dataclass
class _Search:
    """What was found so far, each file and folder once.

    Attributes:
        base: Folder below which names start.
        output: Where masks are written.
        named: Files and folders that the user named, with links resolved.
        inputs: What may be a CT.
        left_out: What is no input.
        seen: Paths of all files and folders so far.
    """

    base: Path
    output: Path
    named: Collection[Path]
    inputs: list[Input] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(self, path: Path, is_named: bool) -> None:
        """Sort what a path of the user or of a glob leads to."""
        if path.is_dir():
            for folder, names in self._walk(path):
                self._take_folder(folder, names)
        elif self._is_new(path):
            if is_named or has_suffix(path):
                self._add(path, is_named)
            elif dict(kinds([path])):
                self.left_out.append(LeftOut(self._below(path), "a single DICOM file; give the folder of its series"))
            else:
                self.left_out.append(self._of_other_format(path))

    def without_own_masks(self) -> list[Input]:
        """The inputs by name; what this command has written beside them is left out."""
        written = {f"{one.name}{ending}" for one in self.inputs for ending in (ENDING, STRAIGHTENED)}
        # The output may be one of the folders that the user named, below which names do not start.
        made = {absolute(self.output / f"{name}.nii.gz") for name in written}
        reason = "named as the mask or the straightened CT of the CT beside it"
        kept = []
        for one in sorted(self.inputs, key=lambda one: (one.name, one.shown)):
            if not one.is_named and (one.name in written or absolute(one.path) in made):
                self.left_out.append(LeftOut(one.shown, reason, is_expected=True))
            else:
                kept.append(one)
        return kept

    def _walk(self, top: Path) -> Iterator[tuple[Path, list[str]]]:
        """Folders and the names of their files; links are followed, each folder is visited once."""
        for folder, folders, names in os.walk(top, followlinks=True, onerror=self._cannot_open):
            if not self._is_new(Path(folder)):
                folders.clear()
                continue
            if self._is_output(Path(folder)):
                self.left_out.append(LeftOut(self._below(Path(folder)), "the output folder", is_expected=True))
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield Path(folder), sorted(name for name in names if not name.startswith("."))

    def _take_folder(self, folder: Path, names: Sequence[str]) -> None:
        files = [folder / name for name in names if self._is_new(folder / name)]
        for path in filter(has_suffix, files):
            self._add(path)
        others = [path for path in files if not has_suffix(path)]
        images: dict[Path, str] = {}  # DICOM that is no CT
        for path, kind in kinds(filter(Path.is_file, others)):
            if kind in (CT, ENHANCED):
                self._add(folder)
                # What else lies among the series' files is theirs, but for what may hold another CT.
                self.left_out += [one for one in map(self._of_other_format, others) if not one.is_expected]
                return
            images[path] = kind
        for path in others:
            image = LeftOut(self._below(path), f"DICOM, but no CT: {images.get(path)}")
            self.left_out.append(image if path in images else self._of_other_format(path))

    def _add(self, path: Path, is_named: bool = False) -> None:
        name = self._below(path)
        if name == ".":  # DICOM files lie right in the folder that was given
            name = path.resolve().name
        elif not path.is_dir():
            name = str(Path(name).with_name(case_name(name)))
        self.inputs.append(Input(path, name, is_named))

    def _of_other_format(self, path: Path) -> LeftOut:
        return of_other_format(self._below(path))

    def _below(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.base)).as_posix()

    def _is_new(self, path: Path) -> bool:
        known = os.path.realpath(path) if path.is_dir() else absolute(path)
        is_new = known not in self.seen
        self.seen.add(known)
        return is_new

    def _is_output(self, folder: Path) -> bool:
        is_asked_for = folder.resolve() in {self.base.resolve(), *self.named}
        return folder.resolve() == self.output.resolve() and not is_asked_for

    def _cannot_open(self, error: OSError) -> None:
        reason = f"cannot be opened ({error.strerror}); check your rights to read it"
        self.left_out.append(LeftOut(self._below(Path(str(error.filename))), reason))


def _with_clashes(inputs: Sequence[Input], output: Path) -> list[Input]:
    """The inputs, with those marked whose mask would replace that of another, or another itself."""
    paths = defaultdict(list)
    for one in inputs:
        paths[one.name].append(one.path)
    taken = {absolute(one.path) for one in inputs}
    return [replace(one, clash=_clash(one, paths[one.name], taken, output)) for one in inputs]


def _clash(one: Input, same_name: Sequence[Path], taken: Collection[str], output: Path) -> str:
    mask = f"{one.name}{ENDING}.nii.gz"
    if other := next((path for path in same_name if path != one.path), None):
        return f"{other} would write the same mask, {mask}; rename one, or take two calls and outputs"
    made = [output / mask, output / f"{one.name}{STRAIGHTENED}.nii.gz"]
    replaced = next((path for path in made if absolute(path) in taken), None)
    return f"its results would replace the input {replaced}; choose another output" if replaced else ""
