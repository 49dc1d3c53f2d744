"""Give a mask the kind of its CT, or write it to a file of any format."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from segment import __version__
from segment.errors import UserError
from segment.files import atomic_write
from segment.io.scan import Scan, has_suffix
from segment.io.write import mask_image, write_mask
from segment.io.write_dicom_seg import has_highdicom, why_no_dicom_seg, write_dicom_seg

Numbers = Mapping[str, int]


def mask_like(ct: Any, classes: np.ndarray, scan: Scan) -> Any:  # noqa: ANN401
    """The mask as an image of SimpleITK or an array if the CT is one, otherwise as an image of nibabel.

    Args:
        ct: The CT that was given.
        classes: (I,J,K) uint8.
        scan: The CT that was read or made of it.
    """
    if isinstance(ct, np.ndarray):
        return classes.reshape(ct.shape)
    if isinstance(ct, SimpleITK.Image):
        image = SimpleITK.GetImageFromArray(classes.reshape(scan.shape).T, isVector=False)
        image.CopyInformation(ct)
        return image
    return mask_image(classes, scan)


def save_mask(path: Path, classes: np.ndarray, scan: Scan, numbers: Numbers) -> None:
    """Write a mask. The ending of the name decides the format.

    Raises:
        UserError: When the ending is unknown, or the CT cannot have a mask in this format.
    """
    formats: dict[tuple[str, ...], Callable[[Path, np.ndarray, Scan, Numbers], None]] = {
        (".nii.gz", ".nii"): lambda path, classes, scan, _: write_mask(path, classes, scan),
        (".nrrd", ".mha"): _save_itk,
        (".dcm",): _save_dicom_seg,
    }
    for suffixes, save in formats.items():
        if has_suffix(path, *suffixes):
            save(path, classes, scan, numbers)
            return
    known = ", ".join(suffix for suffixes in formats for suffix in suffixes)
    msg = f"cannot write a mask as {path.name}; end its name in one of {known}"
    raise UserError(msg)


def _save_itk(path: Path, classes: np.ndarray, scan: Scan, _: Numbers) -> None:
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(classes.T))
    lps = scan.affine * np.array([[-1.0], [-1], [1], [1]])
    spacing_mm = np.linalg.norm(lps[:3, :3], axis=0)
    axes = lps[:3, :3] / spacing_mm
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        msg = f"{path.name} cannot store a sheared grid; end its name in .nii.gz"
        raise UserError(msg)
    image.SetSpacing(spacing_mm.tolist())
    image.SetDirection(axes.ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    with atomic_write(path) as temporary:
        SimpleITK.WriteImage(image, str(temporary), useCompression=True)


def _save_dicom_seg(path: Path, classes: np.ndarray, scan: Scan, numbers: Numbers) -> None:
    why_not = why_no_dicom_seg(scan)
    if why_not:
        msg = f"{path.name} cannot be a DICOM segmentation of this CT: {why_not}; end its name in .nii.gz"
        raise UserError(msg)
    if not has_highdicom():
        msg = f"{path.name} is a DICOM segmentation, which needs highdicom; pip install highdicom"
        raise UserError(msg)
    write_dicom_seg(path, classes, scan.files, numbers, __version__)
