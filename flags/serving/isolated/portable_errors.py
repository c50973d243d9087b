"""Errors in a form that can be pickled, whatever they are."""

import pickle
import traceback
from typing import NamedTuple


class UnportableError(NamedTuple):
    """What is left of an error that cannot be pickled, or not unpickled."""

    kind: str
    words: str
    trace: str

    def restored(self) -> Exception:
        """Return an error of the same name that says the same."""
        error: Exception = type(self.kind, (RuntimeError,), {})(self.words)
        error.add_note(self.trace)
        return error


def portable(error: BaseException) -> BaseException | UnportableError:
    """Return `error` as it can travel, with its traceback as a note."""
    trace = "".join(traceback.format_exception(error)).rstrip()
    try:
        error.add_note(trace)
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        return UnportableError(type(error).__name__, _words(error), trace)
    return error


def restored(error: BaseException | UnportableError | None) -> BaseException | None:
    """Return an error that has travelled."""
    return error.restored() if isinstance(error, UnportableError) else error


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # its own __str__ fails
        return "an error without words"
