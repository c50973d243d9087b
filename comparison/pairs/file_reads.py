"""Pair files read into tables: one after the other in this process, or in parallel by others."""

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

MIN_BYTES_PER_PROCESS: Final = 2**30
"""Bytes of lines that justify starting a process: 4 s of reading against 0.5 s for the start."""
MAX_WHOLE_BYTES: Final = 2**28
"""A file with up to this many bytes of lines is read by another process as a whole; a larger one
is read in this process, a part at a time."""
_READ_AHEAD: Final = 2
"""Files that are read ahead or queued, besides one per process: this bounds the memory."""
_COMPRESSION_RATIO: Final = 20
"""Approximate size of the lines of a compressed file, relative to the file."""


@dataclass(slots=True)
class FileRead:
    """The new part of a file. `progress` and `counts` are final once `tables` has been iterated.

    `begin` is the byte at which reading began.
    """

    path: Path
    begin: int
    progress: Progress
    counts: ReadCounts
    tables: Iterable[Table]


def read(path: Path, progress: Progress, span_lines: SpanLines) -> FileRead:
    """Read a file from `progress` on, lazily: it is read as `tables` is iterated."""
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
    """Read each file from its progress on, in order, with up to `jobs` processes.

    Little data is read in this process, since another one takes half a second to start. Raises
    PairsUnreadableError, CompactionError if a process ends.
    """
    span_lines = SpanLines()
    sizes = [_size(path, progress) for path, progress in files]
    processes = min(jobs, len(files), sum(sizes) // MIN_BYTES_PER_PROCESS)
    if processes < 2:
        yield from (read(path, progress, span_lines) for path, progress in files)
        return
    with _Readers(processes) as readers:
        ahead: deque[Callable[[], FileRead]] = deque()
        for (path, progress), size in zip(files, sizes, strict=True):
            is_small = size <= MAX_WHOLE_BYTES
            ahead.append(
                readers.read(path, progress)
                if is_small
                else partial(read, path, progress, span_lines)
            )
            if len(ahead) > processes + _READ_AHEAD:
                yield ahead.popleft()()
        while ahead:
            yield ahead.popleft()()


def _size(path: Path, progress: Progress) -> int:
    """Estimate how many bytes of lines are new in a file."""
    try:
        size = path.stat().st_size
    except OSError:  # the writer removed it, or it cannot be read: reading it reports that
        return 0
    return max(size * (_COMPRESSION_RATIO if compression_of(path) else 1) - progress.taken, 0)


class _Readers:
    """A pool of processes that read files, with a waiting thread for each.

    They are not started by `multiprocessing`: it would import the main module, BentoML's command
    line, in each process, and leaves them running when this process is killed. These processes end
    when their input does.
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
        """Let a process read a file; return a function that waits for the result."""
        return self._threads.submit(self._read, path, progress).result

    def _read(self, path: Path, progress: Progress) -> FileRead:
        process = self._idle.get()
        try:
            result: FileRead | Exception = _ask(process, (path, progress))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise CompactionError(
                f"{path}: the process that read it has ended ({process.wait()}); nothing of this "
                "run counts. Where memory is short, take fewer --jobs"
            ) from error
        finally:
            self._idle.put(process)
        if isinstance(result, Exception):
            raise result
        return result


def _ask(process: "subprocess.Popen[bytes]", request: Any) -> Any:
    """Send a request to a process, and return its answer."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
    pickle.dump(request, process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)  # noqa: S301 - our own
