"""Checks of the labels themselves: which output they are about."""

from collections.abc import Iterator

from flags.gate.checks.integrity import plain
from flags.gate.evidence import Evidence
from flags.gate.verdict import Check, Outcome


def label_checks(evidence: Evidence) -> Iterator[Check]:
    """Yield a check that holds where labels were given that no output can use."""
    given, names = evidence.labels, [each.name for each in evidence.outputs]
    if given is None or len(names) < 2 or any(each.labelling for each in evidence.outputs):
        return
    reason = (
        f"no label is used: the column {', '.join(given.columns)} does not say which of the "
        f"outputs {', '.join(names)} it is about; name it label.{names[0]}, for example"
    )
    yield plain("label_outputs", Outcome.INCONCLUSIVE, given.requests, reason)
