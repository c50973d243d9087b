"""The last ten minutes of a whole service: what its workers counted, added up for the live page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flags.monitoring.recent_counts import SLOT, SLOTS, WIDTHS, AlarmCounts, AnswerCounts, Recent
from flags.pairing.assignment import Side


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations of one side's answers that were ok, in seconds; None without any."""

    n: int
    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, durations: Mapping[int, int]) -> "Latency":
        """Take the quantiles of counted durations."""
        return cls(sum(durations.values()), _quantile(durations, 0.5), _quantile(durations, 0.95))


@dataclass(frozen=True, slots=True)
class Minutes:
    """The last ten minutes of a whole service, up to and with the present slot."""

    begins: int
    """Unix time of the first slot."""
    slot: int
    """Seconds."""
    primary: tuple[int, ...]
    candidate: tuple[int, ...]
    """Answers by side, one number a slot."""
    pairs: int
    fallbacks: int
    failed: Mapping[str, int]
    shed: Mapping[str, int]
    """By side."""
    alarms: Mapping[str, AlarmCounts]
    """Since the flag is as it is: at its rollout and with its thresholds."""
    compared: Mapping[str, AnswerCounts]
    """Likewise, of outputs that have no alarms."""
    latency: Mapping[str, Latency]
    """By side."""
    models: Mapping[str, tuple[str, ...]]
    """By side: more than one tag while a deployment is in progress."""

    @classmethod
    def of(cls, workers: Sequence[Recent], now: float) -> "Minutes":
        """Add up what the workers counted."""
        begins = int(now) // SLOT * SLOT - (SLOTS - 1) * SLOT
        answers = {side: [0] * SLOTS for side in Side}
        alarms: dict[str, AlarmCounts] = {}
        compared: dict[str, AnswerCounts] = {}
        durations: dict[str, Counter[int]] = {side: Counter() for side in Side}
        slots = [
            (position, slot)
            for worker in workers
            for slot in worker.slots
            if 0 <= (position := (slot.begins - begins) // SLOT) < SLOTS
        ]
        for position, slot in slots:
            for side, counted in ((Side.PRIMARY, slot.primary), (Side.CANDIDATE, slot.candidate)):
                answers[side][position] += counted.answers
                durations[side].update(counted.durations)
            for output, counts in slot.alarms.items():
                total = alarms.setdefault(output, AlarmCounts())
                total.pairs += counts.pairs
                total.primary += counts.primary
                total.candidate += counts.candidate
            for output, answered in slot.answers.items():
                compared.setdefault(output, AnswerCounts(answered.kind)).add(answered)
        return cls(
            begins=begins,
            slot=SLOT,
            primary=tuple(answers[Side.PRIMARY]),
            candidate=tuple(answers[Side.CANDIDATE]),
            pairs=sum(slot.pairs for _, slot in slots),
            fallbacks=sum(slot.fallbacks for _, slot in slots),
            failed={
                "primary": sum(slot.primary.failed for _, slot in slots),
                "candidate": sum(slot.candidate.failed for _, slot in slots),
            },
            shed={
                "primary": sum(slot.primary.shed for _, slot in slots),
                "candidate": sum(slot.candidate.shed for _, slot in slots),
            },
            alarms=alarms,
            compared=compared,
            latency={side: Latency.of(durations[side]) for side in Side},
            models={
                side: tuple(sorted({w.models[side] for w in workers if side in w.models}))
                for side in ("primary", "candidate")
            },
        )


def _quantile(durations: Mapping[int, int], share: float) -> float | None:
    """Return the middle of the width in which the quantile is, in seconds."""
    left = share * sum(durations.values())
    for width, count in sorted(durations.items()):
        left -= count
        if left <= 0:
            return float(2 ** ((width + 0.5) / WIDTHS))
    return None
