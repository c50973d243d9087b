"""The whole evidence on one window."""

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
    """How the distribution of one recorded feature differs from the training data (PSI, KS)."""

    feature: str
    """Name of the feature."""
    pairs: int
    """Pairs in which the feature is recorded, missing values included."""
    missing: int
    """Of these, the pairs whose value is missing."""
    psi: float | None
    """Population stability index against the training data."""
    ks: float | None
    """Largest difference of the two distribution functions, from 0 to 1."""
    model: str
    """Tag of the model with which the reference distribution is stored."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All evidence on one window: its pairs, labels, outcomes and operational alarms."""

    source: str
    """Where the pairs come from: a folder, a file or the URL of a table."""
    window: Window
    integrity: Integrity
    health: Health
    outputs: tuple[Output, ...]
    """The outputs that are numbers: scores with their alarms, and distributions."""
    drift: tuple[Drift, ...]
    """By recorded feature, the drift against the training data."""
    notes: tuple[str, ...]
    """Remarks on the data, in words: clock skew, mixed models, torn lines, ..."""
    operational_alarms: tuple[OperationalAlarmHistory, ...] = ()
    """By operational alarm of the playbook, its states in this window."""
    outcomes: tuple[OutcomeMetric, ...] = ()
    """By metric, over all rollouts at which both sides answered."""
    labels_by_side: OutcomeMetric | None = None
    """The labels, counted as outcomes: the truth must not depend on the side that answered."""
    labels: GivenLabels | None = None
    """None if no labels were given."""
    preferences: tuple[PreferenceEvidence, ...] = ()
    """One for each output whose texts were judged."""
    unknown_preferences: Count | None = None
    """Of the given preferences, those that belong to no pair; None if none were given."""
    answers: tuple[AnswerEvidence, ...] = ()
    """Outputs other than scores; a number is in `outputs` too, for its distribution."""

    @property
    def compared(self) -> int:
        """Count the compared outputs of all kinds."""
        outputs = {each.name for each in self.outputs} | {each.name for each in self.answers}
        return len(outputs | {each.output for each in self.preferences if each.output})

    @property
    def sharing(self) -> int:
        """Count the outputs that divide an error rate; judged texts without an output are one."""
        texts = any(each.kind == "text" for each in self.answers)
        unnamed = any(each.output is None for each in self.preferences)
        return self.compared + (unnamed and not texts)
