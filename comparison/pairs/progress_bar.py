"""A progress bar on stderr, on a terminal or in a notebook, for work that takes over a second."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

AFTER: Final = 1.0
"""Seconds until it is shown."""


@contextmanager
def progress_bar(
    label: str, total: float | None = None, console: Console | None = None
) -> Iterator[Callable[[float], None]]:
    """Show a bar and yield the function that advances it; without `total`, only label and time.

    The bar is removed at the end.
    """
    console = console or Console(stderr=True)
    if not _shows(console):
        yield lambda _: None
        return
    left = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), left)
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task(label, total=total)
    timer = Timer(AFTER, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done: progress.advance(task, done)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


def _shows(console: Console) -> bool:
    # Without ipywidgets, rich would show a warning in the notebook in place of the bar.
    return find_spec("ipywidgets") is not None if console.is_jupyter else console.is_terminal


def files_with_bar(label: str, files: Iterable[Path]) -> Iterator[Path]:
    """Yield files; the bar advances by a file's bytes when the next file is requested."""
    every, console = list(files), Console(stderr=True)
    if not _shows(console):  # then object stores need not be asked for sizes
        yield from every
        return
    sizes = [_size(path) for path in every]
    with progress_bar(label, sum(sizes), console) as advance:
        for path, size in zip(every, sizes, strict=True):
            yield path
            advance(size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # the writer removed its oldest file, or it cannot be read: reading reports it
        return 0
