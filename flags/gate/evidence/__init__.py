"""The evidence on one step: counts and figures of the pairs of a window.

`comparison` computes it from pairs and from readings of operational alarms; `flags.gate` reads it.
Counts are given with all cells of their table, so that the gate can compute confidence sequences
from them. Each module has one subject; `evidence.Evidence` contains all of them.
"""

from flags.gate.evidence.answers import AnswerEvidence, AnswerPart, PartRole
from flags.gate.evidence.counts import UNWRITTEN, Count, Interval, Paired, UnitShare, is_written
from flags.gate.evidence.evidence import Drift, Evidence
from flags.gate.evidence.health import DURATION_EDGES, Durations, Health, Minute, UnitHealth
from flags.gate.evidence.integrity import Integrity, Sampled, UnclosedRecord
from flags.gate.evidence.operational import AlarmPeriod, AlarmState, OperationalAlarmHistory
from flags.gate.evidence.outcomes import NoveltyCount, OutcomeCell, OutcomeMetric, RatioSoFar
from flags.gate.evidence.outputs import (
    RANKED,
    Distribution,
    Flip,
    Output,
    Period,
    SegmentAlarms,
    Tail,
    UnitAlarms,
)
from flags.gate.evidence.preferences import PreferenceEvidence, UnitPreference
from flags.gate.evidence.quality import (
    Calibration,
    GivenLabels,
    LabelledCell,
    Labelling,
    Quality,
    Reliability,
    SideQuality,
    UnitRecall,
)
from flags.gate.evidence.window import Gap, Window

__all__ = [
    "DURATION_EDGES",
    "RANKED",
    "UNWRITTEN",
    "AlarmPeriod",
    "AlarmState",
    "AnswerEvidence",
    "AnswerPart",
    "Calibration",
    "Count",
    "Distribution",
    "Drift",
    "Durations",
    "Evidence",
    "Flip",
    "Gap",
    "GivenLabels",
    "Health",
    "Integrity",
    "Interval",
    "LabelledCell",
    "Labelling",
    "Minute",
    "NoveltyCount",
    "OperationalAlarmHistory",
    "OutcomeCell",
    "OutcomeMetric",
    "Output",
    "Paired",
    "PartRole",
    "Period",
    "PreferenceEvidence",
    "Quality",
    "RatioSoFar",
    "Reliability",
    "Sampled",
    "SegmentAlarms",
    "SideQuality",
    "Tail",
    "UnclosedRecord",
    "UnitAlarms",
    "UnitHealth",
    "UnitPreference",
    "UnitRecall",
    "UnitShare",
    "Window",
    "is_written",
]
