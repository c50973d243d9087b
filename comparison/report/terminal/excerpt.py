"""Sections of a terminal's output, cut where all of them would be longer than a screen or two."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console

from flags.gate.number_format import plural

LINES: Final = 59
"""Lines that a command prints at most, for any number of outputs, segments and metrics."""

ELSEWHERE: Final = "--html and --json have all"
"""Where the rest is of what a command prints."""

_FEWEST: Final = 4
"""Lines of a section that are kept however long the others are, if it has as many."""

Section = Callable[[Console], None]


def print_sections(
    console: Console,
    sections: Sequence[Section],
    most: int = LINES,
    favoured: Sequence[Section] = (),
    expendable: Section | None = None,
    elsewhere: str = ELSEWHERE,
) -> None:
    """Print sections in their order; the longest are cut until all fit, and say by how much.

    Some may be `favoured`: they are cut as if they had half of their lines; one `expendable`: as if
    it had three times as many. `elsewhere` says where the rest is.
    """
    lines = [_lines(console, section) for section in sections]
    weights = [
        0.5 if section in favoured else 3.0 if section is expendable else 1.0
        for section in sections
    ]
    kept = _kept([len(each) for each in lines], weights, most)
    for written, count in zip(lines, kept, strict=True):
        if count < len(written):
            left = len(written) - count + 1
            more = f"... and {plural(left, 'more line')}: {elsewhere}"
            written = [*written[: count - 1], more]
        for line in written:
            console.file.write(f"{line}\n")


def _lines(console: Console, section: Section) -> list[str]:
    with console.capture() as captured:
        section(console)
    return [line.rstrip() for line in captured.get().splitlines()]


def _kept(lengths: list[int], weights: list[float], most: int) -> list[int]:
    """Take a line at a time off the longest section, the last ones last, until all fit."""
    kept = list(lengths)
    while sum(kept) > most:
        longest = max(range(len(kept)), key=lambda place: (kept[place] * weights[place], -place))
        if kept[longest] <= _FEWEST:
            break
        kept[longest] -= 1
    return kept
