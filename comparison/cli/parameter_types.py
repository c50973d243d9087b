"""The click types of arguments and options: durations, times, places of pairs."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from comparison.cli.refusals import refusals
from comparison.errors import TimeUnreadableError
from comparison.judgement.moment import moment
from flags.playbook.durations import duration, duration_text


class DurationOption(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """A number with a unit (d, h, m, s, ms), at least `least`."""

    name = "duration"

    def __init__(self, least: timedelta = timedelta(0)) -> None:
        self._least = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Parse the duration."""
        try:
            found = duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if found < self._least:
            self.fail(f"{value} is too short: {duration_text(self._least)} at least", param, ctx)
        return found


def moment_option(
    ctx: click.Context, param: click.Parameter, value: str | datetime | None
) -> datetime | None:
    """Parse an ISO 8601 date or time; UTC unless it has an offset."""
    del ctx, param
    try:
        return moment(value)
    except TimeUnreadableError as error:
        raise click.BadParameter(str(error)) from None


class PairsPlace(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """A path, or the URL of an engine's table or of a folder in an object store."""

    name = "place"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Path:
        """Return a URL as text, and anything else as a path."""
        del param, ctx
        return value if isinstance(value, Path) or "://" in value else Path(value)


class FolderPlace(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """A path, or the URL of a folder in an object store."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return a path, or a StorePath for a URL; a ComparisonError becomes a Refusal."""
        from comparison.pairs.stores.folders import SCHEMES, folder_at, is_store

        if isinstance(value, str) and "://" in value and not is_store(value):
            starts = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            scheme = value.partition("://")[0]
            self.fail(f"a folder is a path or begins with {starts}, not {scheme}://", param, ctx)
        with refusals():
            return folder_at(value)
