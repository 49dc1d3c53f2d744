"""Export of cases for nnU-Net, so that it trains and tests on the same CTs, labels and split."""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from segment.data.splits.split import Split
from segment.data.store.fingerprint import content_hash, settings, voxel_hash
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError
from segment.files import atomic_write, write_text
from segment.io.read import read_ct
from segment.io.scan import Scan
from segment.io.write import write_ct, write_mask

FOLDER = r"Dataset\d{3}_[A-Za-z0-9_-]+"  # names under which nnU-Net finds data sets
RECORD = "export.json"  # written first, so that the same export can be resumed and another one is refused


def export_nnunet(split: Split, organs: Sequence[str], folder: Path) -> None:
    """Write the cases of a split as a raw data set of nnU-Net v2.

    `imagesTr` and `labelsTr` hold the training and validation cases, `imagesTs` and `labelsTs` the test cases. Labels
    are uint8 with 0 for background and i for organs[i-1]. A `.nii.gz` CT is hard-linked, or copied if a link is not
    possible. Other CTs are written in HU. `splits_final.json` has one fold: copy it to nnU-Net's preprocessed data set
    before training, and train fold 0. Files that exist already are kept.

    Args:
        split: The split; its cases are exported.
        organs: Class i is organs[i-1].
        folder: Folder to write. Its name is `Dataset`, three digits, `_` and a name.

    Raises:
        UserError: When the folder has another name, holds anything but an interrupted export of the same cases, or
            cannot be written; when an organ is unknown in a case, because nnU-Net would read it as background; when two
            parts hold the same CT; and when cases cannot be read. The error names all of these cases, and is raised
            after the others are done.
    """
    if not re.fullmatch(FOLDER, folder.name):
        msg = f"nnU-Net finds no data set in a folder named {folder.name!r}; name it like Dataset123_Abdomen"
        raise UserError(msg)
    if split.shared:
        msg = "a split that trains and tests on one case cannot be exported; choose another, e.g. split=random"
        raise UserError(msg)
    _check_known(split, organs)
    names = safe_names([case.id for case in split.cases()])
    record = _record(split, organs, names)
    try:
        _check_folder(folder, record)
        _write_cases(split, organs, names, folder)
        _write_descriptions(split, organs, names, folder)
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror}; free space or choose another folder"
        raise UserError(msg) from error


def safe_names(ids: Sequence[str]) -> dict[str, str]:
    """File names by case id, of letters, digits, `.`, `_` and `-` only, and different even in lower case.

    For example, `set/a` becomes `set_a`. If two names are equal, a hash of the id is appended to both.
    """
    names = {case: re.sub(r"[^A-Za-z0-9._-]", "_", case).strip(".") for case in ids}
    counts = Counter(name.lower() for name in names.values())
    for case, name in names.items():
        if counts[name.lower()] > 1:
            names[case] = f"{name}_{blake2b(case.encode(), digest_size=4).hexdigest()}"
    return names


def _check_known(split: Split, organs: Sequence[str]) -> None:
    cases = split.cases()
    for organ in organs:
        unknown = [case.id for case in cases if organ not in case.label.structures]
        if unknown:
            msg = (
                f"{organ} is not annotated in {len(unknown)} of {len(cases)} cases, first {unknown[0]}, and nnU-Net "
                "would read it as background there; leave out these cases or this organ"
            )
            raise UserError(msg)


def _record(split: Split, organs: Sequence[str], names: Mapping[str, str]) -> str:
    """Everything that determines the export, as JSON: organs, split, and content and meaning of each case's files."""
    cases: dict[str, Any] = {}
    for part in PARTS:
        for case in getattr(split, part):
            cases[names[case.id]] = {
                "id": case.id,
                "part": part,
                "series": case.series,
                "files": [content_hash(path) for path in (case.image, *case.label.files)],
                "label": settings(case.label.cache_key),
            }
    return json.dumps({"organs": list(organs), "cases": cases}, indent=1)


def _check_folder(folder: Path, record: str) -> None:
    """Write the record into a new folder, or check that an existing folder has the same record."""
    path = folder / RECORD
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            msg = f"{folder} is not empty and not an export of this program; choose another folder"
            raise UserError(msg)
        write_text(path, record)
    elif path.read_text(encoding="utf-8") != record:
        msg = (
            f"{folder} holds an export of other cases, organs, labels or another split, or of files that have changed "
            "since; choose another folder"
        )
        raise UserError(msg)


def _write_cases(split: Split, organs: Sequence[str], names: Mapping[str, str], folder: Path) -> None:
    failed: list[str] = []
    first: dict[str, tuple[str, str]] = {}  # part and case in which each CT occurs first, by the hash of its voxels
    for part in PARTS:
        suffix = "Ts" if part == "test" else "Tr"
        for case in getattr(split, part):
            image = folder / f"images{suffix}" / f"{names[case.id]}_0000.nii.gz"
            label = folder / f"labels{suffix}" / f"{names[case.id]}.nii.gz"
            try:
                voxels = _write_case(case, organs, image, label)
                other_part, other = first.setdefault(voxels, (part, case.id))
                if other_part != part:
                    failed.append(f"{other} ({other_part}) and {case.id} ({part}) hold the same voxels; remove one")
            except UserError as error:
                failed.append(f"{case.id}: {error}")
    for temporary in folder.glob("*/.*"):  # left by a killed export; nnU-Net would read it as a case
        temporary.unlink()
    if failed:
        count = f"{len(failed)} cases cannot be exported:\n  " if len(failed) > 1 else ""
        raise UserError(count + "\n  ".join(failed))


def _write_case(case: Case, organs: Sequence[str], image: Path, label: Path) -> str:
    """Write the CT and label that are missing. Returns the hash of the CT's voxels."""
    if image.exists() and label.exists():
        return voxel_hash(read_ct(image).data)
    scan = case.read()
    if not label.exists():
        mask = case.label.read(scan, case.image, organs)
        write_mask(label, mask, replace(scan, shape=scan.data.shape))
    if not image.exists():
        if _is_plain_nifti(case.image, scan):
            _link(case.image, image)
        else:
            write_ct(image, scan)
    return voxel_hash(scan.data)


def _is_plain_nifti(path: Path, scan: Scan) -> bool:
    """Whether nnU-Net can read the file unchanged: a 3D `.nii.gz` that is really compressed."""
    if not path.name.endswith(".nii.gz") or len(scan.shape) != 3:
        return False
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        with atomic_write(target) as temporary:
            temporary.write_bytes(source.read_bytes())


def _write_descriptions(split: Split, organs: Sequence[str], names: Mapping[str, str], folder: Path) -> None:
    fold = {part: [names[case.id] for case in getattr(split, part)] for part in ("train", "val")}
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0} | {organ: index for index, organ in enumerate(organs, start=1)},
        "numTraining": len(fold["train"]) + len(fold["val"]),
        "file_ending": ".nii.gz",
        # The other readers of nnU-Net do not reorient files, so the direction of the axes would differ between cases.
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
    }
    write_text(folder / "splits_final.json", json.dumps([fold], indent=1))
    write_text(folder / "dataset.json", json.dumps(description, indent=1))
