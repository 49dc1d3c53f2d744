"""The layout in which nnU-Net wants its data, versions 1 and 2."""

from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation import LabelFile
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.dataset_json import check_one_ct, label_codes, read_description
from segment.datasets.sources.listing import listed, paired, patient_of, pattern_of, refuse, unwrapped, volumes
from segment.datasets.sources.names import Names, our_codes
from segment.datasets.sources.rest import unpaired
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.label_codes import Codes
from segment.io.left_out import LeftOut
from segment.io.scan import has_suffix

DESCRIPTION = "dataset.json"
CHANNEL = "_0000"  # the only one


class NNUNetRaw:
    """Cases of a `Dataset123_Name` or `Task123_Name` folder: `imagesTr/x_0000.nii.gz` with `labelsTr/x.nii.gz`.

    Cases in `imagesTs` with a label in `labelsTs` belong to the part `test`; without that folder they are passed over.
    See `segment.data.splits.given_split.NNUNetSplit` for `splits_final.json`.

    Args:
        root: Folder with `dataset.json`, or one that holds nothing but this folder.
        names: Our name by that of `dataset.json`, null to leave a structure out; see `segment.datasets.sources.names`.
            Regions that share codes cannot stay together.
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
        self.patient_pattern = pattern_of("patient_pattern", patient_pattern, groups=1)
        self.sides = sides

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, those to train with first, each sorted by name.

        Raises:
            UserError: When `dataset.json` is missing, broken or not of one CT channel, its regions overlap, a file ends
                otherwise than it says, an image has no label or a label no image, or a name is in both parts.
        """
        root = unwrapped(self.root, DESCRIPTION)
        description = read_description(root)
        where = root / DESCRIPTION
        check_one_ct(description, where)
        codes = our_codes(label_codes(description, where), self.names, str(where))
        ending = str(description.get("file_ending", ".nii.gz"))  # version 1 knew no other
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
        """Files of images and labels that belong to none of the cases; `imagesTs` may do without labels."""
        root = unwrapped(self.root, DESCRIPTION)
        folders = [root / "imagesTr", root / "labelsTr"]
        if (root / "labelsTs").is_dir():
            return unpaired(root, [*folders, root / "imagesTs", root / "labelsTs"], cases)
        return unpaired(root, folders, cases, optional=root / "imagesTs")

    def _part(
        self, source: str, root: Path, part: str, ending: str, codes: Codes, refused: Refused | None
    ) -> list[Case]:
        end = "Ts" if part else "Tr"
        images = volumes(source, root / f"images{end}", refused, CHANNEL)
        labels = volumes(source, root / f"labels{end}", refused)

        def case_of(name: str) -> Case:
            if other := [path for path in (images[name], labels[name]) if not has_suffix(path, ending)]:
                msg = (
                    f"{other[0]} does not end in {ending!r}, the file_ending of {root / DESCRIPTION}; correct one of "
                    "them"
                )
                raise UserError(msg)
            return Case(
                f"{source}/{name}",
                f"{source}/{patient_of(name, self.patient_pattern)}",
                images[name],
                with_sides(LabelFile(labels[name], codes, named_in=str(root / DESCRIPTION)), self.sides),
                part=part,
            )

        return listed(source, paired(source, images, labels, root, refused), refused, case_of)
