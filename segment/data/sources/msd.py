"""The layout of the Medical Segmentation Decathlon."""

from pathlib import Path

from segment.data.annotation import LabelFile
from segment.data.cases import Case
from segment.data.readers.scan import case_name
from segment.data.sides import Sides, with_sides
from segment.data.sources.dataset_json import check_one_ct, label_codes, read_description
from segment.data.sources.listing import patient_of, pattern_of, shown, unwrapped
from segment.data.sources.names import Names, our_codes
from segment.errors import UserError

DESCRIPTION = "dataset.json"


class Decathlon:
    """Cases that a `Task03_Liver` folder's `dataset.json` lists under `training`; those under `test` have no label.

    Args:
        root: Folder with `dataset.json`, or one that holds nothing but this folder.
        names: Our name by that of `dataset.json`, null to leave a structure out; see `segment.data.sources.names`.
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
        """List the cases, sorted by name.

        Raises:
            UserError: When `dataset.json` is missing, broken or not of one CT channel, lists nothing, a case twice or a
                file that is not there.
        """
        root = unwrapped(self.root, DESCRIPTION)
        where = root / DESCRIPTION
        description = read_description(root)
        check_one_ct(description, where)
        codes = our_codes(label_codes(description, where), self.names, str(where))
        pairs = _pairs(root, description.get("training"))
        return [
            Case(
                f"{source}/{name}",
                f"{source}/{patient_of(name, self.patient_pattern)}",
                image,
                with_sides(LabelFile(label, codes, named_in=str(where)), self.sides),
            )
            for name, (image, label) in sorted(pairs.items())
        ]


def _pairs(root: Path, training: object) -> dict[str, tuple[Path, Path]]:
    """CT and label by case."""
    try:
        listed = [(root / entry["image"], root / entry["label"]) for entry in training]  # type: ignore[attr-defined]
    except (TypeError, KeyError) as error:
        msg = f'{root / DESCRIPTION} lists no cases; add "training": [{{"image": <path>, "label": <path>}}, ...]'
        raise UserError(msg) from error
    if missing := [path for pair in listed for path in pair if not path.is_file()]:
        names = shown(str(path) for path in missing)
        msg = f"{root / DESCRIPTION} lists {len(missing)} file(s) that are not there: {names}; unpack the archive again"
        raise UserError(msg)
    pairs = {case_name(image): (image, label) for image, label in listed}
    if len(pairs) < len(listed) or not pairs:
        msg = f"{root / DESCRIPTION} lists {len(listed)} cases under {len(pairs)} names; list every case once"
        raise UserError(msg)
    return pairs
