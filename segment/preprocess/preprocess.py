"""One preprocessing for training, validation, test and prediction."""

import copy
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import torch
import torchio as tio
from nibabel.affines import voxel_sizes
from torch import Tensor

from segment.errors import UserError
from segment.io.scan import Scan
from segment.memory.refuse import check_memory
from segment.runtime.seeding import random_state

LONGEST_MM = 3000.0  # tables travel two metres at most, and bores are less than one wide
BLOCK = 64  # voxels along each axis that are copied at a time


@dataclass(frozen=True)
class Volume:
    """A whole preprocessed image.

    Attributes:
        image: (1,I,J,K) float32, rounded to what float16 can hold, so that it is the same from the store and fresh.
        label: (1,I,J,K) uint8 class indices, or None.
        affine: (4,4) voxel → RAS+ mm.
    """

    image: Tensor
    label: Tensor | None
    affine: np.ndarray


def preprocess(transform: tio.Transform, scan: Scan, classes: np.ndarray | None = None) -> Volume:
    """Run the configured transform on a CT and, in training, its class indices.

    A pure function of its arguments: global random states neither matter nor move, although every TorchIO transform
    draws a number.

    Args:
        transform: TorchIO transform that may resample, crop and change intensities; see `conf/preprocess`. It gets the
            CT in RAS+ already.
        scan: The CT in HU on its own grid.
        classes: Class indices on the same grid.

    Raises:
        UserError: When the CT is too large for a body or for the memory, or the transform leaves intensities that
            float16 cannot hold, or turns the volume.
    """
    _check_extent(scan)
    size = "x".join(map(str, scan.data.shape))
    copies = (4 + (classes is not None)) * scan.data.size
    check_memory(copies, f"preprocessing a CT of {size} voxels", "crop it, or take a larger machine")
    image, affine = _canonical(scan.data, scan.affine, np.float32)
    subject = tio.Subject(image=tio.ScalarImage(tensor=image, affine=affine))
    if classes is not None:
        subject.add_image(tio.LabelMap(tensor=_canonical(classes, scan.affine, np.uint8)[0], affine=affine), "label")
    del image
    with random_state(0):
        result = _in_place(transform)(subject)
    exact = result["image"].data
    image = exact.half().float().contiguous()
    if not image.isfinite().all():
        msg = (
            f"preprocessing leaves intensities from {exact.min():g} to {exact.max():g}, and only ±65504 can be stored; "
            "correct the CT's numbers, or clip them to a window of HU"
        )
        raise UserError(msg)
    label = result["label"].data.to(torch.uint8).contiguous() if classes is not None else None
    turned = np.asarray(result["image"].affine, dtype=np.float64)
    if nib.aff2axcodes(turned) != nib.aff2axcodes(affine):
        msg = (
            f"preprocessing leaves axes that run to {''.join(nib.aff2axcodes(turned))}; keep their order and direction"
        )
        raise UserError(msg)
    return Volume(image, label, turned)


def _check_extent(scan: Scan) -> None:
    """Refuse a CT that is longer than any scanner's table, before its wrong spacing makes a volume of gigabytes."""
    spacing_mm = voxel_sizes(scan.affine)
    extent_mm = spacing_mm * scan.data.shape
    if extent_mm.max() > LONGEST_MM:
        msg = (
            f"the CT measures {_sizes(extent_mm)} mm, in {'x'.join(map(str, scan.data.shape))} voxels of "
            f"{_sizes(spacing_mm)} mm, and no CT is longer than {LONGEST_MM:.0f} mm; correct the spacing in its header"
        )
        raise UserError(msg)


def _sizes(sizes: np.ndarray) -> str:
    return "x".join(f"{size:.4g}" for size in sizes)


def _canonical(data: np.ndarray, affine: np.ndarray, dtype: type) -> tuple[Tensor, np.ndarray]:
    """(1,I,J,K) in RAS+, as near as its axes allow, and the affine that belongs to it.

    Also what TorchIO needs: in native byte order and one piece. Written block by block, because reading a file's order
    (I fastest) into an array's (K fastest) in one go takes six times as long.
    """
    orientation = nib.orientations.io_orientation(affine)
    turned = nib.orientations.apply_orientation(data, orientation)  # a view
    result = np.empty(turned.shape, dtype)
    for i in range(0, turned.shape[0], BLOCK):
        for j in range(0, turned.shape[1], BLOCK):
            for k in range(0, turned.shape[2], BLOCK):
                block = slice(i, i + BLOCK), slice(j, j + BLOCK), slice(k, k + BLOCK)
                result[block] = turned[block]
    return torch.from_numpy(result[None]), affine @ nib.orientations.inv_ornt_aff(orientation, data.shape)


def _in_place(transform: tio.Transform) -> tio.Transform:
    """The transform without TorchIO's copy of every image before every step: nobody else holds these images."""
    changed = copy.copy(transform)
    changed.copy = False
    if isinstance(transform, tio.Compose):
        changed.transforms = [_in_place(step) for step in transform.transforms]
    return changed
