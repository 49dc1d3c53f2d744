"""Say how much of a CT was searched for organs."""

from collections.abc import Sequence

from segment.inference.search.organ_search import Search


def describe_searches(searches: Sequence[Search], organs: Sequence[str]) -> str:
    """Number of windows that were run, and why all of them were, if so.

    Args:
        searches: What each network ran; empty if each ran over the whole volume.
        organs: Class i is organs[i-1].

    Returns:
        For example `, 17 of 64 windows`; an empty text if there was no search.
    """
    if not searches:
        return ""
    windows, of = sum(search.windows for search in searches), sum(search.all_windows for search in searches)
    doubtful = sorted({index for search in searches for index in search.doubtful})
    text = f", {windows} of {of} windows"
    if doubtful:
        names = ", ".join(organs[index - 1] for index in doubtful)
        text += f"; searched everywhere, because the coarse pass did not find or confirm: {names}"
    return text
