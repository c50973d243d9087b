"""Pair files read to tables: one after the other here, or several at a time by other processes."""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from comparison.errors import CompactionError
from comparison.pairs.files import read_file
from comparison.pairs.read_counts import Block, Progress, ReadCounts
from comparison.pairs.spans.lines import SpanLines
from comparison.pairs.table import Table
from flags.export.compression import compression_of

WORTH: Final = 2**30
"""Bytes of lines for which a process is worth its start: four seconds of reading for half a one."""
LARGEST: Final = 2**28
"""Bytes of lines of a file that is read as a whole; of a larger one, a part is held at a time."""
_AHEAD: Final = 2
"""Files that have been read, or wait to be, beside one for each process: they bound the memory."""
_TIMES: Final = 20
"""How many times as large as a compressed file its lines are, about."""


@dataclass(slots=True)
class FileRead:
    """What a file held beyond what had been taken: all is known once the tables have been read."""

    path: Path
    begin: int
    progress: Progress
    counts: ReadCounts
    tables: Iterable[Table]


def read(path: Path, progress: Progress, span_lines: SpanLines) -> FileRead:
    """Read a file beyond `progress`, as its tables are asked for."""
    counts = ReadCounts(span_lines=span_lines)
    return FileRead(path, progress.taken, progress, counts, _tables(path, progress, counts))


def _tables(path: Path, progress: Progress, counts: ReadCounts) -> Iterator[Table]:
    for block in read_file(path, counts, progress):
        yield _table(block)
    if counts.row_count:
        yield _table(counts.drain())


def _table(block: Block) -> Table:
    table = Table(texts=True)
    table.add(block)
    return table


def read_files(
    files: Sequence[tuple[Path, Progress]], jobs: int
) -> Generator[FileRead, None, None]:
    """Read files beyond what was taken of each, in their order, by so many processes at most.

    Few bytes are read here: a process takes half a second to start. Raises PairsUnreadableError,
    CompactionError if a process ends.
    """
    span_lines = SpanLines()
    sizes = [_size(path, progress) for path, progress in files]
    processes = min(jobs, len(files), sum(sizes) // WORTH)
    if processes < 2:
        yield from (read(path, progress, span_lines) for path, progress in files)
        return
    with _Readers(processes) as readers:
        ahead: deque[Callable[[], FileRead]] = deque()
        for (path, progress), size in zip(files, sizes, strict=True):
            is_small = size <= LARGEST
            ahead.append(
                readers.read(path, progress)
                if is_small
                else partial(read, path, progress, span_lines)
            )
            if len(ahead) > processes + _AHEAD:
                yield ahead.popleft()()
        while ahead:
            yield ahead.popleft()()


def _size(path: Path, progress: Progress) -> int:
    """Return about how many bytes of lines are new in a file."""
    try:
        size = path.stat().st_size
    except OSError:  # the writer removed it, or it cannot be read: that is told when it is read
        return 0
    return max(size * (_TIMES if compression_of(path) else 1) - progress.taken, 0)


class _Readers:
    """Processes that read files, and a thread for each that waits for it.

    They are programs of their own and not `multiprocessing`'s: that would import the main module,
    BentoML's command line, in each of them, and leaves them behind when this process is killed.
    These end with their input.
    """

    def __init__(self, count: int) -> None:
        command = [sys.executable, "-P", "-m", "comparison.pairs.read_process"]
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=paths)  # noqa: S603 - our own
            for _ in range(count)
        ]
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self._processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> "_Readers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            with suppress(BrokenPipeError):
                process.communicate()

    def read(self, path: Path, progress: Progress) -> Callable[[], FileRead]:
        """Let a process read a file; return what waits for it."""
        return self._threads.submit(self._read, path, progress).result

    def _read(self, path: Path, progress: Progress) -> FileRead:
        process = self._idle.get()
        try:
            found: FileRead | Exception = _answer(process, (path, progress))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise CompactionError(
                f"{path}: the process that read it has ended ({process.wait()}); nothing of this "
                "run counts. Where memory is short, take fewer --jobs"
            ) from error
        finally:
            self._idle.put(process)
        if isinstance(found, Exception):
            raise found
        return found


def _answer(process: "subprocess.Popen[bytes]", asked: Any) -> Any:
    """Ask a process, and return what it answers."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
    pickle.dump(asked, process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)  # noqa: S301 - our own
