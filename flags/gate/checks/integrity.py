"""Checks that the evidence is complete and can be trusted. A failure holds; it never rolls back."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from flags.gate.checks.losses import loss_checks
from flags.gate.checks.window import window_checks
from flags.gate.evidence import Count, Evidence, Output, Sampled
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent
from flags.gate.plain_check import plain
from flags.gate.sequences import ShareSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.model import Playbook, Step

_SHED: Final = Wording("{figure} of the pairs have a side that was shed", percent, " %")
_BATCHES: Final = Wording(
    "{figure} of the shadows scored both in a batch and by themselves differ",
    percent,
    " %",
    wanted="shadows scored both ways",
)


def integrity_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of a step's evidence: is it the right one, enough, and complete?"""
    limits = playbook.gate_of(step).advance
    yield from window_checks(evidence, playbook, step)
    yield from loss_checks(evidence, limits)
    if evidence.window.impossible_times:
        yield _impossible_times(evidence, limits)
    if evidence.window.pairs_without_rollout:
        yield _flag_errors(evidence, limits)
    yield _models(evidence)
    if evidence.integrity.thresholds_since is not None:
        yield _thresholds(evidence, evidence.integrity.thresholds_since)
    if evidence.integrity.noise is not None:
        yield _noise(evidence, limits)
    if (batched := evidence.integrity.batch_disagreement) is not None:
        yield _batches(batched, playbook, limits)
    if (sampled := evidence.integrity.sampled) is not None:
        yield _sampling(sampled, limits)
    yield _sample_ratio(evidence, playbook, limits)
    shed = evidence.health.shed
    yield LimitCheck(
        "shed_rate",
        ShareSequence(shed),
        _SHED,
        shed.total,
        shed.total,
        high=Bounds(limits.shed_rate, limits.shed_rate),
    ).answer(playbook.error_rate)
    numbers = {each.name for each in evidence.answers if each.kind == "number"}
    for output in evidence.outputs:
        limits = playbook.gate_of(step, output=output.name).advance
        statuses = evidence.health.statuses
        yield from _output(output, limits, statuses, is_number=output.name in numbers)


def _impossible_times(evidence: Evidence, limits: AdvanceLimits) -> Check:
    """Check that few pairs are left out for an impossible time: their results are not known."""
    aside = evidence.window.impossible_times
    return _at_most(
        "impossible_times",
        Count(aside, aside + evidence.window.comparable_pairs),
        limits.uncompared,
        "count nowhere, since their time cannot be (before 2020, in the future, or against the "
        "order of the worker's numbers: a clock was wrong)",
    )


def _flag_errors(evidence: Evidence, limits: AdvanceLimits) -> Check:
    """Check that the flag could be evaluated for most requests; else the primary answered them."""
    window = evidence.window
    return _at_most(
        "flag_errors",
        Count(window.pairs_without_rollout, window.pairs_without_rollout + window.pairs),
        limits.uncompared,
        "of the step's time say no rollout, since the flag could not be evaluated: the primary "
        "answered them whatever the rollout is",
    )


def _at_most(name: str, count: Count, limit: float, what: str, output: str | None = None) -> Check:
    """Return the check that a share of the pairs is at most `limit`; `what` is said of them."""
    share = count.rate or 0.0
    return plain(
        name,
        Outcome.PASS if share <= limit else Outcome.FAIL,
        count.total,
        f"{count.count:,} of {count.total:,} pairs {what}, limit {percent(limit)} %",
        figure=share,
        limit=limit,
        output=output,
    )


def _models(evidence: Evidence) -> Check:
    mixed = {side: tags for side, tags in evidence.integrity.models.items() if len(tags) > 1}
    said = [
        f"{side} is a mixture of {', '.join(f'{tag} ({n:,})' for tag, n in sorted(tags.items()))}"
        for side, tags in mixed.items()
    ]
    reason = (
        f"{'; '.join(said)}: evidence begins anew when only the latest is left"
        if said
        else "one model on each side"
    )
    outcome = Outcome.FAIL if mixed else Outcome.PASS
    return plain("models", outcome, evidence.window.pairs, reason, figure=len(mixed), limit=0)


def _thresholds(evidence: Evidence, since: datetime) -> Check:
    reason = (
        f"thresholds changed within the window: those of now are in force since "
        f"{since:%Y-%m-%d %H:%M:%S} UTC, and older pairs were decided at others"
    )
    return plain("thresholds", Outcome.FAIL, evidence.window.pairs, reason)


def _noise(evidence: Evidence, limits: AdvanceLimits) -> Check:
    noise = evidence.integrity.noise
    if noise is None or noise.rate is None:
        return plain("noise", Outcome.INCONCLUSIVE, 0, "no pair of the same model twice")
    return plain(
        "noise",
        Outcome.PASS if noise.rate <= limits.noise else Outcome.FAIL,
        noise.total,
        f"{noise.count:,} of {noise.total:,} pairs of the same model twice differ, limit "
        f"{percent(limits.noise)} %",
        figure=noise.rate,
        limit=limits.noise,
    )


def _batches(both: Count, playbook: Playbook, limits: AdvanceLimits) -> Check:
    """Check that shadows scored in batches have the scores that single calls have."""
    if not both.total:
        reason = "shadows were scored in batches, and none by itself too: see SHADOW_SINGLE"
        return plain("batch_disagreement", Outcome.INCONCLUSIVE, 0, reason)
    limit = Bounds(limits.batch_disagreement, limits.batch_disagreement)
    n = both.total
    return LimitCheck("batch_disagreement", ShareSequence(both), _BATCHES, n, n, high=limit).answer(
        playbook.error_rate
    )


def _sampling(sampled: Sampled, limits: AdvanceLimits) -> Check:
    """Check that sampled shadows represent all hours; pairs that a budget omits are no losses."""
    scored, limit = sampled.scored, limits.shadow_sampling
    return plain(
        "shadow_sampling",
        Outcome.PASS if sampled.shift <= limit else Outcome.FAIL,
        scored.total,
        f"{scored.count:,} of {scored.total:,} pairs under SHADOW_MAX_SHARE have both sides, at a "
        f"mean share of {percent(sampled.share)} % of the units; at most {percent(sampled.shift)} "
        f"% of them lie at other times than the traffic, limit {percent(limit)} %",
        figure=sampled.shift,
        limit=limit,
    )


def _sample_ratio(evidence: Evidence, playbook: Playbook, limits: AdvanceLimits) -> Check:
    integrity, wanted = evidence.integrity, evidence.window.rollout / 100
    active = integrity.candidate_units or integrity.candidate_active
    counted = "units that the flag draws" if integrity.candidate_units else "pairs"
    if active.rate is None:
        return plain("sample_ratio_p", Outcome.INCONCLUSIVE, 0, "no pairs")
    sequence = ShareSequence(active)
    p = sequence.p_value(wanted) if 0 < wanted < 1 else float(active.rate == wanted)
    low, high = sequence.interval(playbook.error_rate)
    fits = p >= limits.sample_ratio_p
    reason = (
        f"candidate active for {percent(active.rate)} % of {active.total:,} {counted}, rollout "
        f"{evidence.window.rollout:g} % (p {p:.2g}, limit {limits.sample_ratio_p:g})"
    )
    if not fits:
        reason += ": pairs of one side are missing, or not everybody may get the candidate" + (
            "" if integrity.candidate_units else "; by request, a few users may make up the traffic"
        )
    return Check(
        "sample_ratio_p",
        None,
        None,
        Outcome.PASS if fits else Outcome.FAIL,
        active.rate,
        low,
        high,
        wanted,
        active.total,
        reason,
        confidence=1 - playbook.error_rate,
    )


def _by_side(output: Output) -> str:
    lacking = [f"{side} {n:,}" for side, n in output.unscored_by_side.items() if n]
    return f" ({', '.join(lacking)})" if lacking else ""


def _output(
    output: Output,
    limits: AdvanceLimits,
    statuses: Mapping[str, Mapping[str, int]],
    *,
    is_number: bool,
) -> Iterator[Check]:
    seen = output.paired + output.unscored
    yield _at_most(
        "unscored",
        Count(output.unscored, seen),
        1 - limits.completeness,
        f"lack a finite score{_by_side(output)}",
        output.name,
    )
    primary, candidate = (output.thresholds.get(side, ()) for side in ("primary", "candidate"))
    if output.uncompared is not None:
        yield _uncompared(output, output.uncompared, limits.uncompared, statuses)
    if output.alarms is None and not output.tails and not is_number:
        reason = (
            "no threshold is known, so nothing shows what the scores lead to: the playbook can "
            f"name them (outputs.{output.name}.threshold)"
        )
        yield plain("thresholds", Outcome.INCONCLUSIVE, seen, reason, output=output.name)
    elif (
        output.alarms is not None and len(candidate) > 1 and len(primary) <= 1
    ):  # of both: thresholds that differ by request
        values = ", ".join(f"{each:g}" for each in candidate[:5])
        reason = f"the candidate's threshold changed within the window: {values}"
        yield plain("thresholds", Outcome.FAIL, seen, reason, output=output.name)


def _uncompared(
    output: Output, outside: Count, limit: float, statuses: Mapping[str, Mapping[str, int]]
) -> Check:
    failed = {side: _failed(counts) for side, counts in statuses.items()}
    found = [
        f"{side} {status} {n:,}"
        for side, counts in failed.items()
        for status, n in sorted(counts.items(), key=lambda each: -each[1])
    ]
    found += [
        f"{side} without a score or a threshold {n:,}"
        for side, undecided in output.undecided_by_side.items()
        if (n := undecided - sum(failed.get(side, {}).values())) > 0
    ]
    why = ", ".join(found) or "there is no score, or no threshold"
    what = f"lack a decision of a side ({why})"
    return _at_most("uncompared", outside, limit, what, output.name)


def _failed(statuses: Mapping[str, int]) -> dict[str, int]:
    """Return the statuses of calls without a result; calls that were skipped are not compared."""
    return {name: n for name, n in statuses.items() if name not in ("ok", "skipped") and n}
