"""Faults that are provoked in CTs whose organs are known, to learn how masks fail."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy import ndimage

from segment.io.grid import axis_along
from segment.io.scan import Scan

AIR_HU, FAT_HU = -1000, -95
LEAST_VOXELS = 16  # along each axis that remain of a cut scan

Case = tuple[Scan, np.ndarray]  # a CT in RAS+ orientation, and its class indices (I,J,K)
Fault = Callable[[Scan, np.ndarray, np.random.Generator], Case]


def _with(scan: Scan, data: np.ndarray, affine: np.ndarray | None = None) -> Scan:
    """The scan with other voxels, rounded to what scanners store, and if given another affine."""
    values = np.clip(np.round(data), -1024, 4000).astype(np.int16)
    return replace(scan, data=values, shape=values.shape, affine=scan.affine if affine is None else affine)


def sound(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """No fault."""
    return scan, classes


def noise(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """Noise of a very low dose, grainy or smooth."""
    grain = rng.normal(size=scan.data.shape).astype(np.float32)
    sigma = float(rng.uniform(0, 1.2))
    grain = ndimage.gaussian_filter(grain, sigma)
    return _with(scan, scan.data + grain * (float(rng.uniform(30, 220)) / grain.std())), classes


def blur(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """Blur, as by motion or a wrong kernel."""
    sigma_mm = float(rng.uniform(3, 14))
    steps = np.linalg.norm(scan.affine[:3, :3], axis=0)
    return _with(scan, ndimage.gaussian_filter(scan.data.astype(np.float32), sigma_mm / steps)), classes


def offset(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """A wrong rescale intercept or slope."""
    hu = scan.data.astype(np.float32)
    if rng.random() < 0.6:
        return _with(scan, hu + float(rng.choice([-1, 1]) * rng.uniform(25, 180))), classes
    slope = float(rng.choice([rng.uniform(0.8, 0.95), rng.uniform(1.05, 1.25)]))
    return _with(scan, (hu + 1000) * slope - 1000), classes


def mirrored(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """Right and left exchanged in the file. Organs keep their names: the right kidney is still the one at the liver."""
    axis = axis_along(scan.affine, 0)
    return _with(scan, np.flip(scan.data, axis)), np.flip(classes, axis)


def turned(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """Head and feet, or front and back, exchanged in the file, with right and left or without."""
    axes = [axis_along(scan.affine, axis) for axis in ([2, 0], [2], [1], [1, 0])[rng.integers(4)]]
    return _with(scan, np.flip(scan.data, tuple(axes))), np.flip(classes, tuple(axes))


def spacing(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """A wrong voxel size along one axis or all."""
    factor = float(rng.choice([rng.uniform(0.4, 0.8), rng.uniform(1.3, 2.2)]))
    factors = np.ones(3)
    factors[[[0, 1, 2], [2], [0, 1]][rng.integers(3)]] = factor
    return _with(scan, scan.data, scan.affine @ np.diag([*factors, 1.0])), classes


def cut(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """A field of view that ends inside an organ, above, below or aside."""
    present = np.unique(classes[classes > 0])
    if not present.size:
        return scan, classes
    axis = int(rng.choice(3, p=[0.2, 0.1, 0.7]))
    middle = int(np.median(np.argwhere(classes == rng.choice(present))[:, axis])) + int(rng.integers(-4, 5))
    low, high = (0, middle) if rng.random() < 0.5 else (middle, classes.shape[axis])
    low, high = min(low, classes.shape[axis] - LEAST_VOXELS), max(high, LEAST_VOXELS)
    part = [slice(None)] * 3
    part[axis] = slice(max(0, low), high)
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, axis] * max(0, low)
    return _with(scan, scan.data[tuple(part)], affine), np.ascontiguousarray(classes[tuple(part)])


def removed(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """One organ replaced by fat, or one of its halves."""
    present = np.unique(classes[classes > 0])
    if not present.size:
        return scan, classes
    gone = classes == rng.choice(present)
    if rng.random() < 0.4:
        axis = int(rng.integers(3))
        half = np.arange(classes.shape[axis]) < np.median(np.argwhere(gone)[:, axis])
        gone &= half.reshape([-1 if i == axis else 1 for i in range(3)])
    soft = ndimage.gaussian_filter(ndimage.binary_dilation(gone).astype(np.float32), 0.7)
    fat = FAT_HU + ndimage.gaussian_filter(rng.normal(0, 25, classes.shape), 0.7)
    return _with(scan, scan.data * (1 - soft) + fat * soft), np.where(gone, np.uint8(0), classes)


def streaks(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """Dark and bright streaks through the planes of an organ, as of metal or of arms beside the body."""
    found = np.argwhere(classes > 0)
    if not len(found):
        return scan, classes
    centre = found[rng.integers(len(found))]
    x, y = np.ogrid[: classes.shape[0], : classes.shape[1]]
    angle = np.arctan2(y - centre[1], x - centre[0])
    waves = sum(np.cos(n * angle + rng.uniform(0, 6)) for n in rng.integers(3, 30, 6))
    fade = np.exp(-np.hypot(x - centre[0], y - centre[1]) / rng.uniform(15, 60))
    along = np.exp(-0.5 * ((np.arange(classes.shape[2]) - centre[2]) / rng.uniform(3, 20)) ** 2)
    pattern = float(rng.uniform(80, 500)) * (waves * fade)[:, :, None] * along
    return _with(scan, scan.data + np.where(scan.data > -900, pattern, 0)), classes


def thick(scan: Scan, classes: np.ndarray, rng: np.random.Generator) -> Case:
    """Slices of 8 to 25 mm."""
    axis = axis_along(scan.affine, 2)
    step = max(2, round(float(rng.uniform(8, 25)) / float(np.linalg.norm(scan.affine[:3, axis]))))
    step = min(step, max(1, classes.shape[axis] // 6))
    part = [slice(None)] * 3
    part[axis] = slice(step // 2, None, step)
    mean = ndimage.uniform_filter1d(scan.data.astype(np.float32), step, axis=axis)
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, axis] * (step // 2)
    affine[:3, axis] *= step
    return _with(scan, mean[tuple(part)], affine), np.ascontiguousarray(classes[tuple(part)])


FAULTS: Mapping[str, Fault] = {
    "sound": sound,
    "noise": noise,
    "blur": blur,
    "offset": offset,
    "mirrored": mirrored,
    "turned": turned,
    "spacing": spacing,
    "cut": cut,
    "removed": removed,
    "streaks": streaks,
    "thick": thick,
}
