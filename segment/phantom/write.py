"""Synthetic data sets: folders of NIfTI files like those from scanners."""

import math
import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np

from segment.errors import UserError
from segment.files import atomic_write
from segment.memory.measure import check_memory
from segment.phantom.case import LEAVABLE, Shape, synthesise_case
from segment.phantom.field_of_view import SCANS

TISSUES = "tissues"  # folder of the tissue maps

# Increase it with every change of voxels or of the codes of tissues, so that new cases are not mixed with older ones.
VERSION = 8
MOST_CASES, MOST_THREADS = 100_000, 512
VOXEL_BYTES = 90  # measured peak memory per voxel of a case that is being synthesised

# Common orientations of files from scanners and converters, with their frequencies.
ORIENTATIONS = {"LPS": 0.35, "LAS": 0.25, "RAS": 0.2, "RPI": 0.05, "PSR": 0.05, "AIL": 0.05, "SLA": 0.05}


def write_dataset(
    root: Path,
    *,
    num_cases: int,
    seed: int,
    shape: Shape,
    workers: int = 1,
    scans: Collection[str] = tuple(SCANS),
    without: Collection[str] = (),
) -> Path:
    """Write the missing cases of a data set: `phantom_0000.nii.gz` in `images`, `labels` and `tissues`, and so on.

    With another seed than 0, the names contain it: `phantom_seed1_0000.nii.gz`.

    Case i is a pure function of (seed, i, shape, scans, without) and does not depend on the number of workers. Files
    are written atomically, so a second call completes an interrupted one, and two processes can write at once.

    Args:
        root: Folder of all synthetic data sets.
        num_cases: Number of cases, at least 1.
        seed: Seed of the data set, from 0 to 2³² − 1.
        shape: Voxels along the patient's right-left, back-front and foot-head axes. The files vary in orientation.
        workers: Number of threads.
        scans: Parts of the body that are scanned, keys of `field_of_view.SCANS`.
        without: What to leave out, names of `case.LEAVABLE`.

    Returns:
        The folder below the root that holds exactly these cases, e.g. `v8-seed0-128x128x96-40cases`.

    Raises:
        UserError: When a number is out of range, a scan or something to leave out is unknown, or the memory does not
            suffice for one case per worker.
    """
    if not 1 <= num_cases <= MOST_CASES or not 0 <= seed < 2**32 or not 1 <= workers <= MOST_THREADS or min(shape) < 16:
        msg = (
            f"cannot synthesise {num_cases} cases of shape {tuple(shape)} with seed {seed} and {workers} workers; "
            f"give num_cases from 1 to {MOST_CASES}, workers from 1 to {MOST_THREADS}, a seed from 0 to 2^32 - 1 "
            "and at least 16 voxels along each axis"
        )
        raise UserError(msg)
    folder = root / (f"v{VERSION}-seed{seed}-{'x'.join(map(str, shape))}-{num_cases}cases" + _suffix(scans, without))
    missing = []
    for index in range(num_cases):
        if not all(path.exists() for path in _paths(folder, seed, index)):
            missing.append(index)
    at_once = min(workers, len(missing))
    what = f"synthesising CTs of {'x'.join(map(str, shape))} voxels, {at_once} at once,"
    check_memory(VOXEL_BYTES * math.prod(shape) * at_once, what, "choose a smaller shape or fewer workers")
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda index: _write_case(folder, seed, index, shape, scans, without), missing):
            pass  # the loop raises the exceptions of the threads
    return folder


def _paths(folder: Path, seed: int, index: int) -> list[Path]:
    """Files of a case: image, label and tissue map.

    A case has the same patient for any shape and scan, so its name does not depend on these. It depends on the seed,
    because cases of another seed are other patients, and an evaluation leaves out cases by their names.
    """
    name = f"phantom_{index:04d}" if seed == 0 else f"phantom_seed{seed}_{index:04d}"
    return [folder / kind / f"{name}.nii.gz" for kind in ("images", "labels", TISSUES)]


def _suffix(scans: Collection[str], without: Collection[str]) -> str:
    """End of the folder's name: the parts of the body, unless these are all, and what is left out.

    Raises:
        UserError: When a name is unknown, or there is no part of the body.
    """
    _check_names("scans", scans, tuple(SCANS))
    _check_names("without", without, LEAVABLE)
    if not scans:
        msg = f"scans is empty; choose from {', '.join(map(repr, SCANS))}"
        raise UserError(msg)
    suffix = ""
    if set(scans) != set(SCANS):
        suffix = "".join("-" + re.sub(r"\W+", "_", name) for name in SCANS if name in scans)
    return suffix + "".join(f"-no_{name}" for name in LEAVABLE if name in without)


def _check_names(option: str, names: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        msg = f"{option} has {unknown[0]!r}; choose from {', '.join(map(repr, known))}"
        raise UserError(msg)


def _write_case(
    folder: Path, seed: int, index: int, shape: Shape, scans: Collection[str], without: Collection[str]
) -> None:
    case = synthesise_case(seed, index, shape, scans, without)
    rng = np.random.default_rng((seed, index, 1))  # independent of the random numbers of the case
    codes = nib.orientations.axcodes2ornt(rng.choice(list(ORIENTATIONS), p=list(ORIENTATIONS.values())))
    transform = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), codes)
    affine = _position(case.spacing_mm, shape, rng) @ nib.orientations.inv_ornt_aff(transform, shape)
    padding = 1024 if rng.random() < 0.2 else 0  # some files hold values from 0 on, and HU through scl_inter
    volumes = ((case.hu, padding), (case.label, 0), (case.tissue, 0))
    for path, (volume, offset) in zip(_paths(folder, seed, index), volumes, strict=True):
        save_nifti(path, nib.orientations.apply_orientation(volume, transform), affine, offset)


def save_nifti(path: Path, volume: np.ndarray, affine: np.ndarray, offset: int = 0) -> None:
    """Write a volume as NIfTI in scanner coordinates, with equal qform and sform, atomically.

    Args:
        path: The file.
        volume: (I,J,K) integers.
        affine: (4,4) voxel → mm, without shear.
        offset: Added to the stored numbers; scl_inter subtracts it again.
    """
    image = nib.Nifti1Image(np.ascontiguousarray(volume + volume.dtype.type(offset)), affine)
    if offset:
        image.header.set_slope_inter(1, -offset)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(image.get_qform(), 1)  # the quaternion in float32 rounds the rotation; both forms must agree
    with atomic_write(path) as temporary:
        nib.save(image, temporary)


def _position(spacing_mm: np.ndarray, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Affine (4,4) of the RAS+ volume: centred near the middle of the table, sometimes oblique."""
    affine = np.diag((*spacing_mm, 1.0))
    if rng.random() < 0.15:
        around_x, around_z = np.radians(rng.uniform(-8, 8, 2))
        c, s = np.cos((around_x, around_z)), np.sin((around_x, around_z))
        tilt = np.array(((1, 0, 0), (0, c[0], -s[0]), (0, s[0], c[0])))
        turn = np.array(((c[1], -s[1], 0), (s[1], c[1], 0), (0, 0, 1)))
        affine[:3, :3] = tilt @ turn @ affine[:3, :3]
    middle = (*rng.normal(0, 12, 2), rng.uniform(-900, 300))
    affine[:3, 3] = np.array(middle) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine
