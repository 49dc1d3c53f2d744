"""What can be known about a ranking without training: whether it finds the CTs with low Dice, and covers all kinds.

`rank.py evidence` prints it for synthetic trunks, whose labels only score the ranking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from results import ORGANS
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from segment.checkpoint.load_ensemble import Ensemble, load
from segment.curve.candidate import Candidate, assess, dice_of_missing
from segment.curve.descriptor import similarity
from segment.curve.kept import kept
from segment.curve.ranking import Ranking
from segment.datasets.cases import Case
from segment.datasets.sources.phantom import Phantom
from segment.files import file_sha256
from segment.inference.engines.choose import AUTO, MANY_CTS, choose
from segment.inference.outputs.default_anatomy import default_anatomy
from segment.phantom.field_of_view import sample_field_of_view
from segment.phantom.patient import sample_patient

DRAWS = 2000  # random choices that are compared with


@dataclass
class Trunk:
    """A synthetic CT of the pool.

    Attributes:
        name: Its id.
        kind: Part of the body and contrast phase.
        dice: True Dice by organ; NaN if it is in neither mask nor label.
        seen: What the ranking knows, by whether it uses the calibration.
    """

    name: str
    kind: tuple[str, str]
    dice: dict[str, float]
    seen: dict[bool, Candidate] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean true Dice."""
        return float(np.nanmean(list(self.dice.values())))


def evidence(checkpoint: str, root: Path, out: Path, seed: int, count: int, shape: Sequence[int]) -> None:
    """Rank the first CTs of a synthetic data set, and print how the ranking compares with the truth.

    Args:
        checkpoint: As in `segment curve`.
        root: Folder of synthetic data sets.
        out: What was computed is kept below it.
        seed: Of the data set.
        count: Number of CTs.
        shape: Their voxels.
    """
    trained = load(checkpoint)
    choose(AUTO, AUTO, False).equip([member.segmenter for member in trained.members], MANY_CTS)
    cases = Phantom(root, count, seed, shape, workers=2).cases("phantom")
    trunks = []
    for number, case in enumerate(cases):
        trunks.append(_look(case, _kind(seed, number, shape), trained, out))
        print(f"{number + 1}/{count} {case.id}: Dice {trunks[-1].mean:.3f}", flush=True)
    by_basis = {True: "calibration", False: "the network's own expectation"}
    bases = [calibrated for calibrated in by_basis if trained.calibrated.calibration is not None or not calibrated]
    _print_agreement(trunks, {by_basis[one]: one for one in bases})
    for calibrated in bases:
        _print_choices(trunks, calibrated, f"by {by_basis[calibrated]}")


def _kind(seed: int, index: int, shape: Sequence[int]) -> tuple[str, str]:
    """Part of the body and phase of a case, as `synthesise_case` samples them."""
    patient_rng, position_rng, *_ = (np.random.default_rng(s) for s in np.random.SeedSequence((seed, index)).spawn(4))
    patient = sample_patient(patient_rng)
    return sample_field_of_view(patient, tuple(shape), position_rng).scan, patient.phase


def _look(case: Case, kind: tuple[str, str], trained: Ensemble, out: Path) -> Trunk:
    """Segment a CT, or take what an earlier start has found out."""

    def compute() -> dict:
        scan = case.read()
        label = case.label.read(scan, case.image, trained.organs)
        segmented = trained.segmenter.segment(scan, exact=False, doubted=trained.organs)
        dice = {}
        for index, organ in enumerate(trained.organs, start=1):
            mask, reference = segmented.mask == index, label == index
            size = np.count_nonzero(mask) + np.count_nonzero(reference)
            dice[organ] = 2 * np.count_nonzero(mask & reference) / size if size else None
        known = {"dice": dice}
        for word, calibration in (("calibrated", trained.calibrated.calibration), ("own", None)):
            known[word] = assess(scan, segmented, trained.organs, default_anatomy(), calibration).to_plain()
        return known

    calibration = trained.calibrated.path
    judges = [trained.network_sha256, file_sha256(calibration) if calibration is not None else None]
    found = kept(out / "evidence", [case.id, case.image.parent.parent.name, judges], compute)
    dice = {organ: np.nan if value is None else value for organ, value in found["dice"].items()}
    seen = {True: Candidate.from_plain(found["calibrated"]), False: Candidate.from_plain(found["own"])}
    return Trunk(case.id, kind, dice, seen)


def _print_agreement(trunks: Sequence[Trunk], bases: dict[str, bool]) -> None:
    """How the predicted Dice compares with the true one."""
    table = Table("predicted by", "of", "number", "mean absolute error", "Spearman", title="predicted and true Dice")
    for words, calibrated in bases.items():
        of_missing = dice_of_missing(one.seen[calibrated] for one in trunks)
        pairs = [
            (one.seen[calibrated].organs[organ].dice, one.dice[organ])
            for one in trunks
            for organ in ORGANS
            if one.seen[calibrated].organs[organ].dice is not None and not np.isnan(one.dice[organ])
        ]
        means = [(one.seen[calibrated].dice(of_missing), one.mean) for one in trunks]
        for of, values in (("organs", pairs), ("CTs", means)):
            predicted, true = np.array(values).T
            rank = spearmanr(predicted, true).statistic
            table.add_row(words, of, str(len(values)), f"{np.abs(predicted - true).mean():.3f}", f"{rank:.2f}")
    Console(width=120).print(table)


def _print_choices(trunks: Sequence[Trunk], calibrated: bool, words: str) -> None:
    """What the first CTs of the ranking are, against other choices of as many."""
    candidates = {one.name: one.seen[calibrated] for one in trunks}
    ranking = Ranking.of(candidates, {}, ORGANS)
    ranked = [place.index for place in ranking.places]
    predicted = np.array([one.dice(ranking.of_missing) for one in candidates.values()])
    descriptors = [one.descriptor for one in candidates.values()]
    alike = similarity(descriptors, descriptors)
    by_dice, worst = list(np.argsort(predicted, kind="stable")), list(np.argsort([one.mean for one in trunks]))
    random = [list(np.random.default_rng(draw).permutation(len(trunks))) for draw in range(DRAWS)]
    table = Table("CTs", "chosen by", "true Dice", "kinds", "nearest chosen CT", title=f"the first CTs {words}")
    for k in (count for count in (3, 5, 10, 20) if count < len(trunks)):
        for name, orders in (
            ("ranking", [ranked]),
            ("predicted Dice alone", [by_dice]),
            ("true Dice (cannot be known)", [worst]),
            ("random", random),
        ):
            figures = np.mean([_figures(trunks, alike, order[:k]) for order in orders], axis=0)
            dice, kinds, near = figures
            table.add_row(str(k), name, f"{dice:.3f}", f"{kinds:.1f}", f"{near:.3f}")
    Console(width=120).print(table)


def _figures(trunks: Sequence[Trunk], alike: np.ndarray, chosen: Sequence[int]) -> tuple[float, int, float]:
    """Mean true Dice of chosen CTs, how many kinds they are, and mean similarity of all CTs to the nearest of them."""
    dice = float(np.mean([trunks[index].mean for index in chosen]))
    kinds = len({trunks[index].kind for index in chosen})
    return dice, kinds, float(alike[:, chosen].max(axis=1).mean())
