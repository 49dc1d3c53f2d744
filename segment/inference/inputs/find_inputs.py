"""Find the CTs in the inputs of `segment predict`, and the reasons why other files are left out."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segment.errors import UserError
from segment.inference.inputs.paths import absolute_path, match_paths, no_ct_message, shared_folder
from segment.io.dicom import kinds
from segment.io.dicom_file import CT, ENHANCED
from segment.io.left_out import LeftOut, describe_group, group_by_reason, left_out_by_suffix
from segment.io.scan import case_name, has_suffix

ENDING = "_seg"  # ending of a mask's name: the mask of `ct.nii.gz` is `ct_seg.nii.gz`
STRAIGHTENED = "_straightened"  # ending of the name of a CT that was resampled, because its own grid was irregular


@dataclass(frozen=True)
class Input:
    """A file or folder that may be a CT.

    Attributes:
        path: A file, or a folder with DICOM files of a CT, without its subfolders.
        name: The path relative to the folder that all inputs share, without suffix, e.g. `p1/ct` for
            `scans/p1/ct.nii.gz` under `scans`. The mask and the rows in volumes.csv have this name.
        is_named: Whether the user named this file itself. Such a file is never left out because of its name.
        clash: Why the mask of this input would replace another input or its mask, and what to do; empty if it would
            not.
    """

    path: Path
    name: str
    is_named: bool = False
    clash: str = ""

    @property
    def display_name(self) -> str:
        """The name with its suffix, for messages."""
        return str(Path(self.name).with_name(self.path.name or self.path.resolve().name))


def find_inputs(given: Sequence[str], output: Path) -> tuple[list[Input], list[LeftOut]]:
    """Find everything that may be a CT in files, folders (with their subfolders) and globs.

    The result does not depend on the order in which a file system lists files. Hidden files are ignored. Masks and
    straightened CTs that this command wrote beside the CTs are left out, as is the output folder, except for files and
    folders that the user named.

    Args:
        given: Paths and globs.
        output: The folder for the masks.

    Returns:
        The inputs sorted by name, and the files that are left out.

    Raises:
        UserError: When a path does not exist, or nothing may be a CT.
    """
    matches: list[tuple[Path, bool]] = []  # path, and whether the user named it itself
    for pattern in given:
        matches += [(path, path == Path(pattern)) for path in match_paths(pattern)]
    named = [path for path, is_named in matches if is_named]
    search = _Search(shared_folder(given, [path for path, _ in matches]), output, {path.resolve() for path in named})
    # Named files first, because a named folder may contain them and each file is added once.
    for path, is_named in sorted(matches, key=lambda match: not match[1] or match[0].is_dir()):
        search.add(path, is_named)
    inputs = search.without_own_masks()
    if not inputs:
        reasons = "".join(f"\n  {describe_group(group)}" for group in group_by_reason(search.left_out))
        raise UserError(no_ct_message(",".join(given)) + reasons)
    return _add_clashes(inputs, output), search.left_out


@dataclass
class _Search:
    """Collects inputs. Each file and folder is visited once.

    Attributes:
        base: The folder to which names are relative.
        output: The folder for the masks.
        named: Files and folders that the user named, with links resolved.
        inputs: Files and folders that may be a CT.
        left_out: Other files, with reasons.
        seen: Paths of all files and folders so far.
    """

    base: Path
    output: Path
    named: Collection[Path]
    inputs: list[Input] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def add(self, path: Path, is_named: bool) -> None:
        """Add a file, or all files of a folder, to the inputs or to the files that are left out."""
        if path.is_dir():
            for folder, names in self._walk(path):
                self._add_folder(folder, names)
        elif self._is_new(path):
            if is_named or has_suffix(path):
                self._add_input(path, is_named)
            elif dict(kinds([path])):
                self.left_out.append(LeftOut(self._name(path), "a single DICOM file; give the folder of its series"))
            else:
                self.left_out.append(self._other_format(path))

    def without_own_masks(self) -> list[Input]:
        """The inputs sorted by name, without the files that this command wrote beside them."""
        names = {candidate.name for candidate in self.inputs}
        written = {f"{name}{ending}" for name in names for ending in (ENDING, STRAIGHTENED)}
        # The output may be a folder that the user named. Names are then not relative to it.
        written_paths = {absolute_path(self.output / f"{name}.nii.gz") for name in written}
        reason = "has the name of a mask or straightened CT of the CT beside it"
        kept = []
        for candidate in sorted(self.inputs, key=lambda candidate: (candidate.name, candidate.display_name)):
            beside = candidate.name.rpartition(f"{ENDING}_")[0]  # of the mask of one organ
            is_written = candidate.name in written or absolute_path(candidate.path) in written_paths or beside in names
            if is_written and not candidate.is_named:
                self.left_out.append(LeftOut(candidate.display_name, reason, is_expected=True))
            else:
                kept.append(candidate)
        return kept

    def _walk(self, top: Path) -> Iterator[tuple[Path, list[str]]]:
        """Folders and the names of their files. Links are followed, and each folder is visited once."""
        for folder, folders, names in os.walk(top, followlinks=True, onerror=self._cannot_open):
            if not self._is_new(Path(folder)):
                folders.clear()
                continue
            if self._is_output(Path(folder)):
                self.left_out.append(LeftOut(self._name(Path(folder)), "the output folder", is_expected=True))
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield Path(folder), sorted(name for name in names if not name.startswith("."))

    def _add_folder(self, folder: Path, names: Sequence[str]) -> None:
        files = [folder / name for name in names if self._is_new(folder / name)]
        for path in filter(has_suffix, files):
            self._add_input(path)
        others = [path for path in files if not has_suffix(path)]
        images: dict[Path, str] = {}  # DICOM files that are not a CT, and what they are
        for path, kind in kinds(filter(Path.is_file, others)):
            if kind in (CT, ENHANCED):
                self._add_input(folder)
                # The other files in the folder belong to the series, except those that may contain another CT.
                left_out = [self._other_format(path) for path in others]
                self.left_out += [file for file in left_out if not file.is_expected]
                return
            images[path] = kind
        for path in others:
            if path in images:
                self.left_out.append(LeftOut(self._name(path), f"DICOM, but not a CT: {images[path]}"))
            else:
                self.left_out.append(self._other_format(path))

    def _add_input(self, path: Path, is_named: bool = False) -> None:
        name = self._name(path)
        if name == ".":  # the given folder itself contains the DICOM files
            name = path.resolve().name
        elif not path.is_dir():
            name = str(Path(name).with_name(case_name(name)))
        self.inputs.append(Input(path, name, is_named))

    def _other_format(self, path: Path) -> LeftOut:
        return left_out_by_suffix(self._name(path))

    def _name(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.base)).as_posix()

    def _is_new(self, path: Path) -> bool:
        unique = os.path.realpath(path) if path.is_dir() else absolute_path(path)
        is_new = unique not in self.seen
        self.seen.add(unique)
        return is_new

    def _is_output(self, folder: Path) -> bool:
        is_input = folder.resolve() in {self.base.resolve(), *self.named}
        return folder.resolve() == self.output.resolve() and not is_input

    def _cannot_open(self, error: OSError) -> None:
        reason = f"cannot be opened ({error.strerror}); check its permissions"
        self.left_out.append(LeftOut(self._name(Path(str(error.filename))), reason))


def _add_clashes(inputs: Sequence[Input], output: Path) -> list[Input]:
    """The inputs, with their clashes. Two inputs clash if their masks, or a mask and an input, have the same path."""
    paths = defaultdict(list)
    for candidate in inputs:
        paths[candidate.name].append(candidate.path)
    taken = {absolute_path(candidate.path) for candidate in inputs}
    return [replace(candidate, clash=_clash(candidate, paths[candidate.name], taken, output)) for candidate in inputs]


def _clash(candidate: Input, same_name: Sequence[Path], taken: Collection[str], output: Path) -> str:
    mask = f"{candidate.name}{ENDING}.nii.gz"
    for other in same_name:
        if other != candidate.path:
            return f"{other} would write the same mask, {mask}; rename one, or predict them into different outputs"
    for result in (output / mask, output / f"{candidate.name}{STRAIGHTENED}.nii.gz"):
        if absolute_path(result) in taken:
            return f"its results would replace the input {result}; choose another output"
    return ""
