"""Patients' names, found in the names of cases."""

import re

from segment.errors import UserError


def compile_pattern(option: str, pattern: str | None, groups: int) -> re.Pattern[str] | None:
    """Compile a regular expression from the configuration; None stays None.

    Args:
        option: The option, named in errors.
        pattern: The expression.
        groups: How many groups it must have at least.

    Raises:
        UserError: When it is not a regular expression, or has too few groups.
    """
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        msg = f"{option} {pattern!r} is not a regular expression: {error}; correct it"
        raise UserError(msg) from error
    if compiled.groups < groups:
        msg = f"{option} {pattern!r} has no group; put the part that names the patient in parentheses"
        raise UserError(msg)
    return compiled


def patient_name(case_name: str, pattern: re.Pattern[str] | None) -> str:
    r"""Patient of a case: the first group of a pattern, matched at the start of the case's name.

    For example, `(P\d+)_` finds the patient `P01` in `P01_early`. Without a pattern, the patient is the case's name.

    Raises:
        UserError: When the pattern does not match, or the group is empty.
    """
    if pattern is None:
        return case_name
    match = pattern.match(case_name)
    if match is None or not match.group(1):
        msg = (
            f"patient_pattern {pattern.pattern!r} finds no patient in the name {case_name!r}; correct the pattern or "
            "rename the case"
        )
        raise UserError(msg)
    return match.group(1)
