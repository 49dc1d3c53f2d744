"""Write masks and CTs with exactly the geometry of a scan."""

from pathlib import Path

import nibabel as nib
import numpy as np

from segment.files import atomic_write
from segment.io.scan import Scan


def write_mask(path: Path, mask: np.ndarray, like: Scan) -> None:
    """Write class indices as NIfTI with the shape, affine, forms, codes and units of a scan. The write is atomic.

    Args:
        path: `.nii.gz` or `.nii`. A NIfTI-2 scan gets a NIfTI-2 mask, so that the affine keeps all its digits.
        mask: (I,J,K) uint8 on the scan's grid.
        like: The scan.

    Raises:
        ValueError: When the mask is not uint8 or has another shape than the scan.
    """
    image = mask_image(mask, like)
    with atomic_write(path) as temporary:
        nib.save(image, temporary)


def mask_image(mask: np.ndarray, like: Scan) -> nib.Nifti1Image:
    """An image of class indices with the shape, affine, forms, codes and units of a scan; arguments as `write_mask`.

    Raises:
        ValueError: When the mask is not uint8 or has another shape than the scan.
    """
    if mask.dtype != np.uint8 or mask.shape != like.data.shape:
        msg = f"mask must be uint8 of shape {like.data.shape}, got {mask.dtype} of shape {mask.shape}"
        raise ValueError(msg)
    image_class = nib.Nifti2Image if isinstance(like.header, nib.Nifti2Header) else nib.Nifti1Image
    # With another affine than the header's own, nibabel would overwrite both forms and their codes.
    return image_class(mask.reshape(like.shape), like.header.get_best_affine(), like.header)


def write_ct(path: Path, scan: Scan) -> None:
    """Write HU unchanged, int16 or float32, as NIfTI with the geometry of the scan. The write is atomic."""
    header = scan.header.copy()
    header.set_data_dtype(scan.data.dtype)
    image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    with atomic_write(path) as temporary:
        nib.save(image_class(np.asarray(scan.data), None, header), temporary)
