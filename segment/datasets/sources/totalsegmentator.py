"""The layout of TotalSegmentator's data sets, versions 1 and 2: one mask for each structure."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from segment.datasets.annotation import MaskFiles
from segment.datasets.cases import PARTS, Case, Refused
from segment.datasets.sources.listing import left_by_system, listed, unwrapped
from segment.datasets.sources.rest import files_of
from segment.errors import UserError
from segment.io.label_codes import plain
from segment.io.left_out import LeftOut, unused
from segment.io.scan import case_name, has_suffix

TABLE = "meta.csv"
CTS = "*/ct.nii.gz"


class TotalSegmentator:
    """Cases such as `s0001/ct.nii.gz` with `s0001/segmentations/liver.nii.gz`, and `meta.csv` beside them.

    Its column `split` becomes the cases' part. Without the table there are neither parts nor groups.

    Args:
        root: Folder that holds the cases' folders, or one that holds nothing but this folder.
        names: Our name by that of a mask. Only masks named here are read; one that a case lacks is unknown there.
        group_columns: Columns of `meta.csv` that, together, are the group.
    """

    def __init__(
        self, root: str | Path, names: Mapping[str, str], group_columns: Sequence[str] = ("institute",)
    ) -> None:
        self.root = Path(root)
        self.names = {plain(theirs): plain(ours) for theirs, ours in names.items()}
        self.group_columns = group_columns

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When there is no case, a mask that is named is in none of them or two are to be one structure, or
                the table lacks a case or a column.
        """
        root = unwrapped(self.root, CTS)
        if twice := [name for name in self.names.values() if list(self.names.values()).count(name) > 1]:
            msg = f"names gives two masks the name {twice[0]}, and masks are not merged; name them differently"
            raise UserError(msg)
        images = {path.parent.name: path for path in sorted(root.glob(CTS)) if not left_by_system(path, root)}
        if not images:
            msg = f"no <case>/ct.nii.gz in {root}; set root to the folder that the archive was unpacked into"
            raise UserError(msg)
        masks = {name: self._masks(image.parent) for name, image in images.items()}
        if unknown := set(self.names) - {theirs for found in masks.values() for theirs in found}:
            msg = f"names declares {min(unknown)!r}, of which no case in {root} has a mask; correct names"
            raise UserError(msg)
        rows = self._rows(root)
        return listed(source, images, refused, lambda name: self._case(source, images[name], masks[name], rows))

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files below the root that belong to none of the cases; a case's masks that are not named need not."""
        root = unwrapped(self.root, CTS)
        masks = {path.parent / "segmentations" for path in root.glob(CTS)}
        reason = "no <case>/ct.nii.gz, nor a mask in <case>/segmentations of one; rename or move it"

        def why(path: Path) -> str | None:
            if path.match(CTS):
                return None
            return "" if path.parent in masks else reason

        return unused(root, [root], files_of(cases), why)

    def _case(
        self, source: str, image: Path, masks: Mapping[str, Path], rows: Mapping[str, Mapping[str, str]] | None
    ) -> Case:
        name = image.parent.name
        label = MaskFiles({self.names[theirs]: path for theirs, path in masks.items()})
        group, part = ("", "") if rows is None else self._of_table(name, rows, image.parents[1] / TABLE)
        return Case(f"{source}/{name}", f"{source}/{name}", image, label, group, part)

    def _masks(self, folder: Path) -> dict[str, Path]:
        """Masks that are named, by the data set's names."""
        found = {plain(case_name(p)): p for p in (folder / "segmentations").glob("*") if has_suffix(p)}
        return {theirs: found[theirs] for theirs in self.names if theirs in found}

    def _rows(self, root: Path) -> dict[str, dict[str, str]] | None:
        """Rows of the table by case, None without a table."""
        path = root / TABLE
        if not path.is_file():
            return None
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, delimiter=";")
            there = list(table.fieldnames or ())
            if lacking := {"image_id", *self.group_columns} - set(there):
                msg = (
                    f"{path} has no column {min(lacking)!r}, but {', '.join(there)}; correct group_columns, or "
                    "download the table again"
                )
                raise UserError(msg)
            return {row["image_id"]: row for row in table}

    def _of_table(self, name: str, rows: Mapping[str, Mapping[str, str]], path: Path) -> tuple[str, str]:
        """Group and part of a case."""
        if name not in rows:
            msg = f"{path} has no row for {name}; unpack the archive again or remove the case's folder"
            raise UserError(msg)
        part = rows[name].get("split") or ""
        if part and part not in PARTS:
            msg = f"{path} puts {name} into {part!r}; its column split may hold {', '.join(PARTS)}"
            raise UserError(msg)
        return " ".join(rows[name][column] or "" for column in self.group_columns).strip(), part
