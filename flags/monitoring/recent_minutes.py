"""The last ten minutes of a whole service: the sum of its workers' counts, for the live page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flags.monitoring.recent_counts import (
    BINS_PER_OCTAVE,
    SLOT,
    SLOTS,
    AlarmCounts,
    AnswerCounts,
    Recent,
)
from flags.pairing.assignment import Side


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles of the durations of one side's successful calls, in seconds; None without calls."""

    n: int
    """Number of calls."""
    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, durations: Mapping[int, int]) -> "Latency":
        """Return the quantiles of durations that are counted by bin."""
        return cls(sum(durations.values()), _quantile(durations, 0.5), _quantile(durations, 0.95))


@dataclass(frozen=True, slots=True)
class Minutes:
    """The last ten minutes of a whole service, including the current slot."""

    begins: int
    """Unix time of the first slot."""
    slot: int
    """Seconds."""
    primary: tuple[int, ...]
    candidate: tuple[int, ...]
    """Number of answers in each slot, by side."""
    pairs: int
    fallbacks: int
    failed: Mapping[str, int]
    shed: Mapping[str, int]
    """Number of pairs by side."""
    alarms: Mapping[str, AlarmCounts]
    """By output, since the last change of the flag's rollout or thresholds."""
    compared: Mapping[str, AnswerCounts]
    """Likewise, of outputs without alarms."""
    latency: Mapping[str, Latency]
    """By side."""
    models: Mapping[str, tuple[str, ...]]
    """Model tags by side; several during a deployment."""

    @classmethod
    def of(cls, workers: Sequence[Recent], now: float) -> "Minutes":
        """Return the sum of the workers' counts."""
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
    """Return the middle of the quantile's bin, in seconds."""
    left = share * sum(durations.values())
    for number, count in sorted(durations.items()):
        left -= count
        if left <= 0:
            return float(2 ** ((number + 0.5) / BINS_PER_OCTAVE))
    return None
