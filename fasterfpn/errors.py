"""The one exception that a command line turns into a single line and exit status 2."""


class InputError(ValueError):
    """The user's input cannot be used: the message says what, which file, and what to do, in one line."""
