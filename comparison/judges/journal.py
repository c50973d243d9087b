"""The table of preferences to which a judge's run appends.

A row is one question: a prompt, with one of the two answers shown first. A row is written whole or
not at all, so the next run continues where a killed run ended. Columns:

    request_id, output   the pair, and the output whose texts were compared
    first                the side whose answer was shown first: primary or candidate
    preference           preference for the candidate's answer: 1 better, 0 worse, 0.5 tie, or
                         between; empty if the judge failed
    same_model           true if both sides ran the same model: the preference is noise
    judge                name of the judge
    cost, seconds        of all attempts together
    attempts, error      number of attempts, and the class of the last exception
    judged_at            ISO 8601
"""

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from comparison.errors import PreferencesUnreadableError
from flags.files import lock_file

COLUMNS: Final = (
    "request_id",
    "output",
    "first",
    "preference",
    "same_model",
    "judge",
    "cost",
    "seconds",
    "attempts",
    "error",
    "judged_at",
)


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question with its answer or its error."""

    request_id: str
    output: str
    first: str
    preference: float | None
    same_model: bool
    judge: str
    cost: float
    seconds: float
    attempts: int
    error: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return the key that identifies the question."""
        return self.request_id, self.output, self.first

    def row(self) -> list[str]:
        """Return the row of the table, in the order of COLUMNS."""
        known = self.preference is not None
        return [
            self.request_id,
            self.output,
            self.first,
            f"{self.preference:.6g}" if known else "",
            str(self.same_model).lower(),
            self.judge,
            f"{self.cost:.6g}",
            f"{self.seconds:.3f}",
            str(self.attempts),
            self.error,
            datetime.now(UTC).isoformat(timespec="seconds"),
        ]


class Journal:
    """A table of preferences, open to append; it is locked against other runs."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._file = descriptor
        self.rows = self._read()

    def add(self, answered: AnsweredQuestion) -> None:
        """Append a row to the file."""
        _write(self._file, answered.row())
        self.rows.append(answered)

    @property
    def settled(self) -> set[tuple[str, str, str]]:
        """Return the keys of the questions that have an answer."""
        return {each.key for each in self.rows if each.preference is not None}

    @property
    def complete(self) -> set[tuple[str, str]]:
        """Return the pairs that have been judged in both orders."""
        settled = self.settled
        pairs = {key[:2] for key in settled}
        return {each for each in pairs if all((*each, side) in settled for side in SIDES)}

    def _read(self) -> list[AnsweredQuestion]:
        size = os.fstat(self._file).st_size
        content = os.pread(self._file, size, 0)
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # a run was killed while it wrote
            os.ftruncate(self._file, len(whole))
        if not whole:
            _write(self._file, list(COLUMNS))
            return []
        rows = list(csv.reader(io.StringIO(whole.decode("utf-8", "replace"), newline="")))
        if tuple(rows[0]) != COLUMNS:
            raise PreferencesUnreadableError(
                self.path,
                "it is there already, and no table that this command wrote; its columns are "
                f"{', '.join(rows[0])}, not {', '.join(COLUMNS)}: name another file with --out",
            )
        return [self._answered(number, row) for number, row in enumerate(rows[1:], 2) if row]

    def _answered(self, number: int, row: list[str]) -> AnsweredQuestion:
        try:
            *key, preference, same, name, cost, seconds, attempts, error, _ = row
            request, output, first = key
            return AnsweredQuestion(
                request,
                output,
                first,
                float(preference) if preference else None,
                same == "true",
                name,
                float(cost),
                float(seconds),
                int(attempts),
                error,
            )
        except ValueError as problem:
            raise PreferencesUnreadableError(self.path, str(problem), f"row {number}") from None


SIDES: Final = ("primary", "candidate")


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open a table to append to it; an incomplete last row is cut off.

    Raises PreferencesUnreadableError if the file cannot be written, holds something else, or is
    locked by another run.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PreferencesUnreadableError(path, error.strerror or str(error)) from error
    try:
        if not lock_file(file):
            raise PreferencesUnreadableError(path, "another run writes it")
        yield Journal(path, file)
    finally:
        os.close(file)


def _write(file: int, cells: list[str]) -> None:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    data = line.getvalue().encode("utf-8", "replace")
    while data:
        data = data[os.write(file, data) :]
