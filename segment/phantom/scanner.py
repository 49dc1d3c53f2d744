"""Image formation: table, blur, beam hardening, noise, streaks, and rounding to integers."""

import numpy as np
from scipy import ndimage

from segment.phantom.region import Region

LOWEST_HU, HIGHEST_HU = -1024, 3071


def add_table(body: Region, back_mm: float) -> None:
    """Add mattress and table below the patient. They are straight, unlike the bent patient."""
    x, y = body.axes[0][:, None, None], body.axes[1][:, None]
    right, front = body.up
    across, up = (y * np.float32(right), x * np.float32(right)) if right else (x, y * np.float32(front))
    top = np.float32(back_mm - 2) + np.maximum(np.abs(across) - 90, 0) ** 2 / np.float32(420) - up
    within = np.abs(across) - np.float32(205)
    layers = ((0, "foam"), (8, "table_shell"), (11.5, "foam"), (34, "table_shell"), (37.5, "air"))
    for thickness, tissue in layers:
        body.paint(np.broadcast_to(np.maximum(thickness - top, within), body.hu.shape), tissue)


def form_image(hu: np.ndarray, inside: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn the HU of tissues into a reconstructed CT.

    Args:
        hu: (I,J,K) HU of the tissues; axis 0 is left-right, 1 back-front, 2 foot-head.
        inside: (I,J,K) mask of the body.
        spacing_mm: (3,) size of a voxel.
        rng: Random numbers for dose, kernel and noise.

    Returns:
        (I,J,K) int16 HU.
    """
    kernel_mm, profile_mm = rng.uniform(0.8, 1.5), rng.uniform(0.6, 1.6)
    image = ndimage.gaussian_filter(hu, (*(kernel_mm / spacing_mm[:2]), profile_mm / spacing_mm[2]), truncate=3)
    image += _hardening(hu, spacing_mm) * np.float32(rng.uniform(0.5, 1.5))
    if rng.random() < 0.12:
        _add_metal(image, inside, spacing_mm, rng)
    image += _noise(hu.shape, inside, spacing_mm, rng)
    return np.asarray(np.clip(np.rint(image), LOWEST_HU, HIGHEST_HU).astype(np.int16))


def _add_metal(image: np.ndarray, inside: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> None:
    """Add a clip or screw inside the body, and a star of streaks around it in the slices that contain it."""
    k = int(rng.integers(image.shape[2]))
    i, j = np.argwhere(inside[:, :, k]).mean(axis=0) + rng.normal(0, (35, 18)) / spacing_mm[:2]
    x = (np.arange(image.shape[0], dtype=np.float32)[:, None] - i) * np.float32(spacing_mm[0])
    y = (np.arange(image.shape[1], dtype=np.float32) - j) * np.float32(spacing_mm[1])
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    # Streaks are symmetric about the metal, so only even harmonics occur.
    waves = [rng.normal() * np.cos(2 * n * angle + rng.uniform(0, 2 * np.pi)) for n in (1, 3, 5, 8, 12)]
    star = np.asarray(sum(waves)) * 80 / (1 + radius / 10)
    reach = max(1, round(5 / spacing_mm[2]))
    image[:, :, max(k - reach, 0) : k + reach + 1] += star[..., None].astype(np.float32)
    image[:, :, k] += (3000 * np.exp(-((radius / 3) ** 2))).astype(np.float32)


def _hardening(hu: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Beam hardening: dark bands along axis 0 beside and between dense structures."""
    dense = np.clip(hu - 250, 0, 500)
    band = ndimage.uniform_filter1d(dense, max(3, round(110 / spacing_mm[0])), axis=0)
    return np.asarray(-0.12 * (band - ndimage.uniform_filter1d(band, max(3, round(30 / spacing_mm[1])), axis=1)))


def _noise(shape: tuple[int, ...], inside: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of filtered back projection: weak at low frequencies, stronger where the body is wide.

    The standard deviation in the middle of the body is sampled from the range of usual doses. It grows with the path
    of the rays through water.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    fine, coarse = (
        ndimage.gaussian_filter(white, (*np.maximum(mm / spacing_mm[:2], least), 0), truncate=2.5)
        for mm, least in ((1.6, 0), (4.5, 1))
    )
    texture = fine - coarse
    texture /= texture.std()
    # Rays along the width of the patient are attenuated most, which causes streaks along axis 0.
    streaks = ndimage.gaussian_filter1d(rng.standard_normal(shape, dtype=np.float32), 40 / spacing_mm[0], axis=0)
    streaks /= streaks.std()
    width_mm = inside.sum(axis=0) * spacing_mm[0]  # (J,K)
    starved = np.exp((np.clip(width_mm, 150, 450) - 330) / 130).astype(np.float32)
    dose_sd, streak_sd = rng.uniform(14, 25), rng.uniform(1, 5)
    middle = ndimage.gaussian_filter(inside.astype(np.float32), 25 / spacing_mm, truncate=2) if inside.any() else 0
    return np.asarray((texture * dose_sd * (0.35 + 0.65 * middle) + streaks * streak_sd * middle) * starved)
