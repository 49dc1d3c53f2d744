"""The error for mistakes that the user can fix, and the words of errors of libraries."""


class UserError(ValueError):
    """Something in the input, the files or the configuration is wrong.

    The message is one or two sentences: what is wrong, the value or file, and what to do. Commands print it without a
    traceback and exit with code 2.
    """


def reason_of(error: BaseException) -> str:
    """What the error of a library says, in one line of at most 200 characters.

    An error that another one caused, as exporters and compilers raise, is replaced by its first cause. Without a
    message, the answer is the name of its type.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    words = " ".join(str(error).split())
    printable = "".join(character for character in words if character.isprintable())
    return printable[:200] or type(error).__name__
