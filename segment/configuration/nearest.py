"""Find the name that a misspelt one probably stands for."""

import difflib
from collections.abc import Collection, Iterable

MIN_SIMILARITY = 0.75  # from 0 to 1; less similar names are not suggested


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """Return the dotted key that was probably meant; None if no key is similar.

    The first of these rules that applies decides; among several keys the one with the fewest parts wins.

    1. The end of a key is what was given: `max_epochs` → `trainer.max_epochs`.
    2. A key of the same node has a similar last part: `trainer.max_epoch` → `trainer.max_epochs`.
    3. Any key has a similar last part: `trainer.batchsize` → `data.batch_size`.
    """
    keys = sorted(known, key=lambda other: (other.count("."), len(other), other))
    for other in keys:
        if f".{other}".lower().endswith(f".{key}".lower()):
            return other
    parent, _, name = key.rpartition(".")
    siblings: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for other in keys:
        other_parent, _, other_name = other.rpartition(".")
        by_name.setdefault(other_name, other)
        if other_parent == parent:
            siblings[other_name] = other
    for candidates in (siblings, by_name):
        close = nearest_word(name, candidates)
        if close:
            return candidates[close]
    return None


def nearest_word(word: str, known: Collection[str]) -> str | None:
    """Return the most similar word, ignoring case; None if no word is similar."""
    by_lower = {other.lower(): other for other in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=MIN_SIMILARITY)
    return by_lower[found[0]] if found else None
