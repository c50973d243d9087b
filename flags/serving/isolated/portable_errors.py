"""Errors of any class in a form that can be pickled."""

import pickle
import traceback
from typing import NamedTuple


class UnportableError(NamedTuple):
    """Class name, message and traceback of an error that cannot be pickled or unpickled."""

    kind: str
    message: str
    trace: str

    def restored(self) -> Exception:
        """Return an error with the same class name and message."""
        error: Exception = type(self.kind, (RuntimeError,), {})(self.message)
        error.add_note(self.trace)
        return error


def portable(error: BaseException) -> BaseException | UnportableError:
    """Return `error` in a form that can be pickled, with its traceback as a note."""
    trace = "".join(traceback.format_exception(error)).rstrip()
    try:
        error.add_note(trace)
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        return UnportableError(type(error).__name__, _message(error), trace)
    return error


def restored(error: BaseException | UnportableError | None) -> BaseException | None:
    """Return the original form of an error that came from another process."""
    return error.restored() if isinstance(error, UnportableError) else error


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # its own __str__ fails
        return "an error without words"
