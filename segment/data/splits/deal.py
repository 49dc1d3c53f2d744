"""Dealing patients out: to parts by shares, or to folds; seeded, balanced, and without moving who has a place."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True)
class Patient:
    """What dealing balances.

    Attributes:
        name: `<source>/<patient>`.
        group: Such as the scanner; may be empty.
        classes: Organs that the patient's cases show, as class indices.
    """

    name: str
    group: str = ""
    classes: frozenset[int] = frozenset()

    @property
    def source(self) -> str:
        """The data set."""
        return self.name.split("/")[0]


def deal_parts(
    patients: Sequence[Patient], shares: Mapping[str, float], rest: str, seed: int, fixed: Mapping[str, str]
) -> dict[str, str]:
    """Part of every patient: each part gets its share of every source, spread over the source's groups.

    Hangs on the seed and the names alone, not on the order of patients or on other sources.

    Args:
        patients: Whom to deal.
        shares: Share of each part, rounded to whole patients of a source.
        rest: The part of all others.
        seed: Another seed, other parts.
        fixed: Part of patients that have one already.
    """
    part_of = {p.name: fixed[p.name] for p in patients if p.name in fixed}
    for source in dict.fromkeys(p.source for p in patients):
        of_source = sorted((p for p in patients if p.source == source), key=lambda p: _rank(p, seed))
        for part, share in shares.items():
            taken = sum(part_of.get(p.name) == part for p in of_source)
            free = [p for p in of_source if p.name not in part_of]
            for group, quota in _apportion(Counter(p.group for p in free), round(len(of_source) * share) - taken):
                part_of |= {p.name: part for p in [p for p in free if p.group == group][:quota]}
    return {p.name: part_of.get(p.name, rest) for p in patients}


def deal_folds(patients: Sequence[Patient], folds: int, seed: int, fixed: Mapping[str, int]) -> dict[str, int]:
    """Fold of every patient; folds have equal shares of each source, and of its groups and sets of organs.

    One after the other, each patient goes to the fold that has fewest of its kind, and of these to the one that has
    fewest of its source. Other sources do not matter.

    Args:
        patients: Whom to deal.
        folds: How many.
        seed: Another seed, other folds.
        fixed: Fold of patients that have one already.
    """
    fold_of = {p.name: fixed[p.name] for p in patients if p.name in fixed}
    of_kind: dict[tuple[object, ...], Counter[int]] = defaultdict(Counter)
    of_source: dict[str, Counter[int]] = defaultdict(Counter)
    for patient in sorted(patients, key=lambda p: (p.name not in fold_of, _kind(p), _rank(p, seed))):
        counts, sizes = of_kind[_kind(patient)], of_source[patient.source]
        fold = fold_of.setdefault(patient.name, min(range(folds), key=lambda f: (counts[f], sizes[f], f)))
        counts[fold] += 1
        sizes[fold] += 1
    return fold_of


def _kind(patient: Patient) -> tuple[str, str, tuple[int, ...]]:
    return patient.source, patient.group, tuple(sorted(patient.classes))


def _rank(patient: Patient, seed: int) -> bytes:
    return blake2b(f"{seed}:{patient.name}".encode()).digest()


def _apportion(sizes: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    """A number parted in proportion to sizes, by largest remainders, ties by name; no more than there are."""
    whole = sum(sizes.values())
    number = max(0, min(number, whole))
    exact = {name: number * size / whole for name, size in sorted(sizes.items())}
    quotas = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: quotas[name] - exact[name])[: number - sum(quotas.values())]:
        quotas[name] += 1
    return list(quotas.items())
