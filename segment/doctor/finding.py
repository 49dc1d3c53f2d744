"""One thing that a data set's owner should know, or mend."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from segment.errors import UserError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")  # worst first


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        case: Case id; several, or the data set's source, where it is about more than one case.
        check: What was checked, in one or two words; the same for all findings of this kind.
        severity: An error spoils training or scores; a warning is right in rare cases only; a note is worth knowing.
        what: What is wrong, with the value.
        remedy: How to fix it, one imperative sentence.
        organ: The one organ that it is about, if it is about one.
    """

    case: str
    check: str
    severity: Severity
    what: str
    remedy: str
    organ: str = ""

    def __str__(self) -> str:
        """Check and organ, in as few words as fit under a picture."""
        return f"{self.organ} {self.check}".strip()


def refusal(case: str, check: str, error: UserError, remedy: str = "") -> Finding:
    """What an error says, `<what>; <what to do>`, with another remedy where one is given."""
    what, _, own = str(error).rpartition("; ")
    return Finding(case, check, "error", what or own, remedy or (own if what else "correct it"))


def failure(case: str, check: str, what: str, error: Exception) -> Finding:
    """An unexpected error of a check or a picture, which is a bug or lies in the files."""
    remedy = "look at the files; if they are in order, report this as a bug"
    return Finding(case, check, "error", f"{what}: {type(error).__name__}: {error}", remedy)


@contextmanager
def failures(findings: list[Finding], case: str, what: str) -> Iterator[None]:
    """Add an error of any kind to the findings and go on after the block: the other findings must not be lost.

    Args:
        findings: What was found so far.
        case: What the block is about, as in `Finding`.
        what: What failed; the start of the sentence.
    """
    try:
        yield
    except Exception as error:  # a bug in a check
        findings.append(failure(case, "failed", what, error))


def by_case(findings: Sequence[Finding]) -> Mapping[str, Sequence[Finding]]:
    """Findings of each case, in their order; one that is about several cases is among those of each."""
    of: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        for name in finding.case.split(", "):
            of[name].append(finding)
    return of


def worst(findings: Sequence[Finding]) -> Severity | None:
    """The worst severity; None where nothing was found."""
    found = {finding.severity for finding in findings}
    return next((severity for severity in SEVERITIES if severity in found), None)
