"""When Python looks for garbage: rarely while packages are imported, and never among what they have left."""

import gc

USUAL = gc.get_threshold()
# New objects between two collections. Importing what `segment train` needs makes 850,000.
WHILE_IMPORTING = 1_000_000


def collect_rarely() -> None:
    """Make collections rare until `collect_as_usual` is called.

    Packages make few objects that are garbage, so looking through all of them again and again is a quarter of the time
    that a command takes to start.
    """
    gc.set_threshold(WHILE_IMPORTING, *USUAL[1:])


def collect_as_usual() -> None:
    """Collect garbage as often as before `collect_rarely`, but only among objects made from now on.

    Otherwise every full collection would take a quarter of a second, and in a forked process, for example a worker that
    loads data, it would copy the pages of all imported objects. Without a call of `collect_rarely`, nothing changes.
    """
    if gc.get_threshold()[0] == WHILE_IMPORTING:
        gc.freeze()
        gc.set_threshold(*USUAL)
