"""Assignment of patients to parts by shares, or to folds: seeded, balanced, and stable when patients are added."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True)
class Patient:
    """The properties of a patient that the assignment balances.

    Attributes:
        name: `<source>/<patient>`.
        group: For example, the scanner; may be empty.
        classes: Organs that the patient's cases show, as class indices.
    """

    name: str
    group: str = ""
    classes: frozenset[int] = frozenset()

    @property
    def source(self) -> str:
        """The data set."""
        return self.name.split("/")[0]


def assign_parts(
    patients: Sequence[Patient], shares: Mapping[str, float], rest: str, seed: int, fixed: Mapping[str, str]
) -> dict[str, str]:
    """Part of every patient: each part gets its share of every source, spread over the source's groups.

    The result depends on the seed and the patients' names only, not on their order or on other sources.

    Args:
        patients: The patients to assign.
        shares: Share of each part, rounded to whole patients of a source.
        rest: The part of all other patients.
        seed: Seed of the assignment.
        fixed: Parts of patients who are assigned already.
    """
    part_of = {p.name: fixed[p.name] for p in patients if p.name in fixed}
    for source in dict.fromkeys(p.source for p in patients):
        in_source = sorted((p for p in patients if p.source == source), key=lambda p: _random_key(p, seed))
        for part, share in shares.items():
            taken = sum(part_of.get(p.name) == part for p in in_source)
            free = [p for p in in_source if p.name not in part_of]
            groups = Counter(p.group for p in free)
            for group, quota in _apportion(groups, round(len(in_source) * share) - taken):
                in_group = [p for p in free if p.group == group]
                for patient in in_group[:quota]:
                    part_of[patient.name] = part
    return {p.name: part_of.get(p.name, rest) for p in patients}


def assign_folds(patients: Sequence[Patient], folds: int, seed: int, fixed: Mapping[str, int]) -> dict[str, int]:
    """Fold of every patient. Folds have equal shares of each source, and of its groups and sets of organs.

    Patients are assigned one after the other. Each goes to the fold with the fewest patients of the same source, group
    and organs; among several such folds, to the one with the fewest patients of the source. Other sources do not
    matter.

    Args:
        patients: The patients to assign.
        folds: Number of folds.
        seed: Seed of the assignment.
        fixed: Folds of patients who are assigned already.
    """
    fold_of = {p.name: fixed[p.name] for p in patients if p.name in fixed}
    by_kind: dict[tuple[object, ...], Counter[int]] = defaultdict(Counter)
    by_source: dict[str, Counter[int]] = defaultdict(Counter)
    for patient in sorted(patients, key=lambda p: (p.name not in fold_of, _kind(p), _random_key(p, seed))):
        kinds, sizes = by_kind[_kind(patient)], by_source[patient.source]
        smallest = min(range(folds), key=lambda fold: (kinds[fold], sizes[fold], fold))
        fold = fold_of.setdefault(patient.name, smallest)
        kinds[fold] += 1
        sizes[fold] += 1
    return fold_of


def _kind(patient: Patient) -> tuple[str, str, tuple[int, ...]]:
    return patient.source, patient.group, tuple(sorted(patient.classes))


def _random_key(patient: Patient, seed: int) -> bytes:
    return blake2b(f"{seed}:{patient.name}".encode()).digest()


def _apportion(sizes: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    """Divide a number in proportion to sizes, by largest remainders; ties by name.

    For example, 3 of groups with 5 and 4 patients are 2 and 1. The number is limited to 0 … the sum of the sizes.
    """
    whole = sum(sizes.values())
    number = max(0, min(number, whole))
    exact = {name: number * size / whole for name, size in sorted(sizes.items())}
    quotas = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: quotas[name] - exact[name])
    for name in by_remainder[: number - sum(quotas.values())]:
        quotas[name] += 1
    return list(quotas.items())
