"""Great vessels of the chest, the shoulders and the base of the neck."""

from collections.abc import Sequence

import numpy as np

from segment.phantom.heart import Heart
from segment.phantom.limbs import Arm
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, curve, tube

Path = list[tuple[float, float, float]]

# Points in mm with the radius at both ends.
_ROOT: Path = [(-12, 60, 160), (-7, 60, 172), (4, 62, 190)]  # root of the aorta, which moves with the heart
_ARCH: Path = [(10, 56, 212), (8, 40, 236), (-4, 20, 243), (-17, 2, 232), (-20, -3, 212), (-15, 6, 190), (-13, 11, 168)]
_PULMONARY: list[tuple[Path, tuple[float, float]]] = [
    ([(-17, 78, 172), (-22, 68, 190), (-23, 50, 205)], (13.5, 13)),
    ([(-23, 50, 205), (2, 36, 206), (30, 30, 198), (46, 26, 184)], (11, 7)),
    ([(-23, 50, 205), (-38, 34, 212), (-50, 16, 202), (-52, 12, 186)], (11, 7)),
]
_PULMONARY_VEINS: list[tuple[Path, tuple[float, float]]] = [
    ([(54, 46, 186), (34, 42, 174), (12, 38, 166)], (6, 8)),
    ([(54, 12, 146), (36, 20, 152), (12, 32, 158)], (6, 8)),
    ([(-60, 46, 188), (-46, 42, 176), (-26, 38, 166)], (6, 8)),
    ([(-58, 8, 148), (-44, 16, 154), (-24, 32, 158)], (6, 8)),
]
_CAVA: list[tuple[Path, tuple[float, float]]] = [
    ([(22, 46, 244), (26, 48, 212), (29, 50, 175), (29, 52, 150)], (8.5, 10)),
    ([(22, 54, 122), (25, 54, 130)], (12, 13)),  # the lower one reaches the atrium
]
_AZYGOS: Path = [(8, -4, 70), (8, -8, 150), (9, -8, 196), (20, 2, 222), (26, 30, 222), (26, 42, 214)]
_BRACHIOCEPHALIC_VEINS = {
    1: [(46, 22, 286), (34, 32, 268), (22, 46, 244)],
    -1: [(-46, 22, 286), (-26, 38, 272), (2, 50, 254), (22, 46, 244)],
}
_CAROTIDS = {
    1: [(4, 34, 242), (12, 28, 264), (22, 16, 290), (24, 14, 330), (28, 12, 400)],
    -1: [(-6, 26, 244), (-16, 20, 268), (-24, 14, 296), (-25, 14, 330), (-28, 12, 400)],
}
_SUBCLAVIAN = {
    1: [(14, 26, 270), (30, 4, 300), (60, -2, 304), (96, 4, 286)],
    -1: [(-12, 12, 244), (-24, 0, 276), (-36, -4, 302), (-62, -2, 304), (-96, 4, 286)],
}
_JUGULAR: Path = [(46, 22, 286), (36, 18, 320), (40, 12, 400)]
_SUBCLAVIAN_VEIN: Path = [(46, 22, 286), (66, 20, 292), (96, 14, 280)]
CHEST_VESSELS = ((-140.0, -45.0, 65.0), (140.0, 110.0, 430.0))  # corners of a box around them


class ChestVessels:
    """Distances (I,J,K) in mm to the vessels of a patient, by tissue; `artery` has that of the aorta, but no label."""

    def __init__(self, part: Region, heart: Heart, arms: tuple[Arm, Arm], rng: np.random.Generator) -> None:
        self.part = part
        self.distances: dict[str, np.ndarray] = {}
        wide = float(np.exp(rng.normal(0, 0.1)))
        aorta = np.concatenate([heart.place(np.array(_ROOT, dtype=float)), np.array(_ARCH) + rng.normal(0, 1, (7, 3))])
        self._add("aorta", aorta, (16.5 * wide, 11.5 * wide))
        for side, neck, arm in ((1, 5.5, 4.5), (-1, 4.0, 4.5)):
            self._add("artery", _CAROTIDS[side], (neck, 3.4))
            self._add("artery", _SUBCLAVIAN[side], (arm, 3.5))
        for path, ends in _PULMONARY:
            self._add("pulmonary_artery", path, ends)
        for path, ends in _PULMONARY_VEINS:
            self._add("left_heart", path, ends)
        injected = int(rng.choice((-1, 1)))  # the arm that gets the contrast medium
        for path, ends in _CAVA:
            self._add("superior_vena_cava" if ends[0] < 10 else "vena_cava", path, ends)
        for arm_ in arms:
            self._add_arm(arm_, arm_.side == injected)
        self._add("vena_cava", _AZYGOS, (3.0, 4.5))

    def _add(self, tissue: str, path: Sequence[Sequence[float]] | np.ndarray, ends: tuple[float, float]) -> None:
        points = curve(np.array(path, dtype=float), 14)
        vessel = tube(self.part, points, np.linspace(*ends, len(points)))
        known = self.distances.get(tissue)
        self.distances[tissue] = vessel if known is None else np.minimum(known, vessel)

    def _add_arm(self, arm: Arm, injected: bool) -> None:
        side = np.array((arm.side, 1, 1))
        vein = "superior_vena_cava" if injected else "iliac_vein"
        self._add(vein, _BRACHIOCEPHALIC_VEINS[arm.side], (6.0, 7.5))
        self._add("iliac_vein", np.array(_JUGULAR) * side, (6.0, 6.0))
        inner = arm.path[0] - np.array((26 * arm.side, 0, 0))  # beside the humerus
        self._add(vein, np.array([*(np.array(_SUBCLAVIAN_VEIN) * side), inner + np.array((0, 6, -4))]), (5.5, 4.5))
        elbow = inner + 0.3 * (arm.path[1] - inner)
        self._add("artery", np.array([np.array((96, 4, 286)) * side, inner, elbow]), (3.5, 2.6))

    def nearest(self) -> np.ndarray:
        """Distance to the nearest vessel."""
        result = np.full_like(self.part.x, FAR_MM)
        for distance in self.distances.values():
            np.minimum(result, distance, out=result)
        return result

    def paint(self) -> None:
        """Paint the vessels. Only the aorta itself has a label."""
        for name, distance in self.distances.items():
            if name == "aorta":
                self.part.paint(distance, "aorta", organ="aorta")
            else:
                self.part.paint(distance, "aorta" if name == "artery" else name)
