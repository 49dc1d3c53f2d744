"""The layout of the Medical Segmentation Decathlon."""

from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation import LabelFile
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.dataset_json import check_one_ct, label_codes, read_description
from segment.datasets.sources.listing import listed, patient_of, pattern_of, refuse, shown, unwrapped
from segment.datasets.sources.names import Names, our_codes
from segment.datasets.sources.rest import files_of
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.left_out import LeftOut, unused
from segment.io.scan import case_name

DESCRIPTION = "dataset.json"


class Decathlon:
    """Cases that a `Task03_Liver` folder's `dataset.json` lists under `training`; those under `test` have no label.

    Args:
        root: Folder with `dataset.json`, or one that holds nothing but this folder.
        names: Our name by that of `dataset.json`, null to leave a structure out; see `segment.datasets.sources.names`.
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
        pairs = _pairs(source, root, description.get("training"), refused)

        def case_of(name: str) -> Case:
            image, label = pairs[name]
            patient = f"{source}/{patient_of(name, self.patient_pattern)}"
            drawn = LabelFile(label, codes, named_in=str(where))
            return Case(f"{source}/{name}", patient, image, with_sides(drawn, self.sides))

        return listed(source, sorted(pairs), refused, case_of)

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files in the folders of images and labels that `dataset.json` does not list under `training`."""
        root = unwrapped(self.root, DESCRIPTION)
        used, test = files_of(cases), root / "imagesTs"
        reason = f"not listed in {DESCRIPTION}; list it under training, or remove it"
        folders = sorted({test, *(path.parent for path in used)})
        return unused(root, folders, used, lambda path: "" if test in path.parents else reason)


def _pairs(source: str, root: Path, training: object, refused: Refused | None) -> dict[str, tuple[Path, Path]]:
    """CT and label by case."""
    try:
        entries = [(root / entry["image"], root / entry["label"]) for entry in training]  # type: ignore[attr-defined]
    except (TypeError, KeyError) as error:
        msg = f'{root / DESCRIPTION} lists no cases; add "training": [{{"image": <path>, "label": <path>}}, ...]'
        raise UserError(msg) from error
    missing = [path for pair in entries for path in pair if not path.is_file()]
    if missing and refused is None:
        names = shown(str(path) for path in missing)
        msg = f"{root / DESCRIPTION} lists {len(missing)} file(s) that are not there: {names}; unpack the archive again"
        raise UserError(msg)
    pairs = {case_name(image): (image, label) for image, label in entries}
    for name, pair in list(pairs.items()):
        if lacking := [path for path in pair if path in missing]:
            del pairs[name]
            msg = f"{root / DESCRIPTION} lists {lacking[0]}, which is not there; unpack the archive again"
            refuse(refused, f"{source}/{name}", msg)
    if len({case_name(image) for image, _ in entries}) < len(entries) or not entries:
        msg = f"{root / DESCRIPTION} lists {len(entries)} cases under {len(pairs)} names; list every case once"
        raise UserError(msg)
    return pairs
