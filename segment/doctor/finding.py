"""Findings: errors in a data set, and facts that its owner should know."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from segment.datasets.cases import split_ids
from segment.errors import UserError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")  # worst first


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes:
        case: Case id. If the finding is about several cases, their ids separated by commas, or the data set's source.
        check: What was checked, in one or two words. Findings of the same kind have the same text.
        severity: An error harms training or scores. A warning is correct in rare cases only. A note is for information.
        what: What is wrong, with the value.
        remedy: How to fix it, one imperative sentence.
        organ: The organ, if the finding is about a single one.
    """

    case: str
    check: str
    severity: Severity
    what: str
    remedy: str
    organ: str = ""

    @property
    def cases(self) -> list[str]:
        """The ids in `case`."""
        return split_ids(self.case)

    def __str__(self) -> str:
        """Check and organ, short enough to fit under a picture."""
        return f"{self.organ} {self.check}".strip()


def digits(value: float, count: int = 3) -> str:
    """A number with few digits and, below a million, without a power of ten: 4123 gives `4120`, not `4.12e+03`."""
    return f"{float(f'{value:.{count}g}'):g}"


def refusal(case: str, check: str, error: UserError, remedy: str = "") -> Finding:
    """Convert an error with the message `<what>; <what to do>` to a finding.

    Args:
        case: As in `Finding`.
        check: As in `Finding`.
        error: The error.
        remedy: Replaces the error's own remedy, if given.
    """
    what, _, own = str(error).rpartition("; ")
    default = own if what else "correct it"
    return Finding(case, check, "error", what or own, remedy or default)


def failure(case: str, check: str, what: str, error: Exception) -> Finding:
    """Convert an unexpected error of a check or a picture to a finding. Either the code has a bug or a file is odd."""
    remedy = "look at the files; if nothing is wrong with them, report this as a bug"
    return Finding(case, check, "error", f"{what}: {type(error).__name__}: {error}", remedy)


@contextmanager
def failures(findings: list[Finding], case: str, what: str) -> Iterator[None]:
    """Convert an error of any kind in the block to a finding and continue after the block.

    A bug in one check must not cost the findings of the others.

    Args:
        findings: The list that the finding is added to.
        case: What the block is about, as in `Finding`.
        what: What failed: the start of the sentence.
    """
    try:
        yield
    except Exception as error:  # a bug in a check
        findings.append(failure(case, "failed", what, error))


def by_case(findings: Sequence[Finding]) -> Mapping[str, Sequence[Finding]]:
    """Group findings by case, in order. A finding about several cases is listed for each of them."""
    grouped: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        for name in finding.cases:
            grouped[name].append(finding)
    return grouped


def worst(findings: Sequence[Finding]) -> Severity | None:
    """Return the worst severity, or None without findings."""
    found = {finding.severity for finding in findings}
    return next((severity for severity in SEVERITIES if severity in found), None)
