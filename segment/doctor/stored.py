"""Check the labels of a training run with the rules of `segment doctor`, using the measurements in the store."""

import logging
from collections.abc import Iterable, Sequence

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.sides import warn_of_sides
from segment.anatomy.structure import Structure
from segment.data.store.volume import StoredVolume
from segment.doctor.finding import Finding
from segment.doctor.plausibility import check_structures
from segment.doctor.shared import merge_shared
from segment.errors import UserError

log = logging.getLogger(__name__)

SHOWN = 3  # cases named in a sentence


def check_labels(volumes: Iterable[StoredVolume], anatomy: Anatomy, mode: str) -> None:
    """Log warnings about implausible labels, and refuse them if `segment doctor` would report errors.

    Args:
        volumes: All cases of a run.
        anatomy: The configured anatomy.
        mode: `refuse`, `warn`, which logs errors as warnings, or `ignore`, which skips the check.

    Raises:
        UserError: When there are errors and the mode is `refuse`.
    """
    if mode == "ignore":
        return
    found: list[Finding] = []
    names: list[str] = []
    organs: dict[str, None] = {}
    for volume in volumes:
        names.append(volume.id)
        structures = {organ: Structure(**values) for organ, values in volume.meta["places"].items()}
        found += check_structures(volume.id, structures, anatomy)
        organs |= dict.fromkeys(structures)
    warn_of_sides(list(organs), anatomy)
    findings = merge_shared(found, names)
    errors = [finding for finding in findings if finding.severity == "error" and mode == "refuse"]
    for sentence in _sentences([finding for finding in findings if finding not in errors]):
        log.warning("%s", sentence)
    if errors:
        msg = (
            f"labels do not fit the anatomy: {' · '.join(_sentences(errors))}. segment doctor shows the cases; exclude "
            "them with data.exclude=[…], or train on them anyway with label_check=warn"
        )
        raise UserError(msg)


def _sentences(findings: Sequence[Finding]) -> list[str]:
    """Return one sentence for each check and organ, with the first cases."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.check, finding.organ), []).append(finding)
    return [_sentence(group) for group in groups.values()]


def _sentence(group: Sequence[Finding]) -> str:
    cases: list[str] = []
    for finding in group:
        cases += finding.cases
    more = f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
    numbers = f" (the numbers are from {group[0].case})" if len(group) > 1 else ""
    return f"{', '.join(cases[:SHOWN])}{more}: {group[0].what}{numbers}; {group[0].remedy}"
