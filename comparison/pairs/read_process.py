"""A process that reads pair files for another one: `python -m comparison.pairs.read_process`.

It reads pickles of (path, progress) from stdin, and answers each on stdout with a pickle of the
FileRead or of the error. It ends when its input ends, so also when the other process has ended.
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
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the requesting process ends this one
    with os.fdopen(os.dup(1), "wb") as answers, suppress(BrokenPipeError, EOFError):
        os.dup2(2, 1)  # printed text goes to stderr, not between the answers
        span_lines = SpanLines()
        while True:
            path, progress = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own
            pickle.dump(_answer(path, progress, span_lines), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _answer(path: Path, progress: Progress, span_lines: SpanLines) -> FileRead | Exception:
    try:
        result = read(path, progress, span_lines)
        result.tables = list(result.tables)
    except Exception as error:  # the requesting process raises it
        return error
    result.counts.span_lines = SpanLines()  # the patterns stay in this process
    return result


if __name__ == "__main__":
    main()
