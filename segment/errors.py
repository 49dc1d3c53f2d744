"""The one error that a user, not a programmer, has to mend."""


class UserError(ValueError):
    """Something in the input, the files or the configuration is wrong.

    The message is one sentence or two: what is wrong, the value or file, what to do. Doors print it without a
    traceback and exit with code 2.
    """
