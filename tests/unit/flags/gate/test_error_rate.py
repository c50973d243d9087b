"""The gate in simulations: rollbacks without cause are rare, those with a cause are fast."""

import math
import runpy
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from flags.gate import Decision, Outcome, decide
from flags.gate.error_rate import error_share, segment_share
from flags.gate.evidence import Count, Evidence, Paired, SegmentAlarms
from flags.playbook.model import Playbook
from tests.support.evidence import FLAG, evidence, output, quality
from tests.support.markdown import DOCS

POWER = runpy.run_path(str(DOCS / "gate_power.py"))
Array = npt.NDArray[Any]

PLAYBOOK: Final = Playbook(flag=FLAG)
STEP: Final = PLAYBOOK.steps_at(50)[0]
LIMITS: Final = PLAYBOOK.gate.rollback
RUNS, LOOKS, PAIRS_A_LOOK, BATCH = 400, 1_000, 100, 20
SEGMENTS = 4

RATIO: Final = ((1, 1), (1, 0), (0, 1), (0, 0))
DIFFERENCE: Final = ((1, 1), (2, 1), (0, 1), (1, 1))
SHARE: Final = ((1, 1), (0, 1))


def full(*theta: float) -> list[float]:
    return [*theta, 1 - sum(theta)]


def running(theta: list[float], pairs: int, random: np.random.Generator) -> Array:
    return np.asarray(random.multinomial(pairs, theta, size=(BATCH, LOOKS)).cumsum(axis=1))


def batch(random: np.random.Generator, *, at_limit: bool) -> dict[str, Array]:
    """Return running counts of everything that can roll back, shape (runs, looks, cells).

    Everything is either exactly at its rollback limit, where a false rollback is likeliest, or
    as good as the primary.
    """
    ratio = LIMITS.alarm_ratio if at_limit else 1.0
    by_segment = LIMITS.segment_alarm_ratio if at_limit else 1.0
    worse = LIMITS.failure_rate if at_limit else 0.0
    lost = LIMITS.recall_loss if at_limit else 0.0
    fallen = LIMITS.fallback_rate if at_limit else 0.001
    return {
        "alarms": running(full(*POWER["cells"](ratio, 0.8, 0.02)), PAIRS_A_LOOK, random),
        "failures": running(full(0.001, 0.001 + worse, 0.001), PAIRS_A_LOOK, random),
        "fallbacks": running(full(fallen), PAIRS_A_LOOK // 2, random),
        "caught": running(full(0.6, 0.05, 0.05 + lost), 2, random),
        **{
            f"segment {index}": running(
                full(*POWER["cells"](by_segment, 0.8, 0.05)), PAIRS_A_LOOK // 5, random
            )
            for index in range(SEGMENTS)
        },
    }


def wealths(counts: dict[str, Array]) -> dict[str, Array]:
    """Return, by check, its log wealth minus the level of a FAIL."""
    wealth, rate = POWER["wealth"], PLAYBOOK.error_rate

    def relative(found: Array, alpha: float) -> Array:
        return found + math.log(alpha / 2)

    swap = [0, 2, 1, 3]
    segments = segment_share(rate, SEGMENTS)
    return {
        "alarms": relative(
            wealth(counts["alarms"], RATIO, LIMITS.alarm_ratio), error_share(rate, "alarm_ratio")
        ),
        "failures": relative(
            wealth(counts["failures"], DIFFERENCE, 1 + LIMITS.failure_rate),
            error_share(rate, "failure_rate"),
        ),
        "fallbacks": relative(
            wealth(counts["fallbacks"], SHARE, LIMITS.fallback_rate),
            error_share(rate, "fallback_rate"),
        ),
        "caught": relative(
            wealth(counts["caught"][..., swap], DIFFERENCE, 1 + LIMITS.recall_loss),
            error_share(rate, "recall_loss"),
        ),
        **{
            name: relative(wealth(found, RATIO, LIMITS.segment_alarm_ratio), segments)
            for name, found in counts.items()
            if name.startswith("segment")
        },
    }


def seen(counts: dict[str, Array], run: int, look: int) -> Evidence:
    """Return the evidence that the gate gets at one look of one run."""

    def paired(name: str) -> Paired:
        both, candidate, primary, neither = (int(each) for each in counts[name][run, look])
        return Paired(both, primary, candidate, neither)

    alarms = paired("alarms")
    fallen, stood = (int(each) for each in counts["fallbacks"][run, look])
    segments = [
        SegmentAlarms("channel", name, paired(name)) for name in counts if name.startswith("segm")
    ]
    return evidence(
        output(alarms, segments, quality=quality(paired("caught"))),
        rollout=50,
        pairs=alarms.pairs,
        health={"failures": paired("failures"), "fallbacks": Count(fallen, fallen + stood)},
    )


@pytest.mark.parametrize("at_limit", [True, False])
def test_in_1000_looks_the_gate_rolls_back_without_cause_in_5_percent_of_the_steps_at_most(
    at_limit: bool,
) -> None:
    """The gate decides as the arrays do, at the most extreme look of some runs."""
    random = np.random.default_rng(20_240_702)
    rolled_back = 0
    for _ in range(RUNS // BATCH):
        counts = batch(random, at_limit=at_limit)
        most = np.max(list(wealths(counts).values()), axis=0)
        rolled_back += int((most >= 0).any(axis=1).sum())
        run, look = np.unravel_index(most.argmax(), most.shape)
        said = decide(seen(counts, int(run), int(look)), PLAYBOOK, STEP)
        assert (said.decision is Decision.ROLLBACK) == (most[run, look] >= 0)
    assert rolled_back / RUNS <= PLAYBOOK.error_rate


def test_alarms_at_twice_the_rate_are_seen_within_5000_pairs_and_soon_rolled_back() -> None:
    """At an alarm rate of 0.5 %, where both sides share 80 % of the primary's alarms."""
    random = np.random.default_rng(5)
    at = np.arange(100, 20_001, 100)
    counts = POWER["looks"](POWER["cells"](2.0, 0.8), at, RUNS, random)
    above = POWER["called"](counts, PLAYBOOK.gate.advance.alarm_ratio, PLAYBOOK.error_rate / 2)
    beyond = POWER["called"](
        counts, LIMITS.alarm_ratio, error_share(PLAYBOOK.error_rate, "alarm_ratio") / 2
    )
    assert POWER["pairs_until"](above, at, 0.5) <= 5_000
    assert POWER["pairs_until"](beyond, at, 0.5) <= 7_500
    assert POWER["pairs_until"](beyond, at, 0.9) <= 15_000


def test_alarms_at_3_7_times_the_rate_are_rolled_back_within_5000_pairs() -> None:
    """As on the real transactions, whatever the overlap."""
    random = np.random.default_rng(6)
    at = np.arange(100, 5_001, 100)
    for overlap in (0.5, 0.95):
        counts = POWER["looks"](POWER["cells"](3.7, overlap), at, RUNS, random)
        alpha = error_share(PLAYBOOK.error_rate, "alarm_ratio") / 2
        beyond = POWER["called"](counts, LIMITS.alarm_ratio, alpha)
        assert POWER["pairs_until"](beyond, at, 0.95) is not None
        both, candidate, primary = (int(each) for each in counts[0, -1])
        table = Paired(both, primary, candidate, 5_000 - both - primary - candidate)
        found = decide(evidence(output(table), rollout=50, pairs=5_000), PLAYBOOK, STEP)
        (alarms,) = (each for each in found.checks if each.name == "alarm_ratio")
        assert (alarms.outcome is Outcome.FAIL) == bool(beyond[0, -1])


def test_the_power_page_has_the_figures_that_the_script_finds() -> None:
    """One row is simulated again; the others are equal to the page if the script was run."""
    page = POWER["PAGE"].read_text(encoding="utf-8")
    assert "| 2x | 80 % | 3,300 | 6,600 | 8,000 | 15,000 |" in page
    random = np.random.default_rng(7)
    at = np.arange(200, 20_001, 200)
    counts = POWER["looks"](POWER["cells"](2.0, 0.8), at, 1_000, random)
    above = POWER["called"](counts, 1.1, 0.025)
    assert POWER["pairs_until"](above, at, 0.5) == pytest.approx(3_300, rel=0.15)
