"""Read the console blocks of the documents: their commands, and what a page prints below each."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.support.markdown import name_of

_BLOCK: Final = re.compile(r"^```(?:console|sh)\n(?P<text>.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the lines that the page prints below it."""

    line: str
    printed: list[str] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """The command as a shell splits it."""
        return shlex.split(self.line, comments=True)

    def agrees_with(self, output: str) -> None:
        """Assert that the output has the printed lines, in this order, up to numbers and tags.

        Lines may be broken elsewhere: that depends on the width of the terminal. One that ends in
        dots goes on in the output.
        """
        rest = f" {' '.join(shape(output))} "
        for line in self.printed:
            wanted = line.removesuffix("...").removesuffix("…")
            end = " " if wanted == line else ""
            _, found, rest = rest.partition(f" {_shape(wanted)}{end}")
            assert found, f"{self.line}: {line!r} is not in its place in:\n{output}"
            rest = f" {rest}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that a curl command sends."""
        named = (value for option, value in pairwise(self.words) if option == "-H")
        return dict(each.split(": ", 1) for each in named)


@dataclass(frozen=True)
class Block:
    """One console block of a page."""

    page: Path
    number: int
    """Position on the page, from 1."""
    commands: list[Command]

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.number}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the console blocks of a page."""
    for number, found in enumerate(_BLOCK.finditer(page.read_text(encoding="utf-8")), 1):
        yield Block(page, number, list(_commands(found["text"])))


def _commands(text: str) -> Iterator[Command]:
    """Yield the commands; a block without a prompt is one command, a script."""
    if not re.search(r"^\$ ", text, re.M):
        yield Command(text)
        return
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.M)[1:]:
        line, *printed = part.splitlines()
        yield Command(line, [each for each in printed if each.strip()])


def shape(output: str) -> list[str]:
    """Return the lines of an output without what differs between two runs."""
    return list(map(_shape, output.splitlines()))


def _shape(line: str) -> str:
    """Cut the version off model tags, and make numbers, runs of spaces and rules alike."""
    line = re.sub(r"\b([\w-]+):[a-z0-9]{12,}\b", r"\1", line)
    line = re.sub(r"\b[0-9a-f]{8}\b", "0", line)
    line = re.sub(r"\[[#.]+\]", "[]", line)
    line = re.sub(r"[+-]?\d[\d,]*(?:\.\d+)?", "0", line)
    return re.sub(r"\s+", " ", re.sub(r"─+", "─", line)).strip()
