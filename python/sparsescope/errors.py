"""One error class with a kind, as in the C++ libraries: the command line alone maps kinds to exit codes.

A message names the file, the place, what was expected and what was found.
"""


class SparsescopeError(Exception):
    """What a user can mend: a wrong argument, a broken file, something not supported here."""

    exit_code = 1
    kind = "internal"


class UsageError(SparsescopeError):
    exit_code = 2
    kind = "usage"


class DataError(SparsescopeError):
    exit_code = 3
    kind = "data"


class UnsupportedError(SparsescopeError):
    exit_code = 4
    kind = "unsupported"
