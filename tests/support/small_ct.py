"""Small CTs with label maps, as files."""

import itertools

import nibabel as nib
import numpy as np
import torchio as tio

from segment.phantom.tissues import CODES as TISSUES
from segment.preprocess.normalize import Standardize, WindowHU
from segment.preprocess.resample import Resample

ORGANS = ["liver", "spleen"]
CODES = {"liver": 5, "spleen": 2, "other": [7, 9]}


def write_case(root, name, seed=0, shape=(24, 20, 16), spacing_mm=(2, 2, 3), image_suffix="", suffix=".nii.gz"):
    """Write a CT of noise with a bright liver on the right, a small spleen on the left and a third structure above."""
    rng = np.random.default_rng(seed)
    hu = rng.integers(-200, 200, shape).astype(np.int16)
    label = np.zeros(shape, np.uint8)
    i, j, k = (n // 4 for n in shape)
    label[2 * i : 4 * i - 1, j : 3 * j, k : 3 * k] = 5
    label[1:i, j : 2 * j, 1:k] = 2
    label[1:i, 3 * j :, 3 * k :] = 9
    hu[label == 5] += 100
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = (-20, -30, -40)
    paths = root / "images" / f"{name}{image_suffix}{suffix}", root / "labels" / f"{name}{suffix}"
    for path, data in zip(paths, (hu, label), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data, affine), path)
    return paths


def write_tissues(root, name):
    """Write the tissue map of a case of `write_case`: liver, spleen, stomach fluid, and muscle elsewhere."""
    label = nib.load(root / "labels" / f"{name}.nii.gz")
    meaning = {0: "muscle", CODES["liver"]: "liver", CODES["spleen"]: "spleen", 9: "stomach_fluid"}
    codes = np.array([TISSUES[meaning.get(code, "air")] for code in range(10)], np.uint8)
    return save(root / "tissues" / f"{name}.nii.gz", codes[np.asarray(label.dataobj)], label.affine)


def save(path, data, affine=None):
    """Write a NIfTI file, by default with voxels of 2 mm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine), path)
    return path


def touch(root, *names):
    """Create empty files."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def transform(spacing_mm=(3.0, 3.0, 3.0)):
    window = [WindowHU([-160, 240]), Standardize(0.4, 0.3)]
    return tio.Compose([tio.ToCanonical(), Resample(spacing_mm), *window])


def all_48():
    """All orders of the axes, each with all choices of directions."""
    return itertools.product(itertools.permutations(range(3)), itertools.product([1, -1], repeat=3))
