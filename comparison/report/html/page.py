"""The evidence and the verdict as one self-contained HTML page.

The page has no script, and its content security policy blocks any that a hostile string inserts.
All output is escaped (Jinja2's autoescape), and control characters are replaced.
"""

from collections.abc import Sequence
from typing import Final

from comparison.judgement.judgement import Judgement
from comparison.judges.examples import TextExample
from comparison.report.headline import headline
from comparison.report.html.environment import environment
from comparison.report.html.facts import facts
from comparison.report.html.groups import groups, output_views
from flags.export.version import VERSION
from flags.gate.evidence import Evidence
from flags.gate.verdict import Decision

_ICONS: Final = {Decision.ADVANCE: "▲", Decision.HOLD: "❚❚", Decision.ROLLBACK: "▼"}


def render(
    evidence: Evidence,
    judgement: Judgement | None = None,
    examples: Sequence[TextExample] = (),
) -> str:
    """Return the page; without a judgement it shows only the evidence.

    `examples` are judged texts to read; no other report shows them.
    """
    outputs = output_views(evidence, judgement)
    page: str = (
        environment()
        .get_template("report.html.j2")
        .render(
            evidence=evidence,
            version=VERSION,
            window=evidence.window,
            judgement=judgement,
            headline=headline(evidence, judgement) if judgement else None,
            icon=_ICONS[judgement.verdict.decision] if judgement else "",
            facts=list(facts(evidence, judgement, outputs)),
            groups=list(groups(evidence, judgement, outputs, examples)),
        )
    )
    return page
