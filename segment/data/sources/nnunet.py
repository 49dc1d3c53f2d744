"""The layout in which nnU-Net wants its data, versions 1 and 2."""

from pathlib import Path

from segment.data.annotation import LabelFile
from segment.data.cases import Case
from segment.data.labels import Codes
from segment.data.sides import Sides, with_sides
from segment.data.sources.dataset_json import check_one_ct, label_codes, read_description
from segment.data.sources.listing import check_pairs, patient_of, pattern_of, unwrapped, volumes
from segment.data.sources.names import Names, our_codes
from segment.errors import UserError

DESCRIPTION = "dataset.json"
CHANNEL = "_0000"  # the only one


class NNUNetRaw:
    """Cases of a `Dataset123_Name` or `Task123_Name` folder: `imagesTr/x_0000.nii.gz` with `labelsTr/x.nii.gz`.

    Cases in `imagesTs` with a label in `labelsTs` belong to the part `test`; without that folder they are passed over.
    See `segment.data.splits.given_split.NNUNetSplit` for `splits_final.json`.

    Args:
        root: Folder with `dataset.json`, or one that holds nothing but this folder.
        names: Our name by that of `dataset.json`, null to leave a structure out; see `segment.data.sources.names`.
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

    def cases(self, source: str) -> list[Case]:
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
        cases = self._part(source, root, "Tr", "", ending, codes)
        if (root / "labelsTs").is_dir():
            cases += self._part(source, root, "Ts", "test", ending, codes)
        ids = [case.id for case in cases]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            msg = f"{root} has {twice[0].partition('/')[2]} in both imagesTr and imagesTs; rename or remove one"
            raise UserError(msg)
        return cases

    def _part(self, source: str, root: Path, end: str, part: str, ending: str, codes: Codes) -> list[Case]:
        images, labels = volumes(root / f"images{end}", CHANNEL), volumes(root / f"labels{end}")
        check_pairs(images, labels, root)
        if other := [path for path in (*images.values(), *labels.values()) if not path.name.endswith(ending)]:
            msg = f"{other[0]} does not end in {ending!r}, the file_ending of {root / DESCRIPTION}; mend one of them"
            raise UserError(msg)
        return [
            Case(
                f"{source}/{name}",
                f"{source}/{patient_of(name, self.patient_pattern)}",
                images[name],
                with_sides(LabelFile(labels[name], codes, named_in=str(root / DESCRIPTION)), self.sides),
                part=part,
            )
            for name in sorted(images)
        ]
