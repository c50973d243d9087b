"""The evidence and the verdict as one self-contained HTML page.

There is no script in it, and a content security policy forbids what a hostile string could try.
Everything that is printed is escaped (Jinja2's autoescape), and control characters are replaced.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from comparison.evidence.number_format import (
    number,
    p_value,
    percent,
    printable,
    ratio,
    seconds,
    signed,
    span,
)
from comparison.judgement.judgement import Judgement
from comparison.judges.examples import TextExample
from comparison.report.headline import headline
from comparison.report.html.facts import facts
from comparison.report.html.figures import (
    LONGEST_TEXT,
    brief,
    moment,
    percent_interval,
    psi_mark,
    ratio_interval,
    signed_interval,
    thresholds,
)
from comparison.report.html.groups import groups, output_views
from flags.gate.evidence import Evidence
from flags.gate.verdict import Decision

_ICONS: Final = {Decision.ADVANCE: "▲", Decision.HOLD: "❚❚", Decision.ROLLBACK: "▼"}


def render(
    evidence: Evidence,
    judgement: Judgement | None = None,
    examples: Sequence[TextExample] = (),
) -> str:
    """Return the page; without a judgement it shows the evidence and decides nothing.

    `examples` are judged texts to read: they are on the page and nowhere else.
    """
    outputs = output_views(evidence, judgement)
    page: str = (
        _environment()
        .get_template("report.html.j2")
        .render(
            evidence=evidence,
            window=evidence.window,
            judgement=judgement,
            headline=headline(evidence, judgement) if judgement else None,
            icon=_ICONS[judgement.verdict.decision] if judgement else "",
            facts=list(facts(evidence, judgement, outputs)),
            groups=list(groups(evidence, judgement, outputs, examples)),
        )
    )
    return page


def _clean(value: Any) -> Any:
    """Replace control characters in whatever the templates print."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("comparison.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    environment.filters |= {
        "brief": brief,
        "text": partial(brief, most=LONGEST_TEXT),
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
    }
    return environment
