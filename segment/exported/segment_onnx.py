"""Segment a CT with a file of `segment export`. It needs neither the package `segment` nor PyTorch.

    pip install numpy scipy nibabel onnxruntime
    python segment_onnx.py organs.onnx ct.nii.gz mask.nii.gz

The CT is one 3D NIfTI file in HU. The mask has its grid; class 0 is background, class i the i-th organ of the file.
"""

import argparse
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
import onnxruntime

FORMAT, VERSION, KEY = "segment.exported", 1, "segment"
LEAST_MM, MOST_MM = 0.01, 100  # sizes of a voxel; others are no CT, or not in mm
SLAB_VOXELS = 4_000_000  # voxels of the CT whose logits are in memory at once
GEOMETRY = (  # header fields that the mask takes over; none names a patient
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
Session: TypeAlias = onnxruntime.InferenceSession


def load(model: bytes, threads: int | None = None) -> tuple[Session, dict[str, Any]]:
    """Network and recipe of an exported file. It cannot run code: ONNX has fixed operations, and the recipe is JSON."""
    options = onnxruntime.SessionOptions()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    options.intra_op_num_threads = threads or cores or 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = Session(model, options, providers=["CPUExecutionProvider"])
    recipe = json.loads(session.get_modelmeta().custom_metadata_map.get(KEY, "{}"))
    if (recipe.get("format"), recipe.get("version")) != (FORMAT, VERSION):
        sys.exit(f"error: the model is no exported file of version {VERSION}; take the script that came with it")
    return session, recipe


def segment(hu: np.ndarray, affine: np.ndarray, session: Session, recipe: dict[str, Any]) -> np.ndarray:
    """Class indices (I,J,K), uint8, of a CT (I,J,K) in HU with its affine (voxel → RAS+ mm)."""
    stored = nib.orientations.io_orientation(affine)
    image = np.ascontiguousarray(nib.orientations.apply_orientation(hu, stored), dtype=np.float32)
    own = affine @ nib.orientations.inv_ornt_aff(stored, hu.shape)  # affine of the CT in RAS+ order
    size, grid = image.shape, own
    for step in recipe["preprocess"]:
        image, grid = PREPROCESS[step["name"]](image, grid, **{k: v for k, v in step.items() if k != "name"})
    image = image.astype(np.float16).astype(np.float32)  # training stores volumes in float16
    if not np.isfinite(image).all():
        sys.exit("error: preprocessing gives NaN or numbers beyond the range of float16; check that the CT is in HU")
    logits = run_windows(image, session, recipe["patch_size"], recipe["overlap"])
    if np.isnan(logits).any():
        sys.exit("error: the network gives NaN; export another checkpoint")
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), stored)
    mask: np.ndarray = nib.orientations.apply_orientation(restore(logits, np.linalg.inv(grid) @ own, size), turn)
    return np.ascontiguousarray(postprocess(mask, affine, recipe["organs"], recipe["postprocess"]))


def weights(n: int, positions: np.ndarray, width: float = 1.0) -> np.ndarray:
    """Matrix that samples a line of n voxels at positions with a triangle filter; beyond its ends, the ends repeat."""
    positions = positions.clip(0, n - 1)
    distance = positions[:, None] - np.arange(n)[None]
    matrix: np.ndarray = (1 - np.abs(distance) / width).clip(0)
    if width > 1:  # move the centre of mass back to the position, except where the line's ends cut the triangle off
        slope = (matrix * distance).sum(1) / (matrix * distance**2).sum(1)
        slope[(positions - width < -1) | (positions + width > n)] = 0
        matrix = matrix * (1 - slope[:, None] * distance)
    result: np.ndarray = (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)
    return result


def apply_along_axes(volume: np.ndarray, matrices: list[np.ndarray]) -> np.ndarray:
    """Apply a matrix to each spatial axis of a volume (C,I,J,K), starting with the axis that shrinks most."""
    for axis in sorted(range(3), key=lambda a: matrices[a].shape[0] / matrices[a].shape[1]):
        matrix = matrices[axis]
        if matrix.shape[0] != matrix.shape[1] or not np.array_equal(matrix, np.eye(len(matrix))):
            volume = np.moveaxis(np.tensordot(matrix, volume, axes=(1, axis + 1)), 0, axis + 1)
    return np.ascontiguousarray(volume)


def resample(
    image: np.ndarray, grid: np.ndarray, spacing_mm: list[float] | None = None, size: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Change the voxel size, or the number of voxels, over the same field of view; returns the image and its affine."""
    if spacing_mm is not None:
        own_mm = np.linalg.norm(grid[:3, :3], axis=0)
        size = [max(1, round(n * own / mm)) for n, own, mm in zip(image.shape, own_mm, spacing_mm, strict=True)]
    assert size is not None
    scale = np.array(image.shape) / np.array(size)
    positions = [(np.arange(m) + 0.5) * s - 0.5 for m, s in zip(size, scale, strict=True)]
    matrices = [weights(n, p, max(s, 1)) for n, p, s in zip(image.shape, positions, scale, strict=True)]
    grid = grid.copy()
    grid[:3, 3] += grid[:3, :3] @ (scale / 2 - 0.5)
    grid[:3, :3] *= scale
    return apply_along_axes(image[None], matrices)[0], grid


def run_windows(image: np.ndarray, session: Session, patch: list[int], overlap: list[int]) -> np.ndarray:
    """Logits (C,I,J,K) of a volume, from overlapping windows that are blended with Gaussian weights."""
    missing = [max(0, p - n) for p, n in zip(patch, image.shape, strict=True)]
    padded = np.pad(image, [(m // 2, m - m // 2) for m in missing], constant_values=image.min())
    weight = np.ones((), np.float32)
    for n in patch:
        x = np.arange(n, dtype=np.float32) - (n - 1) / 2
        weight = weight[..., None] * np.exp(-0.5 * (x / (n / 8)) ** 2)
    weight = weight.clip(min=1e-3)
    axes, norm = [], np.zeros(padded.shape, np.float32)
    total: np.ndarray = np.zeros(0)
    for n, p, o in zip(padded.shape, patch, overlap, strict=True):
        steps = -(-(n - p) // (p - o))
        axes.append([round(i * (n - p) / steps) for i in range(steps + 1)] if steps else [0])
    for corner in itertools.product(*axes):
        window = tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))
        logits = session.run(None, {"image": np.ascontiguousarray(padded[window])[None, None]})[0][0]
        total = total if total.size else np.zeros((len(logits), *padded.shape), np.float32)
        total[(slice(None), *window)] += logits * weight
        norm[window] += weight
    total /= norm
    return total[(slice(None), *(slice(m // 2, m // 2 + n) for m, n in zip(missing, image.shape, strict=True)))]


def restore(logits: np.ndarray, mapping: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Class with the highest interpolated logit at every voxel of the CT; `mapping` leads from its voxels to logits."""
    scale, offset = np.diag(mapping)[:3].round(9), mapping[:3, 3].round(6)
    positions = [np.arange(n) * scale[a] + offset[a] for a, n in enumerate(size)]
    matrices = [weights(n, p) for n, p in zip(logits.shape[1:], positions, strict=True)]
    mask, slab = np.empty(size, np.uint8), max(1, SLAB_VOXELS // (size[1] * size[2]))
    for start in range(0, size[0], slab):
        part = slice(start, start + slab)
        mask[part] = apply_along_axes(logits, [matrices[0][part], *matrices[1:]]).argmax(0)
    for axis, (n, p) in enumerate(zip(logits.shape[1:], positions, strict=True)):
        mask[(slice(None),) * axis + ((p < -0.5 - 1e-4) | (p > n - 0.5 + 1e-4),)] = 0
    return mask


def postprocess(mask: np.ndarray, affine: np.ndarray, organs: list[str], recipe: dict[str, Any] | None) -> np.ndarray:
    """Clean a mask (I,J,K) on the CT's grid as the recipe says."""
    if recipe is None:
        return mask
    import segment_clean_up as parts  # the file beside this script

    kinds = {kind.__name__: kind for kind in (parts.RemoveMisplaced, parts.RemoveFragments)}
    kinds |= {kind.__name__: kind for kind in (parts.RemoveSmall, parts.FillHoles)}
    steps = {step["name"]: kinds[step["kind"]](**step["arguments"]) for step in recipe["steps"]}
    result: np.ndarray = parts.CleanUp(organs, steps, recipe["left_out"])(mask, affine)
    return result


PREPROCESS: dict[str, Any] = {
    "resample": resample,
    "window_hu": lambda image, grid, low, high: (((image - low) / (high - low)).clip(0, 1), grid),
    "standardize": lambda image, grid, mean, std: ((image - mean) / std, grid),
    "rescale": lambda x, grid, low, high: ((x - x.min()) / (x.max() - x.min()) * (high - low) + low, grid),
    "z_normalize": lambda image, grid: ((image - image.mean()) / image.std(ddof=1), grid),
}


def read(path: Path) -> Any:  # noqa: ANN401  # nibabel has no common type of its two formats
    """A NIfTI image, unless its header contradicts itself about right and left, or states another unit than mm."""
    try:
        image: Any = nib.load(path)
    except ValueError as error:  # for example a quaternion longer than 1
        sys.exit(f"error: {path} cannot be read: {error}; convert it again")
    if not isinstance(image, nib.Nifti1Pair):
        sys.exit(f"error: {path} is no NIfTI file; convert it")
    header = image.header
    if header["xyzt_units"] % 8 in (1, 3):
        sys.exit(f"error: {path} states its geometry in metres or microns; convert its affine and units to mm")
    codes = int(header["sform_code"]), int(header["qform_code"])
    with image.file_map.get("header", image.file_map["image"]).get_prepare_fileobj() as file:
        pixdim = image.header_class.from_fileobj(file, check=False)["pixdim"]  # as stored; nibabel corrects it
    if codes[0] == 0 < codes[1] and pixdim[0] not in (-1, 0, 1):
        sys.exit(
            f"error: {path} has the qfac (pixdim[0]) {pixdim[0]:g}, so left and right are unknown; convert it again"
        )
    sizes = np.linalg.norm(image.affine[:3, :3], axis=0)
    stated = sizes if codes[0] else pixdim[1:4]  # without an sform, nibabel replaces sizes of 0 and drops signs
    in_mm = ((stated >= LEAST_MM) & (stated <= MOST_MM)).all() and np.isfinite(image.affine).all()
    if not in_mm or abs(np.linalg.det(image.affine[:3, :3])) < 1e-3 * np.prod(sizes):
        text = " x ".join(f"{size:g}" for size in stated)
        sys.exit(f"error: {path} states voxels of {text} mm, or axes in one plane; convert it again")
    if codes == (0, 0):
        print(f"warning: the header of {path} does not state which way right is; check the mask", file=sys.stderr)
    if codes[0] == codes[1] > 0:  # with different codes they mean different worlds
        sform, qform = ("".join(nib.aff2axcodes(form)) for form in (header.get_sform(), _qform(header)))
        if sform != qform:
            sys.exit(f"error: the axes of {path} are {sform} in its sform but {qform} in its qform; convert it")
    return image


def _qform(header: Any) -> np.ndarray:  # noqa: ANN401
    """The qform, or the sform if the qform is no rotation, because the sform is used in any case."""
    try:
        form: np.ndarray = header.get_qform()
    except ValueError:
        form = header.get_sform()
    return form


def main() -> None:
    """Read a CT, segment it, write the mask and print the volumes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "ct", "mask"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--threads", type=int, help="by default one for each core that this process may use")
    arguments = parser.parse_args()
    session, recipe = load(arguments.model.read_bytes(), arguments.threads)
    image = read(arguments.ct)
    hu = np.asanyarray(image.dataobj)
    if hu.ndim < 3 or hu.size != np.prod(hu.shape[:3]) or not np.isfinite(hu).all():
        sys.exit(f"error: {arguments.ct} has the shape {hu.shape}, or NaN; give one 3D volume of finite HU")
    mask = segment(hu.reshape(hu.shape[:3]).astype(np.float32), image.affine, session, recipe)
    header = type(image.header)()
    header.set_data_shape(hu.shape)
    header.set_data_dtype(np.uint8)
    for field in GEOMETRY:
        header[field] = image.header[field]
    nib.save(type(image)(mask.reshape(hu.shape), None, header), arguments.mask)
    voxel_ml = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    for index, organ in enumerate(recipe["organs"], start=1):
        print(f"{organ}: {np.count_nonzero(mask == index) * voxel_ml:.1f} mL")


if __name__ == "__main__":
    main()
