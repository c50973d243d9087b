"""The Jinja2 environment of the page and its charts, with the filters of the templates.

All output is escaped (autoescape), and control characters are replaced.
"""

from functools import cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from comparison.evidence.number_format import (
    number,
    p_value,
    percent,
    ratio,
    seconds,
    signed,
    span,
    times_interval,
)
from comparison.report.html.figures import (
    MAX_TEXT,
    brief,
    moment,
    percent_interval,
    psi_mark,
    ratio_interval,
    signed_interval,
    thresholds,
)
from flags.printable import printable


def _clean(value: Any) -> Any:
    """Replace control characters in the output of the templates."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment() -> Environment:
    """Return the environment; it is cached, so that templates are compiled once."""
    jinja = Environment(
        loader=PackageLoader("comparison.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    jinja.filters |= {
        "brief": brief,
        "text": partial(brief, most=MAX_TEXT),
        "share": percent,
        "count": lambda count: f"{count:,}",
        "duration": seconds,
        "figure": number,
        "moment": moment,
        "of": lambda count: f"{count.count:,} of {count.total:,}",
        "p_value": p_value,
        "percent": percent,
        "percent_interval": percent_interval,
        "plain": lambda value: f"{value:g}",
        "psi_mark": psi_mark,
        "ratio": ratio,
        "ratio_interval": ratio_interval,
        "signed": signed,
        "signed_interval": signed_interval,
        "span": span,
        "thresholds": thresholds,
        "times_interval": times_interval,
    }
    return jinja
