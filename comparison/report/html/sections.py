"""The sections of the page: each has a heading, a template, and what the template shows.

A section without content is not made, so that neither the page nor its table of contents has it.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Section:
    """Hold one part of the page; `template` is a file of `templates`, which gets it as `section`.

    `view` is what it shows, `about` an output's name, below `title` in the table of contents.
    """

    anchor: str
    title: str
    template: str
    view: Any
    about: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Hold the sections of one output, or of what is not about one.

    Of several outputs each has a line with its name and `summary`; a folded one shows no more until
    it is opened.
    """

    anchor: str
    title: str
    sections: tuple[Section, ...]
    summary: str = ""
    is_folded: bool = False
    is_named: bool = False
    """Whether the line is shown."""
