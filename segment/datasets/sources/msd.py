"""The layout of the Medical Segmentation Decathlon."""

from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.dataset_json import check_one_ct, label_codes, read_description
from segment.datasets.sources.listing import build_cases, first_five, inner_root, refuse
from segment.datasets.sources.names import Names, rename_codes
from segment.datasets.sources.patients import compile_pattern, patient_name
from segment.datasets.sources.unused_files import case_files
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.left_out import LeftOut, find_unused
from segment.io.scan import case_name

DESCRIPTION = "dataset.json"


class Decathlon:
    """Cases under `training` in the `dataset.json` of a folder like `Task03_Liver`. Those under `test` have no labels.

    Args:
        root: Folder with `dataset.json`, or a folder that contains only this folder.
        names: Name in `dataset.json`: name to use, or null to leave the structure out. See
            `segment.datasets.sources.names`.
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
        """List the cases, sorted by name.

        Raises:
            UserError: When `dataset.json` is missing or damaged, describes anything but one CT channel, lists no case,
                lists a case twice or lists a missing file.
        """
        root = inner_root(self.root, DESCRIPTION)
        where = root / DESCRIPTION
        description = read_description(root)
        check_one_ct(description, where)
        codes = rename_codes(label_codes(description, where), self.names, str(where))
        pairs = _pairs(source, root, description.get("training"), refused)

        def case_of(name: str) -> Case:
            image, label = pairs[name]
            patient = f"{source}/{patient_name(name, self.patient_pattern)}"
            annotation = LabelFile(label, codes, named_in=str(where))
            return Case(f"{source}/{name}", patient, image, with_sides(annotation, self.sides))

        return build_cases(source, sorted(pairs), refused, case_of)

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files in the folders of images and labels that `dataset.json` does not list under `training`."""
        root = inner_root(self.root, DESCRIPTION)
        used, test = case_files(cases), root / "imagesTs"
        for entry in read_description(root).get("training") or []:  # also of cases that lack a file
            used += [root / entry["image"], root / entry["label"]]
        reason = f"not listed in {DESCRIPTION}; list it under training, or remove it"
        folders = sorted({test, *(path.parent for path in used)})
        return find_unused(root, folders, used, lambda path: "" if test in path.parents else reason)


def _pairs(source: str, root: Path, training: object, refused: Refused | None) -> dict[str, tuple[Path, Path]]:
    """CT and label by case."""
    try:
        entries = [(root / entry["image"], root / entry["label"]) for entry in training]  # type: ignore[attr-defined]
    except (TypeError, KeyError) as error:
        msg = f'{root / DESCRIPTION} lists no cases; add "training": [{{"image": <path>, "label": <path>}}, ...]'
        raise UserError(msg) from error
    missing = [path for pair in entries for path in pair if not path.is_file()]
    if missing and refused is None:
        names = first_five(str(path) for path in missing)
        msg = f"{root / DESCRIPTION} lists {len(missing)} file(s) that are not there: {names}; unpack the archive again"
        raise UserError(msg)
    pairs = {case_name(image): (image, label) for image, label in entries}
    for name, pair in list(pairs.items()):
        missing_in_pair = [path for path in pair if path in missing]
        if missing_in_pair:
            del pairs[name]
            msg = f"{root / DESCRIPTION} lists {missing_in_pair[0]}, which is not there; unpack the archive again"
            refuse(refused, f"{source}/{name}", msg)
    if len({case_name(image) for image, _ in entries}) < len(entries) or not entries:
        msg = f"{root / DESCRIPTION} lists {len(entries)} cases under {len(pairs)} names; list every case once"
        raise UserError(msg)
    return pairs
