"""The error for mistakes that the user can fix."""


class UserError(ValueError):
    """Something in the input, the files or the configuration is wrong.

    The message is one or two sentences: what is wrong, the value or file, and what to do. Commands print it without a
    traceback and exit with code 2.
    """
