"""All that is known of one window."""

from dataclasses import dataclass

from flags.gate.evidence.answers import AnswerEvidence
from flags.gate.evidence.counts import Count
from flags.gate.evidence.health import Health
from flags.gate.evidence.integrity import Integrity
from flags.gate.evidence.operational import OperationalAlarmHistory
from flags.gate.evidence.outcomes import OutcomeMetric
from flags.gate.evidence.outputs import Output
from flags.gate.evidence.preferences import PreferenceEvidence
from flags.gate.evidence.quality import GivenLabels
from flags.gate.evidence.window import Window


@dataclass(frozen=True, slots=True)
class Drift:
    """Describe how one recorded feature differs from the training reference (PSI, KS)."""

    feature: str
    pairs: int
    missing: int
    psi: float | None
    ks: float | None
    model: str
    """Tag of the model that the reference is stored with."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold everything that is known of one window: its pairs, and what was asked meanwhile."""

    source: str
    window: Window
    integrity: Integrity
    health: Health
    outputs: tuple[Output, ...]
    drift: tuple[Drift, ...]
    notes: tuple[str, ...]
    """What was noticed on the way, in words: clock skew, mixed models, torn lines, ..."""
    operational: tuple[OperationalAlarmHistory, ...] = ()
    outcomes: tuple[OutcomeMetric, ...] = ()
    """By metric, over all rollouts at which both sides answered."""
    labels_by_side: OutcomeMetric | None = None
    """The labels, taken as outcomes: the truth must not depend on who answered."""
    labels: GivenLabels | None = None
    """None where none were given."""
    preferences: tuple[PreferenceEvidence, ...] = ()
    """By output whose texts were judged."""
    unknown_preferences: Count | None = None
    """Of the preferences that were given, those of no pair; None where none were."""
    answers: tuple[AnswerEvidence, ...] = ()
    """Outputs by kind, other than scores; a number is in `outputs` too, for its distribution."""

    @property
    def compared(self) -> int:
        """Count the outputs that are compared, of every kind: they share error rates."""
        outputs = {each.name for each in self.outputs} | {each.name for each in self.answers}
        return len(outputs | {each.output for each in self.preferences if each.output})

    @property
    def sharing(self) -> int:
        """Count what shares an error rate: the outputs, and judged texts that name none."""
        texts = any(each.kind == "text" for each in self.answers)
        unnamed = any(each.output is None for each in self.preferences)
        return self.compared + (unnamed and not texts)
