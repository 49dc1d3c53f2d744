"""Which option was meant."""

import difflib
from collections.abc import Collection, Iterable

CLOSE = 0.75  # of 1: how alike two names are that one may be a misspelling of the other


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """The dotted key that was most likely meant; None if none is like it.

    A key whose last names are those given comes first (`max_epochs` → `trainer.max_epochs`), the one with the fewest
    names before others; then one that is spelt nearly so in the same place; then one whose last name is.
    """
    keys = sorted(known, key=lambda other: (other.count("."), len(other), other))
    for other in keys:
        if f".{other}".lower().endswith(f".{key}".lower()):
            return other
    parent, _, name = key.rpartition(".")
    beside = {other.rpartition(".")[2]: other for other in keys if other.rpartition(".")[0] == parent}
    if close := nearest_word(name, beside):
        return beside[close]
    by_name: dict[str, str] = {}
    for other in keys:
        by_name.setdefault(other.rpartition(".")[2], other)
    close = nearest_word(name, by_name)
    return by_name[close] if close else None


def nearest_word(word: str, known: Collection[str]) -> str | None:
    """The word that is spelt nearly so, whatever its case; None if there is none."""
    by_lower = {other.lower(): other for other in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=CLOSE)
    return by_lower[found[0]] if found else None
