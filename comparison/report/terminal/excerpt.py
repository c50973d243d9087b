"""Terminal output in sections, which are shortened if together they exceed LINES lines."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console

from flags.gate.number_format import plural

LINES: Final = 59
"""Lines that a command prints at most, for any number of outputs, segments and metrics."""

ELSEWHERE: Final = "--html and --json have all"
"""The hint where the omitted lines are."""

_MIN_LINES: Final = 4
"""Lines of a section that are always kept, if it has so many."""

Section = Callable[[Console], None]


def print_sections(
    console: Console,
    sections: Sequence[Section],
    most: int = LINES,
    favoured: Sequence[Section] = (),
    expendable: Section | None = None,
    elsewhere: str = ELSEWHERE,
) -> None:
    """Print sections in order, in `most` lines: the longest are shortened, and say by how much.

    To find the longest, the lines of `favoured` sections count half, and those of the `expendable`
    section three times. `elsewhere` is the hint where the omitted lines are.
    """
    lines = [_lines(console, section) for section in sections]
    weights = [
        0.5 if section in favoured else 3.0 if section is expendable else 1.0
        for section in sections
    ]
    kept = _kept_lines([len(each) for each in lines], weights, most)
    for section_lines, count in zip(lines, kept, strict=True):
        shown = section_lines
        if count < len(section_lines):
            omitted = len(section_lines) - count + 1
            more = f"... and {plural(omitted, 'more line')}: {elsewhere}"
            shown = [*section_lines[: count - 1], more]
        for line in shown:
            console.file.write(f"{line}\n")


def _lines(console: Console, section: Section) -> list[str]:
    with console.capture() as captured:
        section(console)
    return [line.rstrip() for line in captured.get().splitlines()]


def _kept_lines(lengths: list[int], weights: list[float], most: int) -> list[int]:
    """Remove a line at a time from the longest section, of equal ones the first, until all fit."""
    kept = list(lengths)
    while sum(kept) > most:
        longest = max(range(len(kept)), key=lambda index: (kept[index] * weights[index], -index))
        if kept[longest] <= _MIN_LINES:
            break
        kept[longest] -= 1
    return kept
