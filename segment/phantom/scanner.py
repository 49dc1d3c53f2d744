"""Image formation: table, blur, beam hardening, noise, streaks, padding, and rounding to integers."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segment.phantom.region import Region
from segment.phantom.tissues import HIGHEST_HU, LOWEST_HU

# Values that files of several makers hold outside the circle that the scanner reconstructed, with their shares.
PADDING_HU = {-1024: 0.4, -2000: 0.25, -3024: 0.25, -1000: 0.1}

# HU above which material casts streaks: metal, and undiluted contrast medium in a vein.
STREAKING_HU = 1500
MOST_STARS = 4  # in one slice


@dataclass(frozen=True)
class Scan:
    """A reconstructed CT.

    Attributes:
        hu: (I,J,K) int16.
        measured: (I,J,K) bool, False outside the circle that the scanner reconstructed; broadcastable along K.
    """

    hu: np.ndarray
    measured: np.ndarray


def add_table(body: Region, back_mm: float, rng: np.random.Generator) -> None:
    """Add mattress and table below the patient. They are straight, the patient is bent. Some scans show no table.

    Tables differ in width, in how far their edges rise, and in thickness; some have rails at the edges.
    """
    half_width, rise_mm, thickness = rng.uniform(190, 250), rng.choice((0, 12, 35, 60)), rng.uniform(20, 60)
    mattress, rails, visible = rng.uniform(3, 30), rng.random() < 0.3, rng.random() < 0.93
    if not visible:
        return
    x, y = body.axes[0][:, None, None], body.axes[1][:, None]
    right, front = body.up
    across, up = (y * np.float32(right), x * np.float32(right)) if right else (x, y * np.float32(front))
    bowl = np.maximum(np.abs(across) - 90, 0) ** 2 / np.float32((half_width - 90) ** 2)
    below = np.float32(back_mm - 2) + np.float32(rise_mm) * bowl - up
    outside = np.abs(across) - np.float32(half_width)
    shell = mattress + 3.5
    layers = [(0, "foam"), (mattress, "table_shell"), (shell, "foam")]
    layers += [(shell + thickness, "table_shell"), (shell + thickness + 3.5, "air")]
    for depth, tissue in layers:
        body.paint(np.broadcast_to(np.maximum(depth - below, outside), body.hu.shape), tissue)
    if rails:
        rail = np.hypot(np.abs(across) - half_width + 8, below - shell - 6) - 7
        body.paint(np.broadcast_to(rail, body.hu.shape), "plastic")
        body.paint(np.broadcast_to(rail + 3, body.hu.shape), "air")


def form_image(hu: np.ndarray, inside: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> Scan:
    """Turn the HU of tissues into a reconstructed CT.

    Args:
        hu: (I,J,K) HU of the tissues; axis 0 is left-right, 1 back-front, 2 foot-head.
        inside: (I,J,K) mask of the body.
        spacing_mm: (3,) size of a voxel.
        rng: Random numbers for dose, kernel, slice profile, noise and padding.
    """
    kernel_mm = rng.uniform(0.6, 1.6)
    profile_mm = np.exp(rng.uniform(np.log(0.4), np.log(2.6)))  # of slices of about 1 to 7 mm
    image = ndimage.gaussian_filter(hu, (*(kernel_mm / spacing_mm[:2]), profile_mm / spacing_mm[2]), truncate=3)
    if rng.random() < 0.25:  # a sharp kernel overshoots at edges
        blurred = ndimage.gaussian_filter(image, (*(1.5 / spacing_mm[:2]), 0), truncate=3)
        image += np.float32(rng.uniform(0.2, 0.8)) * (image - blurred)
    image += _hardening(hu, spacing_mm) * np.float32(rng.uniform(0.5, 1.5))
    _add_streaks(image, hu, spacing_mm, rng)
    image += _noise(hu.shape, inside, spacing_mm, rng)
    image = _in_file(image)
    measured = _measured(hu.shape, rng)
    image[~np.broadcast_to(measured, image.shape)] = int(rng.choice(list(PADDING_HU), p=list(PADDING_HU.values())))
    return Scan(image, measured)


def form_ideal_image(hu: np.ndarray) -> Scan:
    """The HU of tissues (I,J,K), only rounded: a scanner without blur, noise and artefacts that measures everything."""
    return Scan(_in_file(hu), np.ones((*hu.shape[:2], 1), bool))


def _in_file(hu: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(hu), LOWEST_HU, HIGHEST_HU).astype(np.int16))


def _measured(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Mask (I,J,1) of the reconstructed part: the inscribed circle in a quarter of the scans, else all voxels."""
    if rng.random() >= 0.25:
        return np.ones((shape[0], shape[1], 1), bool)
    i, j = (np.linspace(-1, 1, n) for n in shape[:2])
    return (np.hypot(i[:, None], j) < rng.uniform(0.97, 1.02))[..., None]


def _add_streaks(image: np.ndarray, hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> None:
    """Add a star of streaks around metal and undiluted contrast medium, in the slices that contain it."""
    strength = 25 * np.exp(rng.normal(0, 0.4))
    phases = rng.uniform(0, 2 * np.pi, 5)
    weights = rng.normal(0, 1, 5)
    dense = hu > STREAKING_HU
    for k in np.flatnonzero(dense.any(axis=(0, 1))):
        blobs, count = ndimage.label(dense[:, :, k])
        sizes = np.bincount(blobs.ravel(), minlength=count + 1)[1:]
        for blob in np.argsort(-sizes)[:MOST_STARS] + 1:
            i, j = ndimage.center_of_mass(blobs == blob)
            x = (np.arange(image.shape[0], dtype=np.float32)[:, None] - i) * spacing_mm[0]
            y = (np.arange(image.shape[1], dtype=np.float32) - j) * spacing_mm[1]
            radius, angle = np.hypot(x, y), np.arctan2(y, x)
            # Streaks are symmetric about the metal, so only even harmonics occur.
            star = np.zeros_like(radius)
            for harmonic, phase, weight in zip((1, 3, 5, 8, 12), phases, weights, strict=True):
                star += weight * np.cos(2 * harmonic * angle + phase)
            area_mm2 = sizes[blob - 1] * spacing_mm[0] * spacing_mm[1]
            star *= strength * min(area_mm2 / 60, 3) ** 0.5 / (1 + radius / 20)
            image[:, :, k] += star.astype(np.float32)


def _hardening(hu: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Beam hardening: dark bands along axis 0 beside and between dense structures."""
    dense = np.clip(hu - 250, 0, 500)
    band = ndimage.uniform_filter1d(dense, max(3, round(110 / spacing_mm[0])), axis=0)
    return np.asarray(-0.12 * (band - ndimage.uniform_filter1d(band, max(3, round(30 / spacing_mm[1])), axis=1)))


def _noise(shape: tuple[int, ...], inside: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of filtered back projection: weak at low frequencies, stronger where the body is wide.

    The standard deviation in the middle of an average body is sampled from the range between a thick, smooth slice and
    a thin one of a screening dose. It grows with the path of the rays through water, so shoulders are noisy.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    grain_mm = rng.uniform(0.9, 2.0)  # of a sharp or a soft kernel
    fine, coarse = (
        ndimage.gaussian_filter(white, (*np.maximum(mm / spacing_mm[:2], least), 0), truncate=2.5)
        for mm, least in ((grain_mm, 0), (2.8 * grain_mm, 1))
    )
    texture = fine - coarse
    texture /= texture.std()
    # Rays along the width of the patient are attenuated most, which causes streaks along axis 0.
    streaks = ndimage.gaussian_filter1d(rng.standard_normal(shape, dtype=np.float32), 40 / spacing_mm[0], axis=0)
    streaks /= streaks.std()
    width_mm = inside.sum(axis=0) * spacing_mm[0]  # (J,K)
    starved = np.exp((np.clip(width_mm, 150, 450) - 330) / 130).astype(np.float32)
    dose_sd, streak_sd = np.exp(rng.uniform(np.log(7), np.log(38))), rng.uniform(0.5, 5)
    middle = ndimage.gaussian_filter(inside.astype(np.float32), 25 / spacing_mm, truncate=2) if inside.any() else 0
    return np.asarray((texture * dose_sd * (0.35 + 0.65 * middle) + streaks * streak_sd * middle) * starved)
