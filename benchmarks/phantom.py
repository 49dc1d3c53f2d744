"""Speed of synthesising CTs, the Dice that HU thresholds reach on them, and the volumes of their organs.

    python benchmarks/phantom.py [cases] [shape, e.g. 128x128x96]

The threshold Dice is the highest Dice of any interval of HU, chosen with the ground truth, either for each case or once
for all cases (pooled). Volumes are measured only for organs that are completely in the field of view. Many cases show
only a part of the trunk, so an organ has fewer cases than there are.
"""

import sys
import time

import numpy as np

from segment.phantom import LABELS
from segment.phantom.case import synthesise_case

# Sources: segment/phantom/patient.py.
PUBLISHED_ML = {
    "liver": "1411 ± 263 (women), 1710 ± 288 (men)",
    "spleen": "198 ± 88",
    "right_kidney": "138 (women), 174 (men)",
    "left_kidney": "144 (women), 180 (men)",
}

LOW_HU, HIGH_HU = -300, 700


def histogram(hu: np.ndarray) -> np.ndarray:
    """Number of voxels per HU; values outside of the range are counted at its ends."""
    return np.bincount(np.clip(hu, LOW_HU, HIGH_HU).ravel().astype(int) - LOW_HU, minlength=HIGH_HU - LOW_HU + 1)


def best_interval_dice(organ: np.ndarray, rest: np.ndarray) -> float:
    """Highest Dice of all HU intervals, from the histograms of an organ and of all other voxels."""
    inside, outside = (np.concatenate([[0], np.cumsum(counts)]) for counts in (organ, rest))
    true_positive = inside[None, :] - inside[:, None]
    false_positive = outside[None, :] - outside[:, None]
    sizes = np.maximum(organ.sum() + true_positive + false_positive, 1)
    return float((2 * true_positive / sizes)[np.triu_indices(len(inside), 1)].max())


def main(num_cases: int, shape: tuple[int, int, int]) -> None:
    """Synthesise the cases and print the table."""
    synthesise_case(0, 0, shape)
    seconds, per_case, volume_ml = [], {name: [] for name in LABELS}, {name: [] for name in LABELS}
    pooled = {name: np.zeros((2, HIGH_HU - LOW_HU + 1), np.int64) for name in LABELS}
    for index in range(num_cases):
        start = time.process_time()
        case = synthesise_case(0, index, shape)
        seconds.append(time.process_time() - start)
        for name, code in LABELS.items():
            mask = case.label == code
            if not mask.any():
                continue
            counts = np.stack([histogram(case.hu[mask]), histogram(case.hu[~mask])])
            pooled[name] += counts
            per_case[name].append(best_interval_dice(*counts))
            if not any(mask.take((0, -1), axis).any() for axis in range(3)):
                volume_ml[name].append(mask.sum() * np.prod(case.spacing_mm) / 1000)
    print(f"{num_cases} cases of {shape}: median {np.median(seconds):.2f} CPU seconds a case, files not counted\n")
    print(f"{'organ':<14}{'cases':>6}{'threshold Dice':>16}{'pooled':>8}{'volume mL':>14}  published")
    for name in LABELS:
        ml = np.array(volume_ml[name] or [np.nan])
        volume = f"{ml.mean():.0f} ± {ml.std():.0f}"
        print(
            f"{name:<14}{len(per_case[name]):>6}{np.mean(per_case[name] or [np.nan]):>16.3f}"
            f"{best_interval_dice(*pooled[name]):>8.3f}{volume:>14}  {PUBLISHED_ML.get(name, '')}"
        )


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 20,
        tuple(int(n) for n in (sys.argv[2] if len(sys.argv) > 2 else "128x128x96").split("x")),
    )
