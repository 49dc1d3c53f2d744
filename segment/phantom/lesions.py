"""Lesions, roughly spherical parts of another tissue in an organ: their positions, number, size and layers.

Rule for the label: a lesion inside an organ keeps the organ's label, as the annotators of public sets of liver, kidney
and spleen do. The part of a lesion that bulges out of the organ has no label, except in polycystic kidneys, whose cysts
are the organ. Fluid in a dilated renal pelvis is outside the kidney, like the fat and urine of a normal sinus.
"""

from collections.abc import Sequence

import numpy as np

from segment.phantom.region import LABELS, Region
from segment.phantom.shapes import FAR_MM, ellipsoid, sample
from segment.phantom.tissues import CODES

Box = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]  # middle and half widths in mm
Layer = tuple[float, str, float]  # depth below the surface in mm, tissue, offset in HU


def sample_number(rng: np.random.Generator, mean: float, most: int) -> int:
    """A number of lesions: one in most patients, many in some."""
    return int(min(rng.geometric(1 / mean), most))


def sample_centers(rng: np.random.Generator, box: Box, number: int) -> np.ndarray:
    """Random points (number,3) in an ellipsoid."""
    direction = rng.normal(0, 1, (number, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = rng.random((number, 1)) ** (1 / 3)  # uniform in the volume
    return np.asarray(np.asarray(box[0]) + direction * distance * np.asarray(box[1]))


def sample_in_organ(
    body: Region, organ: str, corners: tuple[Sequence[float], Sequence[float]], rng: np.random.Generator, number: int
) -> np.ndarray:
    """At most `number` random points (N,3) in anatomical mm, uniform in an organ that was added.

    Points outside the scan are kept, because the organ may be there. So a scan that shows a part of an organ shows only
    some of its lesions.

    Args:
        body: The region.
        organ: A key of LABELS.
        corners: Two corners of a box that contains the organ in every patient, in mm.
        rng: Random numbers.
        number: Number of points.
    """
    points = rng.uniform(*corners, (40 * number, 3))
    return points[sample(body, body.label == LABELS[organ], points, 1) > 0][:number]


def sample_radii(rng: np.random.Generator, median_mm: float, spread: float, most_mm: float, number: int) -> np.ndarray:
    """Radii in mm, log-normal around a median."""
    return np.exp(rng.normal(np.log(median_mm), spread, number)).clip(1.5, most_mm)


def add_lesion(
    body: Region,
    organ: str,
    center: np.ndarray,
    radius: float,
    layers: Sequence[Layer],
    rng: np.random.Generator,
    bumpy: float = 0.12,
    outside: bool = False,
) -> None:
    """Add a lesion to the part of an organ that it covers.

    Args:
        body: The region to add it to.
        organ: A key of LABELS.
        center: Centre in anatomical mm.
        radius: Mean radius in mm.
        layers: From the surface to the middle: depth in mm, tissue, offset in HU.
        rng: Random numbers for its form.
        bumpy: Deviation from a ball as a share of the radius.
        outside: Whether the lesion also displaces fat around the organ; that part gets no label.
    """
    radii, seed = radius * rng.normal(1, 0.1, 3), rng.spawn(1)[0]
    part = body.crop(center - 1.4 * radius, center + 1.4 * radius)
    if not part.x.size:
        return
    room = part.label == LABELS[organ]
    if not room.any():
        return
    if outside:
        room |= (part.label == 0) & np.isin(part.tissue, (CODES["visceral_fat"], CODES["urine"]))
    form = ellipsoid(part, center, radii) + np.float32(bumpy * radius) * part.field(seed, max(4.0, radius))
    for depth, tissue, offset in layers:
        part.paint(np.where(room, form + np.float32(depth), FAR_MM), tissue, offset + 3 * part.field(seed, 6))
