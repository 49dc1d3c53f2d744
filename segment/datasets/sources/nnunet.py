"""The layout of nnU-Net's raw data, versions 1 and 2."""

from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.dataset_json import check_one_ct, label_codes, read_description
from segment.datasets.sources.listing import build_cases, find_volumes, inner_root, match_pairs, refuse
from segment.datasets.sources.names import Names, rename_codes
from segment.datasets.sources.patients import compile_pattern, patient_name
from segment.datasets.sources.unused_files import find_unpaired
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.label_codes import Codes
from segment.io.left_out import LeftOut
from segment.io.scan import has_suffix

DESCRIPTION = "dataset.json"
CHANNEL = "_0000"  # the only one


class NNUNetRaw:
    """Cases of a `Dataset123_Name` or `Task123_Name` folder: `imagesTr/x_0000.nii.gz` with `labelsTr/x.nii.gz`.

    Cases in `imagesTs` with a label in `labelsTs` belong to the part `test`. Without `labelsTs`, `imagesTs` is ignored.
    See `segment.data.splits.given_split.NNUNetSplit` for `splits_final.json`.

    Args:
        root: Folder with `dataset.json`, or a folder that contains only this folder.
        names: Name in `dataset.json`: name to use, or null to leave the structure out. See
            `segment.datasets.sources.names`. Of regions that share codes, only one can be used.
        patient_pattern: As in `Folder`.
        sides: As in `Folder`.
    """

    def __init__(
        self,
        root: str | Path,
        names: Names | None = None,
        patient_pattern: str | None = None,
        sides: Sides | None = None,
    ) -> None:
        self.root = Path(root)
        self.names = names or {}
        self.patient_pattern = compile_pattern("patient_pattern", patient_pattern, groups=1)
        self.sides = sides

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the training cases, then the test cases, each sorted by name.

        Raises:
            UserError: When `dataset.json` is missing or damaged, describes anything but one CT channel, or has
                overlapping regions. Also when a file name does not end in `file_ending`, an image has no label or a
                label no image, or both parts have a case of the same name.
        """
        root = inner_root(self.root, DESCRIPTION)
        description = read_description(root)
        where = root / DESCRIPTION
        check_one_ct(description, where)
        codes = rename_codes(label_codes(description, where), self.names, str(where))
        ending = str(description.get("file_ending", ".nii.gz"))  # version 1 has no such entry
        cases = self._part(source, root, "", ending, codes, refused)
        if (root / "labelsTs").is_dir():
            known = {case.id for case in cases}
            for case in self._part(source, root, "test", ending, codes, refused):
                if case.id in known:
                    name = case.id.partition("/")[2]
                    refuse(refused, case.id, f"{root} has {name} in both imagesTr and imagesTs; rename or remove one")
                else:
                    cases.append(case)
        return cases

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files of images and labels that belong to none of the cases. Images in `imagesTs` need no labels."""
        root = inner_root(self.root, DESCRIPTION)
        folders = [root / "imagesTr", root / "labelsTr"]
        if (root / "labelsTs").is_dir():
            return find_unpaired(root, [*folders, root / "imagesTs", root / "labelsTs"], cases)
        return find_unpaired(root, folders, cases, optional=root / "imagesTs")

    def _part(
        self, source: str, root: Path, part: str, ending: str, codes: Codes, refused: Refused | None
    ) -> list[Case]:
        end = "Ts" if part else "Tr"
        images = find_volumes(source, root / f"images{end}", refused, CHANNEL)
        labels = find_volumes(source, root / f"labels{end}", refused)

        def case_of(name: str) -> Case:
            for path in (images[name], labels[name]):
                if not has_suffix(path, ending):
                    msg = (
                        f"{path} does not end in {ending!r}, the file_ending of {root / DESCRIPTION}; correct one of "
                        "them"
                    )
                    raise UserError(msg)
            return Case(
                f"{source}/{name}",
                f"{source}/{patient_name(name, self.patient_pattern)}",
                images[name],
                with_sides(LabelFile(labels[name], codes, named_in=str(root / DESCRIPTION)), self.sides),
                part=part,
            )

        return build_cases(source, match_pairs(source, images, labels, root, refused), refused, case_of)
