"""The win rate on public judgments of texts, read prompt by prompt, decided as early as possible.

What GPT-4 turbo said of the answers of 58 models to the same 797 prompts (AlpacaEval 2; its data
are CC BY-NC 4.0, so nothing of them is in this repository; without the file, these tests skip).
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from comparison.evidence.preferences import preference_evidence
from comparison.judges.asking import JudgeRun, Limits, questions
from comparison.judges.journal import open_journal
from comparison.judges.preferences import load_preferences
from comparison.judges.text_pairs import TextPair
from flags.gate.evidence import UnitPreference
from flags.gate.sequences import WinRateSequence
from flags.gate.sequences.betting import BETS, LOG_WEIGHTS
from tests.support.paths import ROOT

JUDGMENTS = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared/data")) / "judgments.parquet"
ALPHA = 0.05
EVERY = 10
"""Prompts between two looks."""

pytestmark = pytest.mark.skipif(not JUDGMENTS.exists(), reason=f"{JUDGMENTS} is not here")

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Duel:
    """Two models, and the judge's preferences for the candidate's answers, in random order."""

    gap: float
    """Win rate against the baseline, the candidate's minus the primary's."""
    preferences: Values

    def biased(self, points: float) -> Values:
        """Return the mean of both orders, for a judge that prefers the answer shown first."""
        shown_first = np.clip(self.preferences + points, 0, 1)
        shown_second = np.clip(self.preferences - points, 0, 1)
        mean: Values = (shown_first + shown_second) / 2
        return mean


@pytest.fixture(scope="module")
def duels() -> list[Duel]:
    """Draw 600 pairs of models; the same baseline makes a preference of two of them."""
    table = pd.read_parquet(JUDGMENTS).pivot_table(
        index="prompt_id", columns="model", values="preference", observed=True
    )
    preferences, rng = table.to_numpy(), np.random.default_rng(16)
    found = []
    for _ in range(600):
        primary, candidate = rng.choice(preferences.shape[1], 2, replace=False)
        difference = preferences[:, candidate] - preferences[:, primary]
        found.append(Duel(float(difference.mean()), rng.permutation(0.5 + difference / 2)))
    return found


def decided(values: Values, alpha: float = ALPHA) -> tuple[int | None, int]:
    """Return the prompts until the win rate is surely above or below 0.5, and its side."""
    bets, weights = np.array(BETS)[:, None], np.array(LOG_WEIGHTS)[:, None]
    for_candidate = np.logaddexp.reduce(
        weights + np.cumsum(np.log1p(bets * (values / 0.5 - 1)), axis=1)
    )
    for_primary = np.logaddexp.reduce(
        weights + np.cumsum(np.log1p(bets * ((1 - values) / 0.5 - 1)), axis=1)
    )
    for n in range(EVERY, len(values) + 1, EVERY):
        if max(for_candidate[n - 1], for_primary[n - 1]) >= -math.log(alpha / 2):
            return n, 1 if for_candidate[n - 1] > for_primary[n - 1] else -1
    return None, 0


def sequence(values: Values) -> WinRateSequence:
    return WinRateSequence(tuple(UnitPreference(each, each, 1) for each in values.tolist()))


@pytest.mark.parametrize("bias", [0.0, 0.2], ids=["fair", "prefers_what_is_first"])
def test_of_600_pairs_of_models_none_is_decided_against_the_full_sample(
    duels: list[Duel], bias: float
) -> None:
    found = [(duel.gap, *decided(duel.biased(bias))) for duel in duels]

    against = [each for each in found if each[2] and np.sign(each[0]) != each[2]]
    assert not against
    clear = [(n or len(duels[0].preferences)) for gap, n, _ in found if 0.05 <= abs(gap) <= 0.20]
    assert len(clear) > 100
    assert np.median(clear) <= 150


def test_the_gates_sequence_decides_where_this_arithmetic_does(duels: list[Duel]) -> None:
    for duel in duels[:12]:
        n, side = decided(duel.preferences)
        if n is None or n > 400:
            continue
        for seen, sure in ((n, True), (n - EVERY, False)):
            taken = sequence(duel.preferences[:seen])
            assert taken.above(0.5, ALPHA / 2) == (sure and side > 0)
            assert taken.below(0.5, ALPHA / 2) == (sure and side < 0)


def test_a_run_in_both_orders_measures_the_bias_and_does_not_follow_it(
    duels: list[Duel], tmp_path: Path
) -> None:
    duel = max(duels, key=lambda each: each.gap)
    recorded = dict(enumerate(duel.preferences[:120].tolist()))

    def judge(prompt: str, first: str, second: str) -> float:
        preference = recorded[int(prompt)]
        favour = preference if first == "candidate" else 1 - preference
        return min(1.0, favour + 0.2) if first != second else 0.5

    pairs = [
        TextPair(f"r{each}", "answer", str(each), "primary", "candidate", ("1", "2"), each)
        for each in recorded
    ]
    table = tmp_path / "preferences.csv"
    with open_journal(table) as journal:
        for answered in JudgeRun(judge, "recorded", Limits()).answers(questions(pairs, set())):
            journal.add(answered)

    frame = load_preferences(table).frame
    units = pd.Series(pd.NA, index=frame.index, dtype="string")
    found = preference_evidence("answer", frame.assign(unit=units), frame.iloc[:0])
    win_rate = WinRateSequence(found.units)
    assert win_rate.above(0.5, ALPHA / 2)
    first = sum(each.value * each.units for each in found.position) / found.pairs
    assert 0.55 < first <= 0.7
