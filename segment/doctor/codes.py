"""Check what the codes in label files mean: compare their positions with the organs of public code tables."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.fit import misfit_matrix
from segment.anatomy.structure import Structure, merge_structures
from segment.datasets.sources.names import OTHER
from segment.datasets.split_sides import Sides
from segment.doctor.finding import Finding
from segment.doctor.plausibility import EXCHANGE_GAIN
from segment.io.label_codes import Codes

MANY = 20  # codes listed in a sentence
RECOGNISED = 3.0  # largest mean misfit of a table that fits; a table of other organs has 5 and more

NamedCodes = Mapping[str, Sequence[int]]  # codes by structure


@dataclass(frozen=True)
class Table:
    """The meaning of the codes in a public data set.

    Attributes:
        name: The data set.
        codes: Code or codes by structure.
        sides: Structures with one code for both sides, with the names of the right and the left one.
    """

    name: str
    codes: Codes
    sides: Sides = field(default_factory=dict)

    def named(self, found: Collection[int]) -> NamedCodes:
        """Return the codes that were found, by structure. Structures without such codes are left out."""
        named: dict[str, Sequence[int]] = {}
        for name, value in self.codes.items():
            codes = [value] if isinstance(value, int) else value
            present = [code for code in codes if code in found]
            if present:
                named[name] = present
        return named


def public_tables(conf: Path, others: Mapping[str, Codes]) -> list[Table]:
    """Return the tables of the data sets in `conf/data` that declare all their codes, and further tables.

    Args:
        conf: Folder of the configuration.
        others: Further tables: code or codes by structure, by data set.
    """
    tables = [Table(name, codes) for name, codes in others.items()]
    for path in sorted((conf / "data").glob("*.yaml")):
        document: Any = OmegaConf.to_container(OmegaConf.load(path))
        for node in document.get("sources", {}).values():
            codes = node.get("label_codes")
            if isinstance(codes, dict) and codes and OTHER not in codes:  # some sources leave the codes to the user
                tables.append(Table(f"data={path.stem}", codes, node.get("sides") or {}))
    return tables


def best_table(
    cases: Sequence[Mapping[int, Structure]], tables: Sequence[Table], anatomy: Anatomy
) -> tuple[Sequence[str], NamedCodes]:
    """Find the public table that names every code found and fits the positions of the codes best.

    Args:
        cases: Structures of every case, by code.
        tables: The tables to choose from.
        anatomy: The configured anatomy.

    Returns:
        Names of the tables that agree on the codes found, and these codes by structure. Both are empty if no table
        fits.
    """
    found = {code for case in cases for code in case}
    fits: list[tuple[float, str, NamedCodes]] = []
    for table in tables:
        named = table.named(found)
        costs: list[float] = []
        for case in cases:
            costs += structure_misfits(case, named, anatomy).values()
        if costs and found == {code for codes in named.values() for code in codes}:
            fits.append((float(np.mean(costs)), table.name, named))
    best = min(fits, default=None, key=lambda fit: fit[0])
    if best is None or best[0] > RECOGNISED:
        return [], {}
    return [name for _, name, named in fits if named == best[2]], best[2]


def structure_misfits(case: Mapping[int, Structure], named: NamedCodes, anatomy: Anatomy) -> Mapping[str, float]:
    """Return the misfit of every structure of one case that has an entry in `anatomy.centre_mm`."""
    structures: dict[str, Structure] = {}
    for name, codes in named.items():
        parts = [case[code] for code in codes if code in case]
        if parts and name in anatomy.centre_mm:
            structures[name] = merge_structures(parts)
    if not structures:
        return {}
    costs = misfit_matrix(list(structures.values()), list(structures), anatomy, list(structures))
    return dict(zip(structures, np.diag(costs).tolist(), strict=True))


def check_codes(
    source: str,
    cases: Sequence[Mapping[int, Structure]],
    declared: Codes,
    tables: Sequence[Table],
    anatomy: Anatomy,
    is_option: bool = True,
) -> Iterator[Finding]:
    """Report codes without a meaning, and codes that fit the organs of a public table much better than those declared.

    Args:
        source: The data set's source.
        cases: Structures of every case, by code.
        declared: Code or codes by structure, as configured. Empty if nothing is declared.
        tables: The public tables.
        anatomy: The configured anatomy.
        is_option: Whether the source has the option `label_codes`. Other sources take the codes from the data set's own
            description.
    """
    found = sorted({code for case in cases for code in case})
    if not found:
        return
    names, public = best_table(cases, tables, anatomy)
    if not declared:
        yield _undeclared(source, found, tables, names, public, is_option)
        return
    own = Table("", declared).named(found)
    public_names = {codes[0]: name for name, codes in public.items() if len(codes) == 1}
    # Declared name by code, for codes to which the public table gives another name.
    moved = dict(
        sorted((codes[0], name) for name, codes in own.items() if _is_other(name, codes, public_names, anatomy))
    )
    gains = [_gain(case, own, public, moved, anatomy) for case in cases if set(moved) & set(case)]
    if moved and np.mean(gains) > EXCHANGE_GAIN * len(moved):
        wrong = ", ".join(f"{code} is where {public_names[code]} should be, not {name}" for code, name in moved.items())
        what = f"{wrong}; the table of {' and '.join(names)} agrees"
        yield Finding(source, "label codes", "error", what, _remedy(source, tables, names, public, is_option))


def _undeclared(
    source: str,
    found: Sequence[int],
    tables: Sequence[Table],
    names: Sequence[str],
    public: NamedCodes,
    is_option: bool,
) -> Finding:
    """Report that no code is declared, and which public table names them."""
    listed = ", ".join(map(str, found[:MANY]))
    if len(found) > MANY:
        listed += " …"
    what = f"label_codes does not name the {len(found)} code(s) {listed}"
    if names:
        what += f"; their positions and volumes fit the table of {' and '.join(names)}"
    if public:
        remedy = _remedy(source, tables, names, public, is_option)
    else:
        where = f"data.sources.{source}.label_codes" if is_option else "the data set's own description"
        remedy = f"name each code ({listed}) in {where}, judging by the volume and position listed for it,"
    return Finding(source, "label codes", "error", what, f"{remedy} and look at the contact sheet")


def _is_other(name: str, codes: Sequence[int], public_names: Mapping[int, str], anatomy: Anatomy) -> bool:
    """Whether a structure with a single code and a known position has another name in the public table."""
    return len(codes) == 1 and name in anatomy.centre_mm and public_names.get(codes[0], name) != name


def _gain(
    case: Mapping[int, Structure], own: NamedCodes, public: NamedCodes, moved: Mapping[int, str], anatomy: Anatomy
) -> float:
    """Return by how much the public table reduces the misfit of the codes that it names differently."""
    own_costs = defaultdict(float, structure_misfits(case, own, anatomy))
    public_costs = defaultdict(float, structure_misfits(case, public, anatomy))
    public_name = {code: name for name, codes in public.items() for code in codes}
    return sum(own_costs[name] - public_costs[public_name[code]] for code, name in moved.items())


def _remedy(source: str, tables: Sequence[Table], names: Sequence[str], public: NamedCodes, is_option: bool) -> str:
    """Return the codes of the public table as an option to paste, or as text if the source has no such option."""
    values = [f"{name}: {codes[0] if len(codes) == 1 else list(codes)}" for name, codes in public.items()]
    codes = ", ".join(values)
    if not is_option:
        return f"correct the codes in the data set's own description: {codes}"
    sides: dict[str, Sequence[str]] = {}
    for table in tables:
        if table.name in names:
            sides |= table.sides
    pairs = ", ".join(f"{name}: [{', '.join(both)}]" for name, both in sides.items() if name in public)
    option = f"pass 'data.sources.{source}.label_codes={{{codes}}}'"
    return f"{option} 'data.sources.{source}.sides={{{pairs}}}'" if pairs else option
