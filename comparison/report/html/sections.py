"""The sections of the page: each has a heading, a template, and data for the template.

A section without content is left out of the page and of its table of contents.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; `template` is a file in `templates`, which gets this as `section`.

    `view` is the data for the template, `about` the name of the output, shown beside the title.
    """

    anchor: str
    title: str
    template: str
    view: Any
    about: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The sections of one output, or sections that are not about an output.

    With several outputs, each group begins with a line that has its `title` and `summary`; a folded
    group shows only this line until it is opened.
    """

    anchor: str
    title: str
    sections: tuple[Section, ...]
    summary: str = ""
    is_folded: bool = False
    is_named: bool = False
    """Whether the line with title and summary is shown."""
