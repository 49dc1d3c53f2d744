"""Check the geometry in a CT's header against the way CTs are acquired."""

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.spatialimages import HeaderDataError

from segment.doctor.finding import Finding, digits
from segment.io.scan import Scan

FORMS_APART_MM = 0.1  # float32 quaternions move the far corner of a 500 mm scan by about 0.01 mm
RIGHT_ANGLE_DEGREES = 0.1
OBLIQUE_DEGREES = 30
SIZES_APART = 0.01  # relative difference between the voxel sizes of the affine and of pixdim
# Body CTs are reconstructed over 200 to 500 mm (800 mm in wide bores) with 512x512 pixels, in slices of 0.5 to 10 mm.
IN_PLANE_MM = (0.3, 3.0)
SLICE_MM = (0.3, 10.0)
FIELD_MM = (200.0, 900.0)
LENGTH_MM = (30.0, 2200.0)
AWAY_MM = 2500.0  # a table travels two metres at most, and its zero is near the volume
FEW_SLICES = 10

COPY_FORM = "find out which form is right and write it as both, with nibabel's set_sform and set_qform"
_SIDES = ("right-left", "front-back", "head-foot")
_PAIRS = ((0, 1), (0, 2), (1, 2))


def check_header(case: str, scan: Scan, image: Path) -> Iterator[Finding]:
    """Check the forms, axes, spacing, extent and origin of a CT.

    Args:
        case: The case's id.
        scan: The CT.
        image: Its file or its folder of DICOM. Remedies depend on the format.
    """
    again = "export the series again" if image.is_dir() else "convert the CT again from DICOM"
    if not scan.is_oriented:
        what = "the header does not state which way the axes run in the body: left and right are a guess"
        yield Finding(case, "no orientation", "warning", what, "convert the CT again from DICOM with dcm2niix")
    if image.name.lower().endswith((".nii", ".nii.gz")):  # for other formats, the header is computed from the affine
        yield from _check_forms(case, scan)
        yield from _check_sizes(case, scan)
    yield from _check_axes(case, scan.affine, again)
    yield from _check_spacing(case, scan, again)
    yield from _check_position(case, scan, again)


def _check_forms(case: str, scan: Scan) -> Iterator[Finding]:
    header = scan.header
    sform = header.get_sform(coded=True)[0]
    try:
        qform = header.get_qform(coded=True)[0]
    except (ValueError, HeaderDataError) as error:
        yield Finding(case, "qform", "warning", f"the qform cannot be used: {error}", COPY_FORM)
        return
    if sform is None or qform is None:
        return
    apart_mm = float(np.abs(_corners(scan, sform) - _corners(scan, qform)).max())
    if apart_mm > FORMS_APART_MM:
        turned = nib.aff2axcodes(sform) != nib.aff2axcodes(qform)
        what = (
            f"qform and sform put voxels up to {digits(apart_mm)} mm apart; segment uses the sform, other tools the "
            "qform"
        )
        if turned:
            what += f" ({_codes(qform)} against {_codes(sform)})"
        yield Finding(case, "forms disagree", "error" if turned else "warning", what, COPY_FORM)


def _check_axes(case: str, affine: np.ndarray, again: str) -> Iterator[Finding]:
    axes = affine[:3, :3] / voxel_sizes(affine)
    off = 0.0
    for a, b in _PAIRS:
        angle = float(np.degrees(np.arccos(np.clip(axes[:, a] @ axes[:, b], -1, 1))))
        off = max(off, abs(90 - angle))
    if off > RIGHT_ANGLE_DEGREES:
        what = f"the axes are sheared: two of them are {off:.2g} degrees off a right angle, as from a tilted gantry"
        yield Finding(case, "sheared axes", "warning", what, "resample image and label onto a grid of right angles")
    oblique = float(np.degrees(np.arccos(np.clip(np.abs(axes).max(axis=0).min(), -1, 1))))
    if oblique > OBLIQUE_DEGREES:
        what = f"an axis points {oblique:.0f} degrees away from the nearest axis of the body"
        yield Finding(case, "oblique axes", "warning", what, f"check the directions in the header, or {again}")


def _check_spacing(case: str, scan: Scan, again: str) -> Iterator[Finding]:
    spacing_mm, shape = _along_body(scan)
    odd_fields = []
    for mm, side, (low, high) in zip(spacing_mm * shape, _SIDES, (FIELD_MM, FIELD_MM, LENGTH_MM), strict=True):
        if not low <= mm <= high:
            odd_fields.append(f"{digits(mm, 4)} mm {side}")
    ranges = (IN_PLANE_MM, IN_PLANE_MM, SLICE_MM)
    is_odd = any(not low <= mm <= high for mm, (low, high) in zip(spacing_mm, ranges, strict=True))
    voxel_size = "x".join(map(digits, spacing_mm))
    if odd_fields:
        what = f"the scan measures {', '.join(odd_fields)}, with voxels of {voxel_size} mm"
        remedy = f"correct the spacing in the header, in mm, or {again}, unless the scan was cropped on purpose"
        yield Finding(case, "extent", "error" if is_odd else "warning", what, remedy)
    elif is_odd:
        what = f"voxels of {voxel_size} mm are unusual for reconstructed CTs: this one was resampled"
        yield Finding(case, "spacing", "note", what, "use the CT as it came from the scanner if you can")
    elif np.all(spacing_mm == 1) and sorted(shape)[-2:] == [512, 512]:
        what = "voxels of exactly 1x1x1 mm in a matrix of 512x512: the spacing seems to be lost"
        yield Finding(case, "spacing", "warning", what, again)
    if min(scan.data.shape) < FEW_SLICES:
        what = f"{'x'.join(map(str, scan.data.shape))} voxels are only a few slices, not a volume"
        yield Finding(case, "few slices", "warning", what, "leave the case out, or convert the whole series")


def _check_position(case: str, scan: Scan, again: str) -> Iterator[Finding]:
    middle = apply_affine(scan.affine, (np.array(scan.data.shape) - 1) / 2)
    if np.abs(middle).max() > AWAY_MM:
        what = f"the middle of the scan is at {', '.join(f'{mm:.0f}' for mm in middle)} mm, outside any scanner"
        yield Finding(case, "origin", "warning", what, f"correct the origin in the header, or {again}")
    if scan.header["xyzt_units"] % 8 == 0:
        what = "the header does not state that its unit is mm"
        yield Finding(case, "units", "note", what, "nothing to do here; for other tools, set_xyzt_units('mm')")


def _check_sizes(case: str, scan: Scan) -> Iterator[Finding]:
    pixdim = np.abs(scan.header["pixdim"][1:4].astype(float))
    of_affine = voxel_sizes(scan.affine)
    if np.abs(pixdim / of_affine - 1).max() > SIZES_APART:
        what = f"pixdim states {_sizes(pixdim)} mm, the affine {_sizes(of_affine)} mm"
        remedy = "write the right sizes into both: nibabel's set_sform writes the affine, header.set_zooms pixdim"
        yield Finding(case, "pixdim", "warning", what, remedy)


def _along_body(scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Return voxel sizes in mm and numbers of voxels along right-left, front-back and head-foot."""
    axis = nib.io_orientation(scan.affine)[:, 0].astype(int)  # the body's axis along each voxel axis
    spacing_mm, shape = np.empty(3), np.empty(3, int)
    spacing_mm[axis], shape[axis] = voxel_sizes(scan.affine), scan.data.shape
    return spacing_mm, shape


def _corners(scan: Scan, affine: np.ndarray) -> np.ndarray:
    ends = [(0, n - 1) for n in scan.data.shape]
    return np.asarray(apply_affine(affine, np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1)))  # (2,2,2,3)


def _codes(affine: np.ndarray) -> str:
    return "".join(nib.aff2axcodes(affine))


def _sizes(sizes: np.ndarray) -> str:
    return "x".join(map(digits, sizes))
