"""Names of structures: what a data set calls them, and what we call them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from segment.errors import UserError
from segment.io.label_codes import Codes, plain

Names = Mapping[str, str | None]

OTHER = "other"  # the codes of structures that are left out


def our_names(theirs: Collection[str], names: Names, where: str) -> dict[str, str | None]:
    """Our name of every structure of a data set.

    Args:
        theirs: Its names.
        names: Their name: ours, as the configuration declares them; None leaves the structure out. A name that is not
            declared is kept, in its plain form.
        where: What lists the names, for errors.

    Returns:
        Ours by theirs, None where a structure is left out.

    Raises:
        UserError: When a declared name is not theirs, or two of theirs have the same plain form.
    """
    forms = Counter(plain(name) for name in theirs)
    if twice := [form for form, count in forms.items() if count > 1]:
        msg = f"{where} names {twice[0]!r} more than once, in spellings that mean the same here; rename one"
        raise UserError(msg)
    declared = {plain(name): None if ours is None else plain(ours) for name, ours in names.items()}
    if unknown := [name for name in names if plain(name) not in forms]:
        msg = f"names declares {unknown[0]!r}, which {where} does not have: it has {', '.join(theirs)}; correct names"
        raise UserError(msg)
    return {name: declared.get(plain(name), plain(name)) for name in theirs}


def our_codes(theirs: Codes, names: Names, where: str) -> dict[str, list[int]]:
    """Codes by our names; structures that get the same name are merged.

    The codes of what is left out become `other`, unless they belong to a structure that stays: nested regions.

    Args:
        theirs: Code or codes by the data set's own names, background left out.
        names: As in `our_names`.
        where: What lists the names, for errors.

    Raises:
        UserError: As `our_names`, and when two structures that stay share a code.
    """
    ours = our_names(theirs, names, where)
    owner: dict[int, str] = {}  # their name of every code that stays
    codes: dict[str, list[int]] = {}
    for name, new in ours.items():
        if new is None:
            continue
        for code in _listed(theirs[name]):
            if new != ours[owner.setdefault(code, name)]:
                msg = (
                    f"{where} gives the code {code} to the regions {owner[code]} and {name}; keep one of them and "
                    f"leave the other out, as in names={{{name}: null}}"
                )
                raise UserError(msg)
            if code not in codes.setdefault(new, []):
                codes[new].append(code)
    left_out = {code for name, new in ours.items() if new is None for code in _listed(theirs[name])}
    if rest := sorted(left_out - set(owner)):
        codes[OTHER] = sorted({*codes.get(OTHER, []), *rest})
    return codes


def _listed(value: int | Sequence[int]) -> Sequence[int]:
    return value if isinstance(value, Sequence) else [value]
