"""Add the parts of organs that a label map does not distinguish: cortex and marrow, wall and content, vessels."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage

from segment.phantom.from_labels.part import Part
from segment.phantom.tissues import CODES


def draw(made_of: str, part: Part) -> None:
    """Fill a structure with one tissue, or with the parts of an organ.

    Args:
        made_of: A key of `segment.phantom.tissues.TISSUES` or of ORGANS.
        part: The box around it.
    """
    if made_of in ORGANS:
        ORGANS[made_of](part)
    else:
        part.fill_all(made_of)


def _bone(part: Part) -> None:
    """Cortex of 1.5 to 3 mm around marrow."""
    part.fill_all("spongiosa")
    part.fill(part.depth_mm() < part.rng.uniform(1.5, 2.5), "cortical")


def _vertebra(part: Part) -> None:
    """Marrow in a cortex that is thinner than a voxel, so only some of its voxels are set."""
    part.fill_all("spongiosa")
    shell = part.depth_mm() < part.spacing_mm.min()
    part.fill(shell & (part.rng.random(part.mask.shape) < part.rng.uniform(0.15, 0.4)), "cortical")


def _kidney(part: Part) -> None:
    """Cortex with columns between the pyramids, and a pelvis near the middle."""
    depth = part.depth_mm()
    part.fill_all("cortex")
    pyramids = part.field(11) > -0.12
    part.fill((depth > 5.5) & pyramids, "medulla")
    if part.rng.random() < 0.75:  # not every pelvis holds urine
        part.fill(depth > 13 + 3 * part.field(10), "urine")
    if part.rng.random() < 0.2:
        part.fill(part.balls(int(part.rng.integers(1, 4)), (3, 14)), "cyst")
    if part.rng.random() < 0.06:
        part.fill(part.balls(1, (1.5, 4), inside_mm=8), "stone")


def _liver(part: Part) -> None:
    """Parenchyma with hepatic and portal veins, and lesions in some patients."""
    part.fill_all("liver")
    depth = part.depth_mm()
    thin = 0.8 + 3.2 * np.clip(depth / 35, 0, 1)  # vessels taper towards the capsule
    part.fill(part.network(38, thin), "hepatic_vein")
    part.fill(part.network(34, thin), "portal_vein")
    for tissue, share, radii in (
        ("cyst", 0.15, (3, 18)),
        ("hypodense_lesion", 0.15, (4, 22)),
        ("enhancing_lesion", 0.07, (4, 15)),
    ):
        if part.rng.random() < share:
            part.fill(part.balls(int(part.rng.integers(1, 6)), radii), tissue)


def _spleen(part: Part) -> None:
    part.fill_all("spleen")
    if part.rng.random() < 0.05:
        part.fill(part.balls(1, (4, 15)), "cyst")


def _lung(part: Part) -> None:
    """Parenchyma with vessels that taper towards the pleura."""
    part.fill_all("lung")
    thin = 0.5 + 2.6 * np.clip(part.depth_mm() / 45, 0, 1)
    part.fill(part.network(16, 0.6 * thin), "lung_vessel")
    part.fill(part.network(34, thin), "lung_vessel")


def _heart(part: Part) -> None:
    """Right chambers in front and to the right, left chambers with a thick wall behind, a septum between."""
    positions = np.argwhere(part.mask)
    if not len(positions):
        return
    i, j, k = part.offsets_mm(positions.mean(axis=0))
    turn = np.radians(part.rng.uniform(35, 60))
    across = i * np.cos(turn) + j * np.sin(turn) - 0.15 * k + 15 * part.field(30)  # grows towards the right heart
    right = across > part.rng.uniform(-6, 6)
    apex = np.clip((-i + j - k) / 40, -1, 1)  # 1 at the ventricles, -1 at the atria
    wall = np.where(right, 2.5, 6 + 4 * apex)
    depth = part.depth_mm()
    part.fill_all("myocardium")
    part.fill((depth > wall) & right, "right_heart")
    part.fill((depth > wall) & ~right, "left_heart")
    part.fill((np.abs(across) < 2.5 + 2 * apex) & (apex > -0.3), "myocardium")
    part.fill((depth < part.rng.uniform(0, 4)) & (part.field(25) > 0.1), "fat")  # epicardial


def _aorta(part: Part) -> None:
    """An artery; plaques in some patients."""
    part.fill_all("aorta")
    if part.rng.random() < 0.35:
        plaques = part.field(9) > part.rng.uniform(0.35, 0.6)
        part.fill((part.depth_mm() < part.spacing_mm.max()) & plaques, "calcification")


def _airway(part: Part) -> None:
    part.fill_all("airway")
    part.fill((part.depth_mm() < 1.2) & (part.field(6) > -0.1), "airway_wall")


def _stomach(part: Part) -> None:
    """A wall with folds; gas in front of fluid, food or contrast medium, because the patient lies on the back."""
    part.fill_all("stomach_wall")
    lumen = part.depth_mm() > 3 + 1.5 * part.field(9)
    content = part.rng.choice(["stomach_fluid", "food", "oral_contrast"], p=[0.5, 0.35, 0.15])
    part.fill(lumen, str(content))
    if content == "food":
        part.fill(lumen & (part.field(7) > 0.2), "stomach_fluid")
        part.fill(lumen & (part.field(5) > 0.5), "gas")
    rows = np.flatnonzero(part.mask.any(axis=(0, 2)))
    if len(rows):
        level = rows[0] + np.ptp(rows) * part.rng.uniform(0.35, 1.1)
        part.fill(lumen & (np.arange(part.mask.shape[1])[:, None] > level), "gas")


def _small_bowel(part: Part) -> None:
    """Loops that are collapsed, or hold fluid, contrast medium or gas above fluid."""
    _bowel(part, collapsed=0.35, contents={"bowel_fluid": 0.8, "oral_contrast": 0.2}, gas=0.12)


def _colon(part: Part) -> None:
    """Segments with stool, fluid or contrast medium, and gas above it."""
    _bowel(part, collapsed=0.08, contents={"stool": 0.75, "bowel_fluid": 0.15, "oral_contrast": 0.1}, gas=0.5)
    depth = part.depth_mm()
    bubbles = (part.field(4) > 0.42) & (depth > 4)
    part.fill(bubbles & (part.tissue == CODES["stool"]), "gas")


def _bowel(part: Part, collapsed: float, contents: Mapping[str, float], gas: float) -> None:
    """Fill a bowel: wall, content and gas.

    Args:
        part: The box around it.
        collapsed: Share of its length without content.
        contents: Possible contents, each with the share of patients who have it.
        gas: Share of the height of the lumen that is gas, on average.
    """
    part.fill_all("bowel_wall")
    content = str(part.rng.choice(list(contents), p=list(contents.values())))
    segments = _rank(part.field(40), part.mask)  # varies slowly along the bowel
    lumen = (part.depth_mm() > 2.2) & (segments > collapsed)
    part.fill(lumen, content)
    # Height above the local middle of the bowel, from a smoothed mean of the positions in it.
    sigma = 14 / part.spacing_mm
    inside = part.mask.astype(np.float32)
    rows = np.arange(part.mask.shape[1], dtype=np.float32)[:, None] * np.float32(part.spacing_mm[1])
    weight = ndimage.gaussian_filter(inside, sigma, truncate=2) + 1e-3
    middle = ndimage.gaussian_filter(inside * rows, sigma, truncate=2) / weight
    level = 16 * (0.5 - gas) + 40 * part.field(50)
    part.fill(lumen & (rows - middle > level), "gas")


def _rank(field: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Share of the mask in which a field is lower, per voxel."""
    values = np.sort(field[mask][::7])
    return np.searchsorted(values, field) / max(len(values), 1)


def _gallbladder(part: Part) -> None:
    part.fill_all("bile")
    part.fill((part.depth_mm() < 1.5) & (part.field(8) > -0.2), "gallbladder_wall")
    if part.rng.random() < 0.12:
        part.fill(part.balls(int(part.rng.integers(1, 6)), (1.5, 6)), "gallstone")


def _bladder(part: Part) -> None:
    part.fill_all("bladder_urine")
    part.fill(part.depth_mm() < part.rng.uniform(1.5, 4), "bladder_wall")


def _pancreas(part: Part) -> None:
    """Lobules, with fat between them in some patients."""
    part.fill_all("pancreas")
    if part.rng.random() < 0.5:
        part.fill((part.field(6) > part.rng.uniform(0.3, 0.55)) & (part.depth_mm() < 6), "visceral_fat")


def _oesophagus(part: Part) -> None:
    part.fill_all("oesophagus")
    part.fill((part.depth_mm() > 5) & (part.field(15) > 0.15), "gas")


ORGANS: dict[str, Callable[[Part], None]] = {
    "bone": _bone,
    "vertebra": _vertebra,
    "kidney": _kidney,
    "liver": _liver,
    "spleen": _spleen,
    "lung": _lung,
    "heart": _heart,
    "aorta": _aorta,
    "airway": _airway,
    "stomach": _stomach,
    "duodenum": _small_bowel,
    "small_bowel": _small_bowel,
    "colon": _colon,
    "gallbladder": _gallbladder,
    "bladder": _bladder,
    "pancreas": _pancreas,
    "oesophagus": _oesophagus,
}
