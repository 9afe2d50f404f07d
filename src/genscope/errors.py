"""The few ways genscope refuses: each error is one sentence that says what is wrong, where, and what to do.

Exit codes of the command line follow the class: an input error ends with 1, a usage error with 2.
"""


class GenscopeError(Exception):
    """Base of every error genscope raises on purpose; its text is a sentence for a person."""

    exit_code = 1


class CorruptInput(GenscopeError):
    """The bytes contradict themselves or the format: truncated, overlapping, impossible sizes."""


class ChangedInput(CorruptInput):
    """The file was written to or replaced while it was read: nothing of it may be mixed into one result."""


class UnsafeInput(GenscopeError):
    """Reading on would leave the given folder, run code, or trust a name that must not be trusted."""


class UnsupportedInput(GenscopeError):
    """Well formed, but not something genscope reads; the sentence says what would help."""


class LimitExceeded(GenscopeError):
    """A declared size is beyond a configured limit; the sentence names the limit and the option that raises it."""


class PartialResult(GenscopeError):
    """Some of what was asked for is missing; the sentence lists it."""


class StoreError(GenscopeError):
    """A directory of results cannot be read, resumed or written as asked."""


class UsageError(GenscopeError):
    """The call itself is wrong: an unknown measure, an impossible option."""

    exit_code = 2
