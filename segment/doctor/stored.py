"""What `segment train` says of labels, by the rules and in the words of `segment doctor`, out of the store."""

import logging
from collections.abc import Iterable, Sequence

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.place import Place
from segment.data.store.volume import StoredVolume
from segment.doctor.finding import Finding
from segment.doctor.judge import check_places
from segment.doctor.shared import shared
from segment.errors import UserError

log = logging.getLogger(__name__)

SHOWN = 3  # cases named in a sentence


def check_labels(volumes: Iterable[StoredVolume], anatomy: Anatomy, mode: str) -> None:
    """Warn of labels that do not fit the anatomy, and refuse them where `segment doctor` finds errors.

    Args:
        volumes: All cases of a run.
        anatomy: What is plausible.
        mode: `refuse`; or `warn`, which turns the refusal into warnings, or `ignore`, which
            leaves the check out.

    Raises:
        UserError: With the errors, unless the mode is another than `refuse`.
    """
    if mode == "ignore":
        return
    found: list[Finding] = []
    names: list[str] = []
    for volume in volumes:
        names.append(volume.id)
        places = {organ: Place(**place) for organ, place in volume.meta["places"].items()}
        found += check_places(volume.id, places, anatomy)
    findings = shared(found, names)
    errors = [finding for finding in findings if finding.severity == "error" and mode == "refuse"]
    for sentence in _sentences([finding for finding in findings if finding not in errors]):
        log.warning("%s", sentence)
    if errors:
        msg = (
            f"labels do not fit the anatomy: {' · '.join(_sentences(errors))}. segment doctor shows the cases; leave "
            "them out by data.exclude=[…], or train on them all the same by label_check=warn"
        )
        raise UserError(msg)


def _sentences(findings: Sequence[Finding]) -> list[str]:
    """One sentence for each check and organ, with its first cases."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.check, finding.organ), []).append(finding)
    return [_sentence(group) for group in groups.values()]


def _sentence(group: Sequence[Finding]) -> str:
    cases = [name for finding in group for name in finding.case.split(", ")]
    more = f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
    numbers = f" (the numbers are of {group[0].case})" if len(group) > 1 else ""
    return f"{', '.join(cases[:SHOWN])}{more}: {group[0].what}{numbers}; {group[0].remedy}"
