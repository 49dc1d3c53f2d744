"""Codes that label files hold, known by their places: what they probably mean, and which public table they follow."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.fit import misfits
from segment.anatomy.place import Place, together
from segment.datasets.sources.names import OTHER
from segment.datasets.split_sides import Sides
from segment.doctor.finding import Finding
from segment.doctor.judge import EXCHANGE_GAIN
from segment.io.label_codes import Codes

MANY = 20  # codes that a sentence lists
RECOGNISED = 3.0  # mean misfit of an organ; a table of other organs has 5 and more


@dataclass(frozen=True)
class Table:
    """What codes mean in a public data set.

    Attributes:
        name: The data set.
        codes: Code or codes by structure.
        sides: Structures drawn under one code for both sides, with the names of the right and the left one.
    """

    name: str
    codes: Codes
    sides: Sides = field(default_factory=dict)

    def named(self, found: Collection[int]) -> Mapping[str, Sequence[int]]:
        """Those of the codes found that each structure has, by its name."""
        own = {name: [value] if isinstance(value, int) else value for name, value in self.codes.items()}
        shown = {name: [code for code in codes if code in found] for name, codes in own.items()}
        return {name: codes for name, codes in shown.items() if codes}


def public_tables(conf: Path, others: Mapping[str, Codes]) -> list[Table]:
    """Tables of the data sets in `conf/data` that state all their codes, and others.

    Args:
        conf: Folder of the configuration.
        others: Code or codes by structure, by data set.
    """
    tables = [Table(name, codes) for name, codes in others.items()]
    for path in sorted((conf / "data").glob("*.yaml")):
        document: Any = OmegaConf.to_container(OmegaConf.load(path))
        for node in document.get("sources", {}).values():
            codes = node.get("label_codes")
            if isinstance(codes, dict) and codes and OTHER not in codes:  # layouts leave the codes to the user
                tables.append(Table(f"data={path.stem}", codes, node.get("sides") or {}))
    return tables


def best_table(
    cases: Sequence[Mapping[int, Place]], tables: Sequence[Table], anatomy: Anatomy
) -> tuple[Sequence[str], Mapping[str, Sequence[int]]]:
    """The public tables that name every code and fit the codes' places best, and what these make of the codes.

    Args:
        cases: Places of the codes of every case.
        tables: To choose from.
        anatomy: The facts.

    Returns:
        Names of tables that mean the same by the codes found, and these codes by structure; empty when none fits.
    """
    found = {code for case in cases for code in case}
    fits: list[tuple[float, str, Mapping[str, Sequence[int]]]] = []
    for table in tables:
        named = table.named(found)
        costs = [cost for case in cases for cost in structure_misfits(case, named, anatomy).values()]
        if costs and found == {code for codes in named.values() for code in codes}:
            fits.append((float(np.mean(costs)), table.name, named))
    best = min(fits, default=None, key=lambda fit: fit[0])
    if best is None or best[0] > RECOGNISED:
        return [], {}
    return [name for _, name, named in fits if named == best[2]], best[2]


def structure_misfits(
    case: Mapping[int, Place], named: Mapping[str, Sequence[int]], anatomy: Anatomy
) -> Mapping[str, float]:
    """Misfit of every structure of one case whose place is known in `anatomy.centre_mm`."""
    there = {
        name: together([case[code] for code in codes if code in case])
        for name, codes in named.items()
        if name in anatomy.centre_mm and any(code in case for code in codes)
    }
    if not there:
        return {}
    costs = misfits(list(there.values()), list(there), anatomy, list(there))
    return dict(zip(there, np.diag(costs).tolist(), strict=True))


def check_codes(
    source: str,
    cases: Sequence[Mapping[int, Place]],
    declared: Codes,
    tables: Sequence[Table],
    anatomy: Anatomy,
    is_option: bool = True,
) -> Iterator[Finding]:
    """Codes of which a public table makes other organs, which fit much better than those declared.

    Args:
        source: The data set's source.
        cases: Places of the codes of every case.
        declared: Code or codes by structure, as the configuration has them; empty: nothing is declared.
        tables: Public ones.
        anatomy: The facts.
        is_option: Whether the source takes `label_codes`; others have their codes from the data set's own description.
    """
    found = sorted({code for case in cases for code in case})
    if not found:
        return
    names, public = best_table(cases, tables, anatomy)
    sides = {name: both for table in tables if table.name in names for name, both in table.sides.items()}
    shown = ", ".join(map(str, found[:MANY])) + " …" * (len(found) > MANY)
    remedy = _remedy(source, public, sides, is_option) if public else _to_be_named(source, shown, is_option)
    if not declared:
        what = f"label_codes says nothing of the {len(found)} code(s) {shown}"
        what += f"; they lie and measure as in the table of {' and '.join(names)}" if names else ""
        yield Finding(source, "label codes", "error", what, remedy + " and look at the contact sheet")
        return
    own = Table("", declared).named(found)
    theirs = {codes[0]: name for name, codes in public.items() if len(codes) == 1}
    moved = dict(sorted((codes[0], name) for name, codes in own.items() if _is_other(name, codes, theirs, anatomy)))
    gains = [_gain(case, own, public, moved, anatomy) for case in cases if set(moved) & set(case)]
    if moved and np.mean(gains) > EXCHANGE_GAIN * len(moved):
        lie = ", ".join(f"{code} lies where {theirs[code]} lies, not {name}" for code, name in moved.items())
        what = f"{lie}; so it is in the table of {' and '.join(names)}"
        yield Finding(source, "label codes", "error", what, remedy)


def _is_other(name: str, codes: Sequence[int], theirs: Mapping[int, str], anatomy: Anatomy) -> bool:
    return len(codes) == 1 and name in anatomy.centre_mm and theirs.get(codes[0], name) != name


def _gain(
    case: Mapping[int, Place],
    own: Mapping[str, Sequence[int]],
    public: Mapping[str, Sequence[int]],
    moved: Mapping[int, str],
    anatomy: Anatomy,
) -> float:
    """By how much the misfit of the codes that mean something else falls with the public table."""
    costs = defaultdict(float, structure_misfits(case, own, anatomy))
    others = defaultdict(float, structure_misfits(case, public, anatomy))
    name_of = {code: name for name, codes in public.items() for code in codes}
    return sum(costs[name] - others[name_of[code]] for code, name in moved.items())


def _to_be_named(source: str, shown: str, is_option: bool) -> str:
    """What to do about codes that follow no public table: nothing can be pasted."""
    where = f"data.sources.{source}.label_codes" if is_option else "the data set's own description"
    return f"name each code ({shown}) in {where}, by the volume and the place that are listed for it,"


def _remedy(source: str, named: Mapping[str, Sequence[int]], sides: Sides, is_option: bool) -> str:
    values = {name: str(codes[0]) if len(codes) == 1 else str(list(codes)) for name, codes in named.items()}
    codes = ", ".join(f"{name}: {value}" for name, value in values.items())
    if not is_option:
        return f"correct the codes in the data set's own description: {codes}"
    pairs = ", ".join(f"{name}: [{', '.join(both)}]" for name, both in sides.items() if name in named)
    more = f" 'data.sources.{source}.sides={{{pairs}}}'" if pairs else ""
    return f"pass 'data.sources.{source}.label_codes={{{codes}}}'{more}"
