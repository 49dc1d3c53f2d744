"""Render CTs from tissue maps, with a random contrast phase, scanner and dose at every call."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segment.phantom.tissues import CODES, HIGHEST_HU, LOWEST_HU, sample_hu, sample_phase, texture_hu

Interval = tuple[float, float]

VOXEL_SD = 1 / math.sqrt(6)  # of the triangle filter that turns a CT's voxels into those of the training, in voxels
NOISE_MM = 3.0  # voxel size at which the noise is stated
COARSE_MM = 11.0  # scale of a coarse texture, like that of contrast medium that is not mixed yet
COARSE_SHARE = 0.4  # of the variance of a tissue's texture
SHADING_MM = 60.0
STREAK_MM = np.array((25.0, 2.0, 2.0))
GRID = 1.5  # distance between the points of a random field, in standard deviations of its Gaussian


@dataclass(frozen=True)
class Scanners:
    """Ranges from which a scanner is sampled.

    Attributes:
        kernel_mm: Standard deviation of the blur by the reconstruction kernel in the axial plane, uniform. 0.4 is a
            sharp kernel for bone, 0.6 to 0.9 are those for soft tissue.
        slice_mm: Thickness of the slices, log-uniform. Slices thicker than a voxel follow each other without gap.
        noise_hu: Standard deviation of the noise at voxels of 3 mm, log-uniform. It is about half of that at a
            scanner's own voxels: 10 to 25 HU in the abdomen at usual doses. It changes with the voxel size as
            1 / sqrt(mm).
        texture: Factor of the textures in `TISSUES`, uniform.
        shading_hu: Standard deviation of the slow variation that scatter and beam hardening leave, uniform.
    """

    kernel_mm: Interval = (0.4, 1.0)
    slice_mm: Interval = (0.7, 6.0)
    noise_hu: Interval = (3.0, 16.0)
    texture: Interval = (0.6, 1.3)
    shading_hu: Interval = (0.0, 4.0)


ALL_SCANNERS = Scanners()


def render(
    tissue: np.ndarray,
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    scanners: Scanners = ALL_SCANNERS,
    phase: str | None = None,
) -> np.ndarray:
    """Render a CT from a tissue map.

    A contrast phase, the patient's HU of every tissue and a scanner are sampled. Each tissue gets its mean HU and a
    texture. Blur then mixes neighbouring voxels, as partial volumes, kernel and slice thickness do, and makes white
    noise as coarse as the image is smooth.

    Args:
        tissue: Codes of CODES (I,J,K) uint8; axes 0 and 1 are the axial plane, 2 runs across the slices.
        spacing_mm: Size of a voxel along I, J, K.
        rng: All random numbers.
        scanners: Ranges of the scanner.
        phase: A key of PHASES, or None for a random one.

    Returns:
        (I,J,K) float32 HU.
    """
    mm = np.asarray(spacing_mm, dtype=float)
    phase = phase or sample_phase(rng)
    hu, texture = sample_hu(rng, phase), texture_hu(phase)
    noise_hu = _log_uniform(rng, scanners.noise_hu) * math.sqrt(NOISE_MM / float(np.mean(mm)))
    texture_factor = rng.uniform(*scanners.texture)
    # Shares of the variance of the noise. Streaks run along the width of a patient, where fewest photons pass.
    smooth_share, streak_share = rng.uniform(0.2, 0.45), rng.uniform(0, 0.35)
    smooth_mm = rng.uniform(2.5, 4.0)
    blur = _blur_weights(tissue.shape, spacing_mm, rng, scanners)
    white_hu = noise_hu * math.sqrt(1 - smooth_share - streak_share) / math.prod(map(_gain, blur))
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))

    # Texture of a few millimetres and the smooth part of the noise have the same spectrum, so one field serves both.
    variance = {name: (texture_factor * value) ** 2 for name, value in texture.items()}
    smooth_hu = {name: math.sqrt(smooth_share * noise_hu**2 + (1 - COARSE_SHARE) * v) for name, v in variance.items()}
    coarse_hu = {name: math.sqrt(COARSE_SHARE * v) for name, v in variance.items()}
    codes = torch.from_numpy(np.ascontiguousarray(tissue)).int()
    image = _look_up(hu, codes)
    image.addcmul_(_look_up(smooth_hu, codes), _field(codes.shape, smooth_mm / mm, generator))
    image.addcmul_(_look_up(coarse_hu, codes), _field(codes.shape, COARSE_MM / mm, generator))
    image.add_(torch.randn(codes.shape, generator=generator), alpha=white_hu)
    image = _along_axes(image, blur)
    image.add_(_field(codes.shape, STREAK_MM / mm, generator), alpha=noise_hu * math.sqrt(streak_share))
    image.add_(_field(codes.shape, SHADING_MM / mm, generator), alpha=rng.uniform(*scanners.shading_hu))
    return np.asarray(image.clamp_(LOWEST_HU, HIGHEST_HU).numpy())


def _look_up(values: Mapping[str, float], codes: Tensor) -> Tensor:
    """Value of the tissue of every voxel."""
    table = torch.zeros(256)
    for name, value in values.items():
        table[CODES[name]] = value
    return table.index_select(0, codes.flatten()).reshape(codes.shape)


def _field(shape: Sequence[int], length: np.ndarray, generator: torch.Generator) -> Tensor:
    """A smooth Gaussian random field (I,J,K) with mean 0 and standard deviation 1.

    White noise on a coarse grid is interpolated by a Gaussian whose standard deviation is `length` voxels along I, J
    and K. The correlation of two voxels falls to 0.78 over one length and to 0.37 over two. Lengths below 0.7 are taken
    as 0.7, where neighbouring voxels are correlated by 0.6.
    """
    weights = []
    for size, sigma in zip(shape, np.maximum(length, 0.7), strict=True):
        step = GRID * sigma
        points = step * torch.arange(-1, math.ceil((size - 1) / step) + 2)
        matrix = torch.exp(-0.5 * ((torch.arange(size)[:, None] - points) / sigma) ** 2)
        weights.append(matrix / matrix.norm(dim=1, keepdim=True))
    coefficients = torch.randn([matrix.shape[1] for matrix in weights], generator=generator)
    return _along_axes(coefficients, weights)


def _blur_weights(
    shape: Sequence[int], spacing_mm: Sequence[float], rng: np.random.Generator, scanners: Scanners
) -> list[Tensor]:
    """Matrices that blur along I, J and K."""
    kernel_mm = rng.uniform(*scanners.kernel_mm)
    slice_mm = _log_uniform(rng, scanners.slice_mm)
    weights = [_gaussian(shape[axis], math.hypot(kernel_mm / spacing_mm[axis], VOXEL_SD)) for axis in (0, 1)]
    thickness = slice_mm / spacing_mm[2]
    if thickness > 1:
        across = _slabs(shape[2], thickness, rng.uniform(0, thickness))
    else:
        across = _gaussian(shape[2], math.hypot(thickness / math.sqrt(12), VOXEL_SD))
    return [*weights, across]


def _gaussian(size: int, sigma: float) -> Tensor:
    """Matrix (size, size) that blurs a line of voxels by a Gaussian; rows sum to 1.

    A voxel's tissue fills it up to its faces, so weights are integrals of the Gaussian over a voxel.
    """
    distance = torch.arange(size)[:, None] - torch.arange(size)
    weights: Tensor = torch.special.ndtr((distance + 0.5) / sigma) - torch.special.ndtr((distance - 0.5) / sigma)
    return weights / weights.sum(dim=1, keepdim=True)


def _slabs(size: int, thickness: float, first: float) -> Tensor:
    """Matrix (size, size) that averages a line of voxels over slices, and interpolates linearly between these.

    Args:
        size: Voxels of the line.
        thickness: Thickness of the slices, and distance between their centres, in voxels; at least 1.
        first: Centre of one of the first slices.
    """
    voxels = torch.arange(size)
    centres = first + thickness * torch.arange(-1, math.ceil(size / thickness) + 1)
    centres = centres[(centres > -thickness / 2) & (centres < size - 1 + thickness / 2)]
    reach = thickness / 2 + 0.5 - (centres[:, None] - voxels).abs()  # of a slice into a voxel
    average = reach.clamp(0, 1)
    interpolate = (1 - (voxels[:, None].clamp(centres[0], centres[-1]) - centres).abs() / thickness).clamp(min=0)
    average = average / average.sum(dim=1, keepdim=True)
    return interpolate / interpolate.sum(dim=1, keepdim=True) @ average


def _gain(weights: Tensor) -> float:
    """Factor by which a blur changes the standard deviation of white noise along an axis."""
    return math.sqrt(float(weights.square().sum(dim=1).mean()))


def _along_axes(volume: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Apply one matrix per axis to a volume (I,J,K), the last axis first."""
    along_i, along_j, along_k = weights
    volume = along_j @ (volume @ along_k.T)
    return (along_i @ volume.flatten(1)).reshape(-1, *volume.shape[1:])


def _log_uniform(rng: np.random.Generator, interval: Interval) -> float:
    low, high = interval
    return float(low * (high / low) ** rng.random())
