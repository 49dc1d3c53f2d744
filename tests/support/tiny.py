"""A "trained" network with weights chosen by hand, and CTs that it segments without errors, made in milliseconds."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from dicom_files import slice_file, stack_positions, write

ORGANS = ["liver", "spleen"]
CODES = {"liver": 6, "spleen": 1, "stomach": [7, 9]}
# The network sees one voxel at a time. From the windowed HU x in [0, 1] it computes the logits 0, 2(x - 0.6) and
# 6(x - 0.733): up to 0.6 (80 HU) is background, up to 0.8 (160 HU) is liver, and higher values are spleen.
WEIGHT, BIAS = [0.0, 2.0, 6.0], [0.0, -1.2, -4.4]
AIR, FAT, LIVER, SPLEEN = -1000, -100, 120, 230  # HU


def config(spacing_mm: list[float] | None = None) -> dict[str, Any]:
    """The configuration in a checkpoint. Without a spacing the network runs on the CT's own grid."""
    resample = [{"_target_": "segment.preprocess.resample.Resample", "spacing_mm": spacing_mm}] if spacing_mm else []
    preprocess = {
        "_target_": "torchio.Compose",
        "transforms": [
            {"_target_": "torchio.ToCanonical"},
            *resample,
            {"_target_": "segment.preprocess.normalize.WindowHU", "window_hu": [-160, 240]},
        ],
    }
    model = {
        "_target_": "segment.model.module.SegmentationModule",
        "organs": ORGANS,
        "net": {"_target_": "torch.nn.Conv3d", "_partial_": True, "in_channels": 1, "kernel_size": 1},
        "criterion": {"_target_": "monai.losses.DiceCELoss", "to_onehot_y": True, "softmax": True},
        "preprocess": preprocess,
        "inferer": {
            "_target_": "segment.inference.sliding_window.SlidingWindow",
            "patch_size": [8, 8, 8],
            "overlap": 2,
        },
        "postprocess": None,
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1},
        "scheduler": None,
        "tolerance_mm": {"liver": 5, "spleen": 3},
    }
    return {"organs": ORGANS, "preprocess": preprocess, "model": model}


def write_checkpoint(
    path: Path, held: dict[str, Any] | None = None, voxel_hashes: list[str] | None = None, prefix: str = "net"
) -> Path:
    """Write a checkpoint of the network, in the format of training."""
    weights = {
        f"{prefix}.weight": torch.tensor(WEIGHT).reshape(3, 1, 1, 1, 1),
        f"{prefix}.bias": torch.tensor(BIAS),
    }
    metadata = {"config": held or config(), "split": {}, "voxel_hashes": voxel_hashes or []}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"segment": metadata, "state_dict": weights, "global_step": 7, "epoch": 1}, path)
    return path


def body(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """HU and class indices of a box of fat in air, with a liver on the right and a spleen on the left (RAS+).

    The seed changes the sizes: the liver has (6 + seed)·6·5 voxels, the spleen 4·4·(3 + seed).
    """
    hu = np.full((24, 14, 12), AIR, np.int16)
    hu[2:22, 2:12] = FAT
    hu[12 : 18 + seed, 4:10, 3:8] = LIVER
    hu[4:8, 5:9, 6 : 9 + seed] = SPLEEN
    return hu, np.select([hu == LIVER, hu == SPLEEN], [1, 2]).astype(np.uint8)


AFFINE = np.array([[2.0, 0, 0, -20], [0, 3.0, 0, -15], [0, 0, 5.0, 100], [0, 0, 0, 1]])  # a voxel has 0.03 mL


def save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """Write a NIfTI file with sform and qform codes that are not the defaults."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 2)
    image.set_qform(affine, 1)
    nib.save(image, path)
    return path


def write_case(root: Path, name: str, seed: int = 0) -> None:
    """Write a CT and its label in the layout of `data=folder`, with the codes above."""
    hu, classes = body(seed)
    save(root / "images" / f"{name}.nii.gz", hu)
    save(root / "labels" / f"{name}.nii.gz", np.array([0, CODES["liver"], CODES["spleen"]], np.uint8)[classes])


def write_dicom(folder: Path, seed: int = 0, count: int = 12, **tags: object) -> Path:
    """Write the body as a DICOM series. Its axes run to the patient's left and back, and slices upwards."""
    hu = body(seed)[0]
    for k, position in enumerate(stack_positions(count, gap=5.0, start=(-20.0, -15.0, 100.0))):
        stored = np.ascontiguousarray(hu[:, :, k].T + 1024)
        write(folder / f"{k:03d}", slice_file(position, stored=stored, spacing=(3.0, 2.0), **tags))
    return folder
