"""Synthetic CTs in the layout of each public data set: the archives of the original servers.

Codes and names of folders and files are repeated here instead of read from `segment/datasets/catalogue/`. A mistake in
the catalogue then fails a test.
"""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from synthetic_ct import SHAPE, codes_of, nifti, slices_of, volume

Files = dict[str, bytes]


def both(number: int, image: str, label: str, codes: dict[str, int]) -> Files:
    """Image and label of a case."""
    found = volume(number)
    return {image: nifti(found.hu), label: nifti(codes_of(found, codes))}


def flare22() -> dict[str, Files]:
    codes = {"liver": 1, "right_kidney": 2, "spleen": 3, "left_kidney": 13}
    files: Files = {}
    for n in (1, 2, 50):
        top, name = "FLARE22Train", f"FLARE22_Tr_{n:04d}"
        files |= both(n, f"{top}/images/{name}_0000.nii.gz", f"{top}/labels/{name}.nii.gz", codes)
    return {"FLARE22Train.zip": files}


def amos22() -> dict[str, Files]:
    codes = {"spleen": 1, "right_kidney": 2, "left_kidney": 3, "liver": 6}
    files = {"amos22/readme.md": b"# AMOS", "amos22/dataset.json": json.dumps({"licence": "CC-BY-SA 4.0"}).encode()}
    for part, numbers in {"Tr": (1, 4, 507), "Va": (8, 555)}.items():  # numbers above 500 are MRI
        for n in numbers:
            name = f"amos_{n:04d}.nii.gz"
            files |= both(n, f"amos22/images{part}/{name}", f"amos22/labels{part}/{name}", codes)
    files["amos22/imagesTs/amos_0003.nii.gz"] = nifti(volume(3).hu)
    files["__MACOSX/amos22/._readme.md"] = b"Mac"
    return {"amos22.zip": files}


def btcv() -> dict[str, Files]:
    codes = {"spleen": 1, "right_kidney": 2, "left_kidney": 3, "liver": 6}
    files: Files = {}
    for n in (1, 10, 21):
        top = "RawData/Training"
        files |= both(n, f"{top}/img/img{n:04d}.nii.gz", f"{top}/label/label{n:04d}.nii.gz", codes)
    files["RawData/Testing/img/img0061.nii.gz"] = nifti(volume(61).hu)
    return {"RawData.zip": files}


def totalsegmentator() -> dict[str, Files]:
    header = (
        "image_id;age;gender;institute;study_type;split;manufacturer;scanner_model;kvp;pathology;pathology_location"
    )
    rows = [f"s{n:04d};60;m;A;ct abdomen;train;siemens;x;120;no_pathology;" for n in (0, 11)]
    files = {"meta.csv": ("\ufeff" + "\n".join([header, *rows])).encode()}
    present = {"liver": "liver", "right_kidney": "kidney_right", "left_kidney": "kidney_left", "spleen": "spleen"}
    empty = (
        *("pancreas", "gallbladder", "stomach", "aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein"),
        *("adrenal_gland_right", "adrenal_gland_left", "esophagus", "duodenum", "small_bowel", "colon"),
        *("urinary_bladder", "prostate", "kidney_cyst_right", "kidney_cyst_left", "brain", "rib_left_1", "heart"),
    )
    for n in (0, 11):
        found = volume(n)
        files[f"s{n:04d}/ct.nii.gz"] = nifti(found.hu)
        for name, file in present.items():
            files[f"s{n:04d}/segmentations/{file}.nii.gz"] = nifti(found.masks[name].astype(np.uint8))
        for file in empty:
            files[f"s{n:04d}/segmentations/{file}.nii.gz"] = nifti(np.zeros(SHAPE, np.uint8))
    return {"Totalsegmentator_dataset_v201.zip": files}


def chaos_ct() -> dict[str, Files]:
    files: Files = {"Train_Sets/MR/1/T2SPIR/DICOM_anon/IMG-0002-00001.dcm": b"MR"}
    names = {1: ("i{:04d},0000b.dcm", 0), 21: ("IMG-0002-{:05d}.dcm", 1)}
    for n, (dicom, first) in names.items():
        for k, (slice_file, picture) in enumerate(slices_of(volume(n))):
            files[f"Train_Sets/CT/{n}/DICOM_anon/{dicom.format(k + first)}"] = slice_file
            files[f"Train_Sets/CT/{n}/Ground/liver_GT_{k:03d}.png"] = picture
    return {"CHAOS_Train_Sets.zip": files}


def _decathlon(task: str, prefix: str, numbers: tuple[int, ...], codes: dict[str, int], labels: dict) -> Files:
    files: Files = {f"._{task}": b"Mac"}
    for n in numbers:
        name = f"{prefix}_{n}.nii.gz"
        files |= both(n, f"{task}/imagesTr/{name}", f"{task}/labelsTr/{name}", codes)
        files[f"{task}/imagesTr/._{name}"] = b"Mac"
    files[f"{task}/imagesTs/{prefix}_900.nii.gz"] = nifti(volume(900).hu)
    training = [{k: f"./{k}sTr/{prefix}_{n}.nii.gz" for k in ("image", "label")} for n in numbers]
    facts = {"modality": {"0": "CT"}, "labels": labels, "numTraining": len(numbers), "training": training}
    files[f"{task}/dataset.json"] = json.dumps(facts | {"test": [f"./imagesTs/{prefix}_900.nii.gz"]}).encode()
    return files


def msd_liver() -> dict[str, Files]:
    labels = {"0": "background", "1": "liver", "2": "cancer"}
    files = _decathlon("Task03_Liver", "liver", (0, 14, 130), {"liver": 1}, labels)
    found = volume(0)
    label = codes_of(found, {"liver": 1})
    label[15:17, 10:12, 10:12] = 2  # cancer in the liver
    files["Task03_Liver/labelsTr/liver_0.nii.gz"] = nifti(label)
    return {"Task03_Liver.tar": files}


def msd_spleen() -> dict[str, Files]:
    labels = {"0": "background", "1": "spleen"}
    return {"Task09_Spleen.tar": _decathlon("Task09_Spleen", "spleen", (2, 19), {"spleen": 1}, labels)}


def kits23() -> dict[str, Files]:
    """The server has no archives, so each "archive" is one file with its path on the server."""
    files: dict[str, Files] = {}
    for n in (0, 299, 400):
        found = volume(n)
        label = codes_of(found, {"right_kidney": 1, "left_kidney": 1})
        label[15:17, 4:6, 3:5] = 2  # tumour
        label[15, 4, 5] = 3  # cyst
        files[f"images/case_{n:05d}.nii.gz"] = {"": nifti(found.hu)}
        files[f"dataset/case_{n:05d}/segmentation.nii.gz"] = {"": nifti(label)}
    return files


def word() -> dict[str, Files]:
    codes = {"liver": 1, "spleen": 2, "left_kidney": 3, "right_kidney": 4}
    files: Files = {"WORD-V0.1.0/dataset.json": b"{}"}
    labels: Files = {}
    for part, numbers in {"Tr": (2, 3), "Val": (1,), "Ts": (7,)}.items():
        for n in numbers:
            image, label = f"images{part}/word_{n:04d}.nii.gz", f"labels{part}/word_{n:04d}.nii.gz"
            pair = both(n, image, label, codes)
            files[f"WORD-V0.1.0/{image}"] = pair[image]
            if part == "Ts":
                labels[label] = pair[label]
            else:
                files[f"WORD-V0.1.0/{label}"] = pair[label]
    return {"WORD-V0.1.0.zip": files, "WORD_V0.1.0_labelsTs.zip": labels}


def abdomenct1k() -> dict[str, Files]:
    codes = {"liver": 1, "right_kidney": 2, "left_kidney": 2, "spleen": 3}
    parts: dict[str, Files] = {}
    masks: Files = {}
    for part, numbers in {1: (1, 400), 2: (500,), 3: (801, 1062)}.items():
        name = f"AbdomenCT-1K-ImagePart{part}"
        parts[f"{name}.zip"] = {}
        for n in numbers:
            pair = both(n, image := f"{name}/Case_{n:05d}_0000.nii.gz", label := f"Case_{n:05d}.nii.gz", codes)
            parts[f"{name}.zip"][image] = pair[image]
            if n != 1062:  # not every CT has a label
                masks[label] = pair[label]
    return {**parts, "Mask.7z": masks}


LAYOUTS = {
    make.__name__: make
    for make in (
        *(flare22, amos22, btcv, totalsegmentator, chaos_ct),
        *(msd_liver, msd_spleen, kits23, word, abdomenct1k),
    )
}
# Archives that the user must unpack, and the folder for each, relative to that of the set.
BY_HAND = {
    "btcv": {"RawData.zip": "."},
    "word": {"WORD-V0.1.0.zip": ".", "WORD_V0.1.0_labelsTs.zip": "WORD-V0.1.0"},
    "abdomenct1k": {"Mask.7z": "Mask"},
}
# Names of the labelled CTs, as `{case}` of the catalogue matches them.
CASES = {
    "flare22": ["FLARE22_Tr_0001", "FLARE22_Tr_0002", "FLARE22_Tr_0050"],
    "amos22": ["amos_0001", "amos_0004", "amos_0008"],
    "btcv": ["0001", "0010", "0021"],
    "totalsegmentator": ["s0000", "s0011"],
    "chaos_ct": ["1", "21"],
    "msd_liver": ["liver_0", "liver_130", "liver_14"],
    "msd_spleen": ["spleen_19", "spleen_2"],
    "kits23": ["case_00000", "case_00299", "case_00400"],
    "word": ["word_0001", "word_0002", "word_0003", "word_0007"],
    "abdomenct1k": ["Case_00001", "Case_00400", "Case_00500", "Case_00801"],
}


def packed(name: str, files: Files) -> bytes:
    """Content of an archive, in the format of its name. For 7z, which we cannot write, only the first bytes."""
    stream = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
    elif name.endswith(".tar"):
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    else:
        stream.write(files.get("", b"7z\xbc\xaf'\x1c"))
    return stream.getvalue()


def served(name: str) -> Files:
    """The files on the servers of a set, by the end of their URLs."""
    return {archive: packed(archive, files) for archive, files in LAYOUTS[name]().items()}


def do_by_hand(name: str, folder: Path) -> None:
    """Do what the user must do by hand: unpack the archives that the program cannot download or unpack."""
    made = LAYOUTS[name]()
    for archive, below in BY_HAND.get(name, {}).items():
        for path, content in made[archive].items():
            (folder / below / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / below / path).write_bytes(content)
