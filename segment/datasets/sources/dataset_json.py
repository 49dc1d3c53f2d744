"""`dataset.json`, the description of a data set of nnU-Net or the Medical Segmentation Decathlon."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.errors import UserError
from segment.io.json_file import read_json
from segment.io.label_codes import Codes

BACKGROUND = 0
IGNORE = "ignore"  # nnU-Net's name for voxels that nobody annotated


def read_description(root: Path) -> dict[str, Any]:
    """Read `<root>/dataset.json`.

    Raises:
        UserError: When there is no such file, or it is not a JSON object.
    """
    path = root / "dataset.json"
    document = read_json(path)
    if not isinstance(document, dict):
        msg = f"{path} holds no JSON object; give the dataset.json of the data set"
        raise UserError(msg)
    return document


def check_one_ct(description: Mapping[str, Any], where: Path) -> None:
    """Check that the images have one channel and that it is CT.

    Raises:
        UserError: When they have several channels, another modality, or the description does not state it.
    """
    channels = description.get("channel_names", description.get("modality"))
    if not isinstance(channels, Mapping) or not channels:
        msg = f'{where} names no channels; add "channel_names": {{"0": "CT"}} if the images are CTs'
        raise UserError(msg)
    names = [str(name) for name in channels.values()]
    if len(names) > 1:
        msg = f"{where} has {len(names)} channels, {', '.join(names)}; only data sets of CT alone can be used"
        raise UserError(msg)
    if names[0].strip().upper() != "CT":
        msg = f"{where} holds {names[0]!r} images; only CT can be used, named CT in its channel_names or modality"
        raise UserError(msg)


def label_codes(description: Mapping[str, Any], where: Path) -> Codes:
    """Code or codes by the data set's names, without background.

    Two formats are accepted: `{"liver": 1, "kidney": [2, 3]}` of nnU-Net v2, and `{"1": "liver"}` of nnU-Net v1 and
    the Decathlon.

    Raises:
        UserError: When there are no labels, a code is not a whole number, or some voxels are not annotated.
    """
    labels = description.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        msg = f'{where} names no labels; add them, as in "labels": {{"background": 0, "liver": 1}}'
        raise UserError(msg)
    pairs = [(name, value) for name, value in labels.items()]
    if all(name.isdecimal() and isinstance(value, str) for name, value in pairs):
        pairs = [(value, int(code)) for code, value in pairs]
    codes = {str(name): _codes(str(name), value, where) for name, value in pairs}
    if any(name.strip().lower() == IGNORE for name in codes):
        msg = (
            f"{where} has the label {IGNORE!r} for voxels that nobody annotated, which is not supported; use only "
            "cases that are annotated completely, without that label"
        )
        raise UserError(msg)
    return {name: value for name, value in codes.items() if value != [BACKGROUND]}


def _codes(name: str, value: Any, where: Path) -> list[int]:  # noqa: ANN401
    codes = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not codes or any(type(code) is not int for code in codes):
        msg = f"{where} gives the label {name!r} the code {value!r}; give a whole number or a list of them"
        raise UserError(msg)
    return list(codes)
