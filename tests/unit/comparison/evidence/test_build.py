"""Evidence from aggregates made by hand."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from comparison.counts.tables import Aggregates, UnknownLabels
from comparison.evidence.alarms import sum_alarms
from comparison.evidence.build import evidence
from comparison.evidence.drift import FeatureReference, References
from comparison.pairs.accounting import Accounting
from comparison.pairs.workers import Worker
from flags.gate.evidence import DURATION_EDGES, Count, Evidence, GivenLabels, LabelledCell, Paired
from tests.support.count_tables import (
    FLAG,
    OUTPUT,
    SIDES,
    SINCE,
    UNTIL,
    aggregates,
    count,
    output,
    pairs,
    rows_of,
)


def taken(counted: Aggregates, rollout: float = 10.0, **given: object) -> Evidence:
    usual = {"source": "pairs", "since": SINCE, "until": UNTIL}
    return evidence(counted, rollout=rollout, **{**usual, **given})  # type: ignore[arg-type]


def worker(name: str, first: int | None, last: int | None, found: int, **changes: object) -> Worker:
    given = last or 0
    usual = Worker(name, first, last, found, given, given - found, True, True, False, 0)
    return replace(usual, **changes)  # type: ignore[arg-type]


def accounting(*workers: Worker, **changes: object) -> Accounting:
    found = sum(each.found for each in workers)
    expected = sum(each.expected for each in workers)
    usual = Accounting(1, 9, found, 0, 0, 0, None, 0, {FLAG: found}, found, expected, None, workers)
    return replace(usual, **changes)  # type: ignore[arg-type]


def fraud(size: int = 3_000, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random(size) < 0.05
    shared = random.normal(size=size)
    return (
        1 / (1 + np.exp(3 - shared - 2 * truth)),
        1 / (1 + np.exp(2 - shared - 3 * truth)),
        truth,
    )


class TestWindow:
    def test_the_pairs_of_the_step_s_rollout_count(self) -> None:
        later = pd.Timestamp(SINCE) + pd.Timedelta(hours=3)
        table = pairs(
            {"rollout": 5.0, "n": 7, "last": later},
            {"rollout": 10.0, "n": 90, "first": later},
            {"rollout": 10.0, "active": "candidate", "served": "candidate", "n": 10},
            {"rollout": math.nan, "n": 2},
            {"part": "before", "rollout": math.nan, "n": 4},  # it is not left out
        )
        found = taken(aggregates(pairs=table))
        assert (found.window.pairs, found.window.pairs_of_other_rollouts) == (100, 9)
        assert found.window.pairs_without_rollout == 2
        assert found.window.first == SINCE
        assert found.window.last == UNTIL - timedelta(seconds=1)
        assert found.window.age == 86_400
        assert found.integrity.candidate_active == Count(10, 100)
        assert (
            "left out: 9 pairs made while the worker saw another rollout than 10, 2 of them "
            "without any" in found.notes
        )

    def test_times_outside_of_the_window_are_told(self) -> None:
        table = pairs(
            {
                "first": pd.Timestamp(SINCE) - pd.Timedelta(minutes=2),
                "last": pd.Timestamp(UNTIL) + pd.Timedelta(hours=1, seconds=5),
            }
        )
        said = " ".join(taken(aggregates(pairs=table)).notes)
        assert "up to 2m before the window: a clock is behind" in said
        assert "up to 1h after the evidence was taken: a clock is ahead" in said

    def test_pairs_of_the_future_are_told(self) -> None:
        found = taken(aggregates(pairs=pairs({})), now=UNTIL - timedelta(hours=2))
        assert "up to 1h 59m after the evidence was taken" in " ".join(found.notes)
        assert taken(aggregates(pairs=pairs({})), now=UNTIL).notes == ()


class TestIntegrity:
    def test_numbers_are_expected_between_the_first_and_the_last_of_the_window(self) -> None:
        workers = rows_of("workers", [("a", 1, 10, 10), ("b", 41, 60, 18)])
        found = taken(aggregates(workers=workers)).integrity
        assert (found.found, found.expected) == (28, 30)

    def test_beyond_them_where_the_worker_s_record_says_so(self) -> None:
        workers = rows_of("workers", [("a", 3, 10, 8), ("b", 41, 60, 20), ("c", 5, 9, 5)])
        account = accounting(
            worker("a", 3, 10, 8, expected=12),  # 1, 2, 11 and 12 are lost
            worker("b", 1, 90, 90),  # goes on outside of the window
            worker("c", 5, 9, 5, expected=6, begin_removed=True),  # 10 is lost
            worker("d", None, None, 0, expected=4),  # all of its pairs are lost
        )
        found = taken(aggregates(workers=workers), accounting=account).integrity
        assert (found.found, found.expected) == (33, 12 + 20 + 6 + 4)

    def test_without_numbers_nobody_knows(self) -> None:
        found = taken(aggregates()).integrity
        assert (found.found, found.expected) == (0, None)

    def test_the_noise_floor_is_that_of_the_noisiest_output(self) -> None:
        noise = rows_of("noise", [("a", False, 90), ("b", False, 50), ("b", True, 2)])
        assert taken(aggregates(noise=noise)).integrity.noise == Count(2, 52)
        assert taken(aggregates()).integrity.noise is None

    def test_models_duplicates_and_lines_are_counted_and_told(self) -> None:
        table = pairs(
            {"n": 5}, {"candidate_model": "fraud:3", "n": 2}, {"candidate_model": None, "n": 1}
        )
        account = accounting(
            worker("a", 1, 8, 8, dropped=3, begin_removed=True),
            torn=1,
            first_torn="a.jsonl, after line 8",
            corrupt=2,
            first_corrupt="x.jsonl, line 3",
            foreign=4,
            flags={FLAG: 8, "other": 6},
        )
        found = taken(aggregates(pairs=table, duplicates=2), accounting=account)
        assert found.integrity.models == {
            "primary": {"fraud:1": 8},
            "candidate": {"fraud:2": 5, "fraud:3": 2},
        }
        assert (found.integrity.duplicates, found.integrity.unreadable) == (2, 3)
        assert found.notes == (
            "2 duplicates left out: a span that came twice",
            "1 file cut off (first: a.jsonl, after line 8): a worker was killed while it wrote, "
            "or is writing, or the file was damaged",
            "2 lines could not be read (first: x.jsonl, line 3)",
            "4 spans of other programs left out",
            "pairs of other flags are in the same place and left out: other (6)",
            "3 pairs could not be written, as the workers themselves report",
            "no start record of 1 worker: pairs before the first one found are taken as removed, "
            "not as lost",
            "the figures mix 2 models of the candidate: fraud:2 (5), fraud:3 (2)",
        )


class TestHealth:
    def test_failures_where_the_candidate_is_active_are_counted_by_themselves(self) -> None:
        """A stream may fail after its first item, which is no fallback."""
        table = pairs(
            {"active": "candidate", "n": 97},
            {"active": "candidate", "candidate_status": "error", "n": 3},
            {"active": "candidate", "candidate_status": "shed", "n": 10},
            {"active": "primary", "candidate_status": "timeout", "n": 50},
        )
        assert taken(aggregates(pairs=table)).health.active_failures == Count(3, 100)

    def test_failures_are_compared_where_both_sides_were_called(self) -> None:
        table = pairs(
            {"n": 90},
            {"candidate_status": "timeout", "n": 4},
            {"candidate_status": "error", "primary_status": "error", "served": None, "n": 3},
            {"primary_status": "error", "served": None, "n": 2},
            {"candidate_status": "shed", "n": 5},
            {"candidate_status": "skipped", "primary_status": "error", "served": None, "n": 6},
            {"candidate_status": None, "n": 1},
        )
        found = taken(aggregates(pairs=table)).health
        assert found.failures == Paired(3, 2, 4, 90)
        assert found.shed == Count(5, 111)
        assert found.primary_served == Count(100, 100)
        assert found.statuses["candidate"] == {
            "ok": 92,
            "skipped": 6,
            "shed": 5,
            "timeout": 4,
            "error": 3,
        }

    def test_fallbacks_are_counted_among_the_candidate_s_requests(self) -> None:
        candidate = {"active": "candidate", "served": "candidate"}
        table = pairs(
            {"n": 50},
            {**candidate, "n": 8},
            {"active": "candidate", "fallback": True, "candidate_status": "error", "n": 2},
        )
        found = taken(aggregates(pairs=table)).health
        assert found.fallbacks == Count(2, 10)
        assert found.primary_served == Count(52, 60)

    def test_durations_have_a_count_for_each_bin(self) -> None:
        table = rows_of("durations", [("primary", 0, 3), ("primary", 331, 2), ("candidate", 7, 4)])
        durations = taken(aggregates(durations=table)).health.durations
        assert all(len(each.counts) == len(DURATION_EDGES) + 1 for each in durations.values())
        assert (durations["primary"].counts[0], durations["primary"].counts[-1]) == (3, 2)
        assert durations["candidate"].quantile(0.5) == DURATION_EDGES[7]

    def test_a_side_that_always_failed_leaves_nothing_to_compare(self) -> None:
        table = pairs({"candidate_status": "error", "candidate_model": None, "n": 40})
        found = taken(aggregates(output([], []), pairs=table))
        [nothing] = found.outputs
        assert found.health.failures == Paired(0, 0, 40, 0)
        assert (nothing.paired, nothing.alarms, nothing.distribution) == (0, None, None)
        assert (nothing.quality, nothing.calibration, nothing.flips) == (None, None, ())


class TestAlarms:
    def test_the_parts_add_up_to_the_whole(self) -> None:
        primary, candidate, truth = fraud()
        channels = np.where(np.arange(len(truth)) % 3, "web", None).tolist()
        counted = output(
            primary,
            candidate,
            truth.tolist(),
            segments={"channel": channels, "all": ["x"] * len(truth)},
        )
        [found] = taken(aggregates(counted)).outputs
        fired = primary >= 0.5, candidate >= 0.5
        expected = Paired(
            int((fired[0] & fired[1]).sum()),
            int((fired[0] & ~fired[1]).sum()),
            int((~fired[0] & fired[1]).sum()),
            int((~fired[0] & ~fired[1]).sum()),
        )
        assert found.alarms == expected
        assert [(each.segment, each.value) for each in found.segments] == [
            ("all", "x"),
            ("channel", "web"),
            ("channel", None),
        ]
        assert found.segments[0].alarms == expected
        assert found.segments[1].alarms.pairs == 2_000
        assert sum(each.alarms.candidate_only for each in found.segments[1:]) == (
            expected.candidate_only
        )
        starts = [each.start for each in found.periods]
        assert starts == [SINCE + timedelta(hours=hour) for hour in range(24)]
        assert sum(each.alarms.both for each in found.periods) == expected.both

    def test_flips_are_the_cases_with_the_largest_difference(self) -> None:
        primary, candidate, truth = fraud(400)
        labels = [None if row % 2 else bool(each) for row, each in enumerate(truth)]
        [found] = taken(aggregates(output(primary, candidate, labels))).outputs
        distances = [abs(flip.primary - flip.candidate) for flip in found.flips]
        assert distances == sorted(distances, reverse=True)
        for flip in found.flips:
            row = int(flip.request_id.removeprefix("r"))
            assert (flip.primary, flip.candidate) == (primary[row], candidate[row])
            assert flip.label == labels[row]
            assert SINCE <= flip.time < UNTIL

    def test_every_threshold_that_occurred_is_told(self) -> None:
        counted = replace(
            output([0.1, 0.9], [0.2, 0.8]),
            thresholds={"primary": (0.5,), "candidate": (0.5, 0.7)},
        )
        found = taken(aggregates(counted))
        assert found.outputs[0].thresholds["candidate"] == (0.5, 0.7)
        assert f"{OUTPUT}: the candidate's threshold changed meanwhile: 0.5, 0.7" in found.notes


class TestLabels:
    def test_caught_and_false_alarms_are_the_alarms_of_the_labelled_pairs(self) -> None:
        primary, candidate, truth = fraud()
        labels = [None if row % 5 == 0 else bool(each) for row, each in enumerate(truth)]
        covered = rows_of(
            "coverage",
            [
                ("primary", True, False, True, True, 60),
                ("primary", None, None, True, None, 10),
                ("candidate", True, True, True, None, 4),
                ("candidate", True, True, False, False, 5),
            ],
        )
        counted = replace(output(primary, candidate, labels), coverage=covered)
        unknown = UnknownLabels(9, 70, ("007",), ("7",))
        found = taken(aggregates(counted, unknown_labels=unknown))
        quality = found.outputs[0].quality
        assert quality is not None
        known = np.array([each is not None for each in labels])
        assert quality.caught.pairs == quality.positives == (truth & known).sum()
        assert quality.false_alarms.pairs == (~truth & known).sum()
        assert quality.caught.candidate.count == ((candidate >= 0.5) & truth & known).sum()
        labelling = found.outputs[0].labelling
        assert labelling is not None
        assert labelling.coverage == {"primary": Count(60, 70), "candidate": Count(0, 4)}
        assert labelling.coverage_p is not None
        assert LabelledCell("primary", True, False, 60, 60, 0) in labelling.old
        assert LabelledCell("primary", None, None, 10, 0, 0) in labelling.old
        assert labelling.young == (LabelledCell("candidate", True, True, 5, 0, 5),)
        assert found.labels == GivenLabels(70, 9, ("007",), ("7",), ("label",))
        assert "9 labels belong to no pair, e.g. '007'; a pair has '7'" in found.notes
        assert found.outputs[0].calibration is not None
        assert found.outputs[0].calibration.recall is not None

    def test_a_feedback_loop_is_told(self) -> None:
        primary, candidate, truth = fraud(300)
        covered = rows_of(
            "coverage",
            [
                ("primary", None, None, True, False, 900),
                ("candidate", None, None, True, True, 300),
                ("candidate", None, None, True, None, 600),
            ],
        )
        counted = replace(output(primary, candidate, truth.tolist()), coverage=covered)
        said = " ".join(taken(aggregates(counted)).notes)
        assert (
            "labels for 100 % of what the primary served and 33.33 % of what the candidate" in said
        )

    @pytest.mark.parametrize(("label", "word"), [(True, "positive"), (False, "negative")])
    def test_one_sided_labels_are_told(self, label: bool, word: str) -> None:
        primary, candidate, _ = fraud(200)
        found = taken(aggregates(output(primary, candidate, [label] * 200)))
        assert found.outputs[0].quality is not None
        assert f"all 200 labels are {word}" in " ".join(found.notes)

    def test_labels_that_contradict_each_other_are_told(self) -> None:
        said = taken(aggregates(), contradicted=2).notes
        assert said == ("2 requests with labels that contradict each other: the last one counts",)

    def test_labels_of_no_compared_pair_are_told(self) -> None:
        covered = rows_of("coverage", [("primary", None, None, True, None, 5)])
        counted = replace(output([0.1], [0.2]), coverage=covered)
        said = taken(aggregates(counted, unknown_labels=UnknownLabels(0, 3))).notes
        wanted = "labels were given, but none that counts is of a pair with a score on both sides"
        assert wanted in said


class TestDrift:
    def test_recorded_features_are_held_against_the_training(self) -> None:
        random = np.random.default_rng(1)
        reference = FeatureReference.of(random.normal(size=2_000))
        references = References("fraud-v2:abc", {"amount": reference, "other": reference})
        bins = np.searchsorted(reference.edges, random.normal(1, 1, 500), side="right")
        table = count("features", {"feature": ["amount"] * 500, "bin": bins})
        found = taken(
            aggregates(features=table, feature_edges=references.edges), references=references
        )
        [drift] = found.drift
        assert (drift.feature, drift.pairs, drift.missing) == ("amount", 500, 0)
        assert drift.model == "fraud-v2:abc"
        assert drift.psi is not None
        assert drift.psi > 0.25
        [same] = taken(aggregates(features=table), references=references).drift
        assert same.psi is None
        assert "amount cannot be compared with its reference" in " ".join(
            taken(aggregates(features=table), references=references).notes
        )


class TestNeverFails:
    @pytest.mark.parametrize("labels", [None, [True], [False]], ids=["none", "true", "false"])
    @pytest.mark.parametrize(
        "thresholds", [(0.5, 0.5), (None, None), (0.5, None)], ids=["both", "none", "one"]
    )
    @pytest.mark.parametrize(
        ("primary", "candidate"),
        [
            ([], []),
            ([0.3], [0.3]),
            ([0.3] * 10, [0.7] * 10),
            ([math.nan] * 10, [0.7] * 10),
            ([0.0, 1.0] * 5, [1.0, 0.0] * 5),
            ([-1e300, 1e300] * 5, [0.0] * 10),
            ([-1.7e308, 1.7e308] * 5, [1.7e308, 3.0] * 5),
            ([math.inf, 0.2] * 5, [0.1, -math.inf] * 5),
        ],
        ids=["nothing", "one", "constant", "nan", "opposite", "huge", "largest", "infinite"],
    )
    def test_whatever_the_scores_are(
        self,
        primary: list[float],
        candidate: list[float],
        thresholds: tuple[float | None, float | None],
        labels: list[bool] | None,
    ) -> None:
        label = labels * len(primary) if labels else None
        counted = output(primary, candidate, label, thresholds=thresholds)
        other = output([1.5], [2.5], thresholds=(None, None), name="price")
        found = taken(aggregates(counted, other))
        [one, price] = found.outputs
        finite = np.isfinite(primary) & np.isfinite(candidate)
        assert one.paired == finite.sum()
        assert one.unscored == (~finite).sum()
        assert (price.paired, price.alarms, price.calibration) == (1, None, None)
        assert (one.distribution is None) == (not finite.any())
        assert (one.quality is None) == (labels is None or not finite.any())
        if counted.alarms.empty:
            assert one.alarms is None
        else:
            assert one.alarms == sum_alarms(counted.alarms)

    def test_nothing_at_all(self) -> None:
        found = taken(aggregates())
        assert (found.window.pairs, found.window.first, found.outputs) == (0, None, ())
        assert found.health.failures == Paired(0, 0, 0, 0)
        assert all(sum(found.health.durations[side].counts) == 0 for side in SIDES)
        assert found.integrity.candidate_active == Count(0, 0)
        assert (found.drift, found.notes) == ((), ())
