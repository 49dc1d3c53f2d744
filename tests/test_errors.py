import pytest

from segment.errors import reason_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no\n  such\tlayer"), "no such layer"),
        (ValueError("\x1b[96mstep 1\x1b[0m"), "[96mstep 1[0m"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_the_words_of_an_error_fit_in_a_message(error, words):
    assert reason_of(error) == words


def test_the_first_cause_is_the_reason():
    with pytest.raises(RuntimeError) as caught:  # noqa: PT012
        try:
            try:
                int("x")
            except ValueError as error:
                raise TypeError from error
        except TypeError as error:
            msg = "step 2 of 3 failed"
            raise RuntimeError(msg) from error
    assert reason_of(caught.value).startswith("invalid literal for int()")
