"""The sections of all outputs that are not scores."""

from comparison.report.kinds.preferences import preference_section
from comparison.report.kinds.section import Section
from flags.gate.evidence import Evidence
from flags.pairing.kinds import registry


def sections(evidence: Evidence) -> tuple[Section, ...]:
    """Return a section for each output that is not a score, and for each judged text output."""
    modules = registry.layer("comparison.report.kinds")
    return (
        *(modules[each.kind].section(each) for each in evidence.answers),
        *(preference_section(each) for each in evidence.preferences),
    )
