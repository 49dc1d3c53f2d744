"""Names of structures: from the names in a data set to the names in the configuration."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from segment.errors import UserError
from segment.io.label_codes import Codes, normalise_name

Names = Mapping[str, str | None]

OTHER = "other"  # name for the codes of structures that are left out


def rename_structures(theirs: Collection[str], names: Names, where: str) -> dict[str, str | None]:
    """Map the names of a data set's structures to the names to use.

    Names are compared in their normalised form (`normalise_name`), in which `Right Kidney` is `right_kidney`.

    Args:
        theirs: Names in the data set.
        names: The configured mapping from names in the data set to names to use. None leaves a structure out. A name
            that is not in the mapping is kept in its normalised form.
        where: File that lists the names, for errors.

    Returns:
        Name to use by name in the data set; None if the structure is left out.

    Raises:
        UserError: When the mapping has a name that the data set lacks, or two names of the data set have the same
            normalised form.
    """
    forms = Counter(normalise_name(name) for name in theirs)
    twice = [form for form, count in forms.items() if count > 1]
    if twice:
        msg = f"{where} names {twice[0]!r} more than once, in spellings that are treated as equal; rename one"
        raise UserError(msg)
    unknown = [name for name in names if normalise_name(name) not in forms]
    if unknown:
        msg = f"names declares {unknown[0]!r}, which {where} does not have: it has {', '.join(theirs)}; correct names"
        raise UserError(msg)
    declared: dict[str, str | None] = {}
    for name, new in names.items():
        declared[normalise_name(name)] = None if new is None else normalise_name(new)
    return {name: declared.get(normalise_name(name), normalise_name(name)) for name in theirs}


def rename_codes(theirs: Codes, names: Names, where: str) -> dict[str, list[int]]:
    """Codes by the names to use; structures with the same new name are merged.

    The codes of structures that are left out become `other`, unless a structure that stays has the same code. For
    example, a code may belong both to a kidney and to a tumour in it.

    Args:
        theirs: Code or codes by the names in the data set, without background.
        names: As in `rename_structures`.
        where: File that lists the names, for errors.

    Raises:
        UserError: As `rename_structures`, and when two structures that stay share a code.
    """
    new_names = rename_structures(theirs, names, where)
    owner: dict[int, str] = {}  # by code that stays: its name in the data set
    left_out: set[int] = set()
    codes: dict[str, list[int]] = {}
    for name, new in new_names.items():
        if new is None:
            left_out.update(_as_list(theirs[name]))
            continue
        for code in _as_list(theirs[name]):
            if new != new_names[owner.setdefault(code, name)]:
                msg = (
                    f"{where} gives the code {code} to the regions {owner[code]} and {name}; keep one of them and "
                    f"leave the other out, as in names={{{name}: null}}"
                )
                raise UserError(msg)
            if code not in codes.setdefault(new, []):
                codes[new].append(code)
    other = sorted(left_out - set(owner))
    if other:
        codes[OTHER] = sorted({*codes.get(OTHER, []), *other})
    return codes


def _as_list(value: int | Sequence[int]) -> Sequence[int]:
    return value if isinstance(value, Sequence) else [value]
