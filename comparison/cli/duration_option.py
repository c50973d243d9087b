"""Take a duration such as `30s` or `5m` as the value of an option."""

from datetime import timedelta
from typing import Any

import click

from flags.playbook.durations import duration, duration_text


class DurationOption(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Take a number with a unit (d, h, m, s, ms), `least` or more."""

    name = "duration"

    def __init__(self, least: timedelta = timedelta(0)) -> None:
        self._least = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the duration."""
        try:
            found = duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if found < self._least:
            self.fail(f"{value} is too short: {duration_text(self._least)} at least", param, ctx)
        return found
