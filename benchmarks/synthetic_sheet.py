"""A sheet of axial slices: a real CT beside synthetic ones of every contrast phase, at the same levels of the body.

    python benchmarks/synthetic_sheet.py docs/images/synthetic_ct.jpg [--cache FOLDER] [--seed 7]

The first row is the CT of `data=lidc` (arterial phase, LIDC-IDRI, CC BY 3.0). Below it are two synthetic patients of
each phase, from cases that no training uses. Columns: heart, upper liver, portal vein, kidneys, pelvis; black where a
scan does not reach. Window -160 to 240 HU.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from segment.datasets.sources.lidc import Lidc
from segment.io.scan import Scan
from segment.phantom.case import SyntheticCase, synthesise_case
from segment.phantom.tissues import CODES, PHASES

TILE = 240  # pixels
WINDOW_HU = (-160, 240)
FIELD_MM = 400.0  # width of a tile
PER_PHASE = 2
SHAPE = (256, 256, 96)
LEVELS = ("left_heart", "top of liver", "portal_vein", "cortex", "bladder_urine")


def main() -> None:
    """Draw and save the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("outputs/cache"))
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    rows = [("real, arterial", _real(Lidc(args.cache / "lidc", {}).cases("lidc")[0].read()))]
    for phase, cases in _cases(args.seed).items():
        rows += [(f"synthetic, {phase}", _synthetic(case)) for case in cases]
    sheet = Image.new("L", (TILE * len(LEVELS), TILE * len(rows)))
    for row, (title, tiles) in enumerate(rows):
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (TILE * column, TILE * row))
        ImageDraw.Draw(sheet).text((6, TILE * row + 4), title, fill=255)
    sheet.save(args.output, quality=82, optimize=True)


def _cases(seed: int) -> dict[str, list[SyntheticCase]]:
    """The first whole-trunk patients of every phase on the back."""
    found: dict[str, list[SyntheticCase]] = defaultdict(list)
    index = 0
    while any(len(found[phase]) < PER_PHASE for phase in PHASES):
        case = synthesise_case(seed, index, SHAPE)
        index += 1
        long_enough = case.spacing_mm[2] * SHAPE[2] > 330
        if case.patient.position == "supine" and long_enough and len(found[case.patient.phase]) < PER_PHASE:
            found[case.patient.phase].append(case)
    return {phase: found[phase] for phase in PHASES}


def _synthetic(case: SyntheticCase) -> list[Image.Image]:
    """Slices where a level's tissue is largest."""
    tiles = []
    for level in LEVELS:
        name = "liver" if level == "top of liver" else level
        area = (case.tissue == CODES[name]).sum(axis=(0, 1))
        if not area.any():
            tiles.append(Image.new("L", (TILE, TILE)))
            continue
        slices = np.flatnonzero(area > 0.3 * area.max())
        k = int(slices[-1]) if level == "top of liver" else int(area.argmax())
        tiles.append(_tile(case.hu[:, :, k], case.spacing_mm[:2]))
    return tiles


def _real(scan: Scan) -> list[Image.Image]:
    """Slices of the real CT at heights chosen by eye, as shares of its length from the feet."""
    shares = (0.47, 0.36, 0.2, 0.1)
    spacing_mm = np.linalg.norm(scan.affine[:3, :3], axis=0)
    flip = [slice(None, None, 1 if scan.affine[axis, axis] > 0 else -1) for axis in range(3)]
    hu = scan.data[tuple(flip)]
    tiles = [_tile(hu[:, :, int(share * hu.shape[2])], spacing_mm[:2]) for share in shares]
    return [*tiles, Image.new("L", (TILE, TILE))]


def _tile(hu: np.ndarray, spacing_mm: Sequence[float]) -> Image.Image:
    """A slice (I,J), right and back first, as a radiologist looks at it: from the feet, front up."""
    low, high = WINDOW_HU
    grey = (np.clip((hu.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(grey.T[::-1, ::-1]))
    size = [max(1, round(n * mm * TILE / FIELD_MM)) for n, mm in zip(hu.shape, spacing_mm, strict=True)]
    picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    tile = Image.new("L", (TILE, TILE))
    tile.paste(picture, ((TILE - size[0]) // 2, (TILE - size[1]) // 2))
    return tile


if __name__ == "__main__":
    main()
