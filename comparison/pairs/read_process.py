"""A process that reads pair files for another one: `python -m comparison.pairs.read_process`.

It takes pickles of (path, progress) from stdin, and answers each on stdout by a pickle of what it
read, or of the error. It ends with its input: when the other process has ended, too.
"""

import os
import pickle
import signal
import sys
from contextlib import suppress
from pathlib import Path

from comparison.pairs.file_reads import FileRead, read
from comparison.pairs.read_counts import Progress
from comparison.pairs.spans.lines import SpanLines


def main() -> None:
    """Answer until there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asks ends this one
    with os.fdopen(os.dup(1), "wb") as answers, suppress(BrokenPipeError, EOFError):
        os.dup2(2, 1)  # what anything prints is no answer
        span_lines = SpanLines()
        while True:
            path, progress = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own
            pickle.dump(_answer(path, progress, span_lines), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _answer(path: Path, progress: Progress, span_lines: SpanLines) -> FileRead | Exception:
    try:
        found = read(path, progress, span_lines)
        found.tables = list(found.tables)
    except Exception as error:  # it is raised where the file was asked for
        return error
    found.counts.span_lines = SpanLines()  # patterns are no answer
    return found


if __name__ == "__main__":
    main()
