"""Two folders, images and labels, paired by file name."""

import re
from collections.abc import Mapping
from pathlib import Path

from segment.data.annotation import LabelFile
from segment.data.cases import Case
from segment.data.labels import Codes
from segment.data.scan import SUFFIXES, case_name
from segment.errors import UserError


class Folder:
    """Cases in `<root>/images` and `<root>/labels`, paired by file name.

    Args:
        root: Folder that holds both. When it holds nothing but one folder, as unzipping leaves it, that one is taken.
        label_codes: Codes of every structure in the label files, by name.
        images: Folder of the CTs, below the root.
        labels: Folder of the label maps, below the root.
        image_suffix: What image names carry after the case's name, such as `_0000`.
        patient_pattern: Regular expression whose first group, matched at the start of a case's name, is the patient;
            None: every case is a patient of its own.

    Raises:
        UserError: When the pattern is not a regular expression with a group.
    """

    def __init__(
        self,
        root: str | Path,
        label_codes: Codes,
        images: str = "images",
        labels: str = "labels",
        image_suffix: str = "",
        patient_pattern: str | None = None,
    ) -> None:
        self.root = Path(root)
        self.label_codes = label_codes
        self.images = images
        self.labels = labels
        self.image_suffix = image_suffix
        self.patient_pattern = None if patient_pattern is None else _compiled(patient_pattern)

    def cases(self, source: str) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When a folder is missing or empty, an image has no label or a label no image, or a name is not
                as `image_suffix` and `patient_pattern` want it.
        """
        root = self._root()
        images = _volumes(root / self.images, self.image_suffix)
        labels = _volumes(root / self.labels, "")
        _check_pairs(images, labels, root)
        return [
            Case(
                f"{source}/{name}",
                f"{source}/{self._patient(name)}",
                images[name],
                LabelFile(labels[name], self.label_codes),
            )
            for name in sorted(images)
        ]

    def _root(self) -> Path:
        if not self.root.is_dir():
            msg = f"no such folder: {self.root}; set the data set's root to the folder that holds {self.images}/"
            raise UserError(msg)
        if (self.root / self.images).is_dir():
            return self.root
        # Archives made on a Mac bring a folder __MACOSX along.
        folders = [f for f in self.root.iterdir() if f.is_dir() and not f.name.startswith((".", "__"))]
        return folders[0] if len(folders) == 1 and (folders[0] / self.images).is_dir() else self.root

    def _patient(self, name: str) -> str:
        if self.patient_pattern is None:
            return name
        match = self.patient_pattern.match(name)
        if match is None or not match.group(1):
            msg = f"patient_pattern {self.patient_pattern.pattern!r} finds no patient in the name {name!r}; mend it"
            raise UserError(msg)
        return match.group(1)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        msg = f"patient_pattern {pattern!r} is not a regular expression: {error}; mend it"
        raise UserError(msg) from error
    if compiled.groups == 0:
        msg = f"patient_pattern {pattern!r} has no group; put the part that names the patient in parentheses"
        raise UserError(msg)
    return compiled


def _volumes(folder: Path, suffix: str) -> dict[str, Path]:
    if not folder.is_dir():
        msg = f"no such folder: {folder}; a data set needs images/ and labels/ with one file per case in each"
        raise UserError(msg)
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and not p.name.startswith(".")):
        name = case_name(path)
        if not name.endswith(suffix):
            msg = f"{path} does not end in {suffix!r} as this data set's images do; rename it or set image_suffix"
            raise UserError(msg)
        name = name.removesuffix(suffix)
        if name in found:
            msg = f"two files for the case {name!r}: {found[name].name} and {path.name} in {folder}; remove one"
            raise UserError(msg)
        found[name] = path
    if not found:
        msg = f"no volumes in {folder}; expected files that end in {', '.join(SUFFIXES)}"
        raise UserError(msg)
    return found


def _check_pairs(images: Mapping[str, Path], labels: Mapping[str, Path], root: Path) -> None:
    for have, lack, what, other in ((images, labels, "image", "label"), (labels, images, "label", "image")):
        lonely = sorted(set(have) - set(lack))
        if lonely:
            names = ", ".join(have[name].name for name in lonely[:5]) + (" …" if len(lonely) > 5 else "")
            msg = f"{len(lonely)} {what}(s) without {other} in {root}: {names}; add the {other} or remove the {what}"
            raise UserError(msg)
