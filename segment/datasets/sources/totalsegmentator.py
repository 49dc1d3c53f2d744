"""The layout of TotalSegmentator's data sets, versions 1 and 2: one mask for each structure."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from segment.datasets.annotation_files import MaskFiles
from segment.datasets.cases import PARTS, Case, Refused
from segment.datasets.sources.listing import build_cases, inner_root, is_system_file
from segment.datasets.sources.unused_files import case_files
from segment.errors import UserError
from segment.io.label_codes import normalise_name
from segment.io.left_out import LeftOut, find_unused
from segment.io.scan import case_name, has_suffix

TABLE = "meta.csv"
CTS = "*/ct.nii.gz"


class TotalSegmentator:
    """Cases like `s0001/ct.nii.gz` with `s0001/segmentations/liver.nii.gz`, and a table `meta.csv` in the same folder.

    The column `split` becomes the cases' part. Without the table there are neither parts nor groups.

    Args:
        root: Folder with the cases' folders, or a folder that contains only this folder.
        names: Name of a mask: name to use. Only these masks are read. A mask that a case lacks is unknown there.
        group_columns: Columns of `meta.csv` that are joined to form the group.
    """

    def __init__(
        self, root: str | Path, names: Mapping[str, str], group_columns: Sequence[str] = ("institute",)
    ) -> None:
        self.root = Path(root)
        self.names = {normalise_name(theirs): normalise_name(ours) for theirs, ours in names.items()}
        self.group_columns = group_columns

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When there is no case, no case has one of the masks in `names`, two masks have the same name to
                use, or the table lacks a case or a column.
        """
        root = inner_root(self.root, CTS)
        new_names = list(self.names.values())
        twice = [name for name in new_names if new_names.count(name) > 1]
        if twice:
            msg = f"names gives two masks the name {twice[0]}, and masks are not merged; name them differently"
            raise UserError(msg)
        images = {path.parent.name: path for path in sorted(root.glob(CTS)) if not is_system_file(path, root)}
        if not images:
            msg = f"no <case>/ct.nii.gz in {root}; set root to the folder that the archive was unpacked into"
            raise UserError(msg)
        masks = {name: self._masks(image.parent) for name, image in images.items()}
        unknown = set(self.names).difference(*masks.values())
        if unknown:
            msg = f"names declares {min(unknown)!r}, but no case in {root} has a mask of that name; correct names"
            raise UserError(msg)
        rows = self._rows(root)
        return build_cases(source, images, refused, lambda name: self._case(source, images[name], masks[name], rows))

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files in the root that belong to none of the cases. Masks that `names` does not list are expected."""
        root = inner_root(self.root, CTS)
        masks = {path.parent / "segmentations" for path in root.glob(CTS)}
        reason = "neither a CT (<case>/ct.nii.gz) nor one of its masks (<case>/segmentations); rename or move it"

        def why(path: Path) -> str | None:
            if path.match(CTS):
                return None
            return "" if path.parent in masks else reason

        return find_unused(root, [root], case_files(cases), why)

    def _case(
        self, source: str, image: Path, masks: Mapping[str, Path], rows: Mapping[str, Mapping[str, str]] | None
    ) -> Case:
        name = image.parent.name
        label = MaskFiles({self.names[theirs]: path for theirs, path in masks.items()})
        group, part = ("", "") if rows is None else self._group_and_part(name, rows, image.parents[1] / TABLE)
        return Case(f"{source}/{name}", f"{source}/{name}", image, label, group, part)

    def _masks(self, folder: Path) -> dict[str, Path]:
        """Masks of a case that `names` lists, by the data set's names."""
        paths = [path for path in (folder / "segmentations").glob("*") if has_suffix(path)]
        found = {normalise_name(case_name(path)): path for path in paths}
        return {name: found[name] for name in self.names if name in found}

    def _rows(self, root: Path) -> dict[str, dict[str, str]] | None:
        """Rows of the table by case; None if there is no table."""
        path = root / TABLE
        if not path.is_file():
            return None
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, delimiter=";")
            columns = list(table.fieldnames or ())
            missing = {"image_id", *self.group_columns} - set(columns)
            if missing:
                msg = (
                    f"{path} has no column {min(missing)!r}, but {', '.join(columns)}; correct group_columns, or "
                    "download the table again"
                )
                raise UserError(msg)
            return {row["image_id"]: row for row in table}

    def _group_and_part(self, name: str, rows: Mapping[str, Mapping[str, str]], path: Path) -> tuple[str, str]:
        """Group and part of a case."""
        if name not in rows:
            msg = f"{path} has no row for {name}; unpack the archive again or remove the case's folder"
            raise UserError(msg)
        part = rows[name].get("split") or ""
        if part and part not in PARTS:
            msg = f"{path} puts {name} into {part!r}; its column split may hold {', '.join(PARTS)}"
            raise UserError(msg)
        return " ".join(rows[name][column] or "" for column in self.group_columns).strip(), part
