"""The preprocessing of a CT, the same for training, validation, test and prediction."""

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
from segment.memory.measure import check_memory
from segment.preprocess.resample import Resample
from segment.runtime.seeding import random_state

LONGEST_MM = 3000.0  # scanner tables move by two metres at most, and bores are less than a metre wide
BLOCK = 64  # voxels along each axis that are copied at a time


@dataclass(frozen=True)
class Volume:
    """A whole preprocessed image.

    Attributes:
        image: (1,I,J,K) float32, rounded to float16 values. The store holds float16, so a volume from the store equals
            one that was just preprocessed.
        label: (1,I,J,K) uint8 class indices, or None.
        affine: (4,4) voxel → RAS+ mm.
        tissue: (1,I,J,K) uint8 codes of tissues, or None.
    """

    image: Tensor
    label: Tensor | None
    affine: np.ndarray
    tissue: Tensor | None = None


def preprocess(
    transform: tio.Transform, scan: Scan, classes: np.ndarray | None = None, tissues: np.ndarray | None = None
) -> Volume:
    """Apply the configured transform to a CT and, in training, its class indices and tissue map.

    This is a pure function of its arguments. Every TorchIO transform samples a random number, but global random states
    have no effect and are not changed.

    Args:
        transform: TorchIO transform that may resample, crop and change intensities; see `conf/preprocess`. Its input is
            in RAS+ orientation.
        scan: The CT in HU on its own grid.
        classes: Class indices on the same grid.
        tissues: Codes of tissues on the same grid.

    Raises:
        UserError: When the CT is longer than a scanner's table or too large for the memory; or when the transform
            returns intensities beyond the range of float16, or axes in another order or direction.
    """
    _check_extent(scan)
    maps = {name: data for name, data in (("label", classes), ("tissue", tissues)) if data is not None}
    image, affine, transform = _first_image(transform, scan, len(maps))
    subject = tio.Subject(image=tio.ScalarImage(tensor=image, affine=affine))
    for name, data in maps.items():
        subject.add_image(tio.LabelMap(tensor=_reorient(data, scan.affine, np.uint8)[0], affine=affine), name)
    del image  # so that each step can free the volume that it replaces
    with random_state(0):
        result = _without_copies(transform)(subject)
    exact = result["image"].data
    image = exact.half().float().contiguous()
    if not image.isfinite().all():
        msg = (
            f"preprocessing gives intensities from {exact.min():g} to {exact.max():g}, but only ±65504 can be stored; "
            "correct the CT's intensities, or clip them to a window of HU"
        )
        raise UserError(msg)
    preprocessed = {name: result[name].data.to(torch.uint8).contiguous() for name in maps}
    new_affine = np.asarray(result["image"].affine, dtype=np.float64)
    if nib.aff2axcodes(new_affine) != nib.aff2axcodes(affine):
        axes = "".join(nib.aff2axcodes(new_affine))
        msg = f"preprocessing gives axes that point to {axes}; keep their order and direction"
        raise UserError(msg)
    return Volume(image, preprocessed.get("label"), new_affine, preprocessed.get("tissue"))


def _first_image(transform: tio.Transform, scan: Scan, maps: int) -> tuple[Tensor, np.ndarray, tio.Transform]:
    """The image that TorchIO's transforms start with, its affine, and the transforms that remain.

    Without maps, a resampling at the beginning of the transforms reads the CT slab by slab. A CT of 1024×1024×1500
    voxels takes 3 GB as int16; as a whole it would take 6 GB more as float32.
    """
    if not maps and isinstance(transform, tio.Compose):
        first, *rest = [step for step in transform.transforms if not isinstance(step, tio.ToCanonical)] or [None]
        if isinstance(first, Resample):
            voxels, affine = _ras_view(scan.data, scan.affine)
            image, affine = first.from_slabs(lambda box: _copied(voxels[box], np.float32), voxels.shape, affine)
            return image, affine, tio.Compose(rest)
    size = "x".join(map(str, scan.data.shape))
    copies = (4 + maps) * scan.data.size
    check_memory(copies, f"preprocessing a CT of {size} voxels", "crop it, or use a machine with more memory")
    return (*_reorient(scan.data, scan.affine, np.float32), transform)


def _check_extent(scan: Scan) -> None:
    """Check that a CT is not longer than a scanner's table. A wrong spacing could give a volume of many gigabytes."""
    spacing_mm = voxel_sizes(scan.affine)
    extent_mm = spacing_mm * scan.data.shape
    if extent_mm.max() > LONGEST_MM:
        msg = (
            f"the CT measures {_sizes(extent_mm)} mm, in {'x'.join(map(str, scan.data.shape))} voxels of "
            f"{_sizes(spacing_mm)} mm, but no CT is longer than {LONGEST_MM:.0f} mm; correct the spacing in its header"
        )
        raise UserError(msg)


def _sizes(sizes: np.ndarray) -> str:
    return "x".join(f"{size:.4g}" for size in sizes)


def _reorient(data: np.ndarray, affine: np.ndarray, dtype: type) -> tuple[Tensor, np.ndarray]:
    """Voxels (1,I,J,K) in the orientation closest to RAS+, copied, and their affine."""
    voxels, affine = _ras_view(data, affine)
    return _copied(voxels, dtype), affine


def _ras_view(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """View of voxels in the orientation closest to RAS+, and its affine."""
    orientation = nib.orientations.io_orientation(affine)
    view = nib.orientations.apply_orientation(data, orientation)
    return view, affine @ nib.orientations.inv_ornt_aff(orientation, data.shape)


def _copied(voxels: np.ndarray, dtype: type) -> Tensor:
    """Copy voxels (I,J,K) to (1,I,J,K), contiguous and in native byte order as TorchIO needs it.

    The voxels are copied block by block. Copying from the order of a file (I fastest) to the order of an array (K
    fastest) in one step takes six times as long.
    """
    result: np.ndarray = np.empty(voxels.shape, dtype)
    for i in range(0, voxels.shape[0], BLOCK):
        for j in range(0, voxels.shape[1], BLOCK):
            for k in range(0, voxels.shape[2], BLOCK):
                block = slice(i, i + BLOCK), slice(j, j + BLOCK), slice(k, k + BLOCK)
                result[block] = voxels[block]
    return torch.from_numpy(result[None])


def _without_copies(transform: tio.Transform) -> tio.Transform:
    """Turn off TorchIO's copy of every image before every step. The images are not used elsewhere."""
    changed = copy.copy(transform)
    changed.copy = False
    if isinstance(transform, tio.Compose):
        changed.transforms = [_without_copies(step) for step in transform.transforms]
    return changed
