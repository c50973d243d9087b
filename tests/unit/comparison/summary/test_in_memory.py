import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from comparison.engines.sources import FramePairs
from comparison.errors import NoPairsError
from comparison.evidence.statistics import paired_ratio, wilson_interval
from comparison.pairs.reader import read_all, read_pairs
from comparison.summary.conclusion import Conclusion, conclude
from comparison.summary.counted import count_summary
from comparison.summary.figures import OutputFigures, Summary
from comparison.summary.in_memory import summarise
from comparison.summary.plain import as_plain
from flags.export import attributes
from tests.support.pair_files import OUTPUT, PairFile, Scored, failed
from tests.support.same_figures import assert_same_figures

ALARM, NONE = Scored(0.9), Scored(0.1)


@pytest.fixture
def file(tmp_path: Path) -> PairFile:
    file = PairFile(tmp_path)
    file.start()
    return file


def summary_of(file: PairFile) -> Summary:
    """Return the figures of pairs in memory, after a check that an engine counts the same."""
    summary = summarise(read_pairs(file.path))
    source = FramePairs(read_all(file.path))
    assert_same_figures(count_summary(source, summary.flag), summary)
    return summary


def conclusion_of(file: PairFile) -> Conclusion:
    return conclude(summary_of(file))


def only_output(summary: Summary) -> OutputFigures:
    [output] = summary.outputs
    return output


def write_alarms(
    file: PairFile, *, both: int = 0, candidate_only: int = 0, primary_only: int = 0, none: int = 0
) -> None:
    for count, primary, candidate in (
        (both, ALARM, ALARM),
        (candidate_only, NONE, ALARM),
        (primary_only, ALARM, NONE),
        (none, NONE, NONE),
    ):
        for _ in range(count):
            file.pair(primary, candidate)


class TestFigures:
    def test_alarms_are_counted_on_the_same_requests(self, file: PairFile) -> None:
        write_alarms(file, both=3, candidate_only=4, primary_only=1, none=12)

        output = only_output(summary_of(file))

        assert output.output == OUTPUT
        assert output.alarms is not None
        flips = output.alarms.flips
        assert (flips.both, flips.candidate_only, flips.primary_only, flips.neither) == (
            3,
            4,
            1,
            12,
        )
        assert output.alarms.ratio == paired_ratio(3, 4, 1)
        assert output.alarms.agreement.rate == 15 / 20
        assert (output.alarms.agreement.low, output.alarms.agreement.high) == wilson_interval(
            15, 20
        )
        assert (output.alarms.primary.count, output.alarms.candidate.count) == (4, 7)
        assert output.thresholds == {"primary": (0.5,), "candidate": (0.5,)}

    def test_only_pairs_with_two_answers_enter_and_the_others_are_named(
        self, file: PairFile
    ) -> None:
        write_alarms(file, both=2, none=1)
        file.pair(ALARM, failed("timeout"))
        file.pair(ALARM, failed("timeout"))
        file.pair(failed("error", "KeyError"), failed("shed"))
        file.pair(failed("error", "KeyError"), ALARM)

        summary = summary_of(file)

        assert summary.pairs == 7
        assert summary.paired == 3
        assert summary.left_out == {
            "candidate timeout": 2,
            "primary error and candidate shed": 1,
            "primary error": 1,
        }
        alarms = only_output(summary).alarms
        assert alarms is not None
        assert alarms.primary.count == 2

    def test_each_side_has_its_rates_latency_models_and_errors(self, file: PairFile) -> None:
        for milliseconds in range(1, 101):
            file.pair(Scored(duration=milliseconds / 1000, model="fraud:1"))
        file.pair(failed("error", "KeyError"), Scored(model="fraud:2"))
        file.pair(Scored(status="timeout", duration=30.0), failed("skipped"))

        summary = summary_of(file)

        primary = summary.primary
        assert primary.statuses["ok"].count == 100
        assert primary.statuses["error"].rate == 1 / 102
        assert (primary.failed.count, primary.failed.total) == (2, 102)
        assert (summary.candidate.failed.count, summary.candidate.failed.total) == (0, 101)
        expected = np.quantile(np.arange(1, 101) / 1000, [0.5, 0.95, 0.99])
        assert list(primary.latency.values()) == pytest.approx(list(expected))
        assert primary.models == {"fraud:1": 100}
        assert primary.errors == {"KeyError": 1}

    def test_who_answered_is_told_by_rollout(self, file: PairFile) -> None:
        for rollout, active in ((0.0, "primary"), (10.0, "candidate"), (10.0, "primary")):
            file.pair(active=active, changes={attributes.ROLLOUT: rollout})
        fallen_back = {attributes.SERVED: "primary", attributes.FALLBACK: True}
        file.pair(active="candidate", changes={**fallen_back, attributes.ROLLOUT: 10.0})
        file.pair(changes={attributes.SERVED: None, attributes.ROLLOUT: None})

        traffic = summary_of(file).traffic

        shares = [
            (share.rollout, share.active.count, share.served.count, share.active.total)
            for share in traffic.by_rollout
        ]
        assert shares == [(0.0, 0, 0, 1), (10.0, 2, 1, 3), (None, 0, 0, 1)]
        assert (traffic.active.count, traffic.served.count) == (2, 1)
        assert (traffic.fallback.count, traffic.unanswered.count) == (1, 1)
        assert (traffic.active.low, traffic.active.high) == wilson_interval(2, 5)

    def test_scores_are_set_side_by_side(self, file: PairFile) -> None:
        generator = np.random.default_rng(7)
        primary, candidate = generator.uniform(size=(2, 200))
        for scores in zip(primary.tolist(), candidate.tolist(), strict=True):
            file.pair(*map(Scored, scores))

        output = only_output(summary_of(file))

        for found, values in (
            (output.scores["primary"], primary),
            (output.scores["candidate"], candidate),
            (output.differences, np.abs(candidate - primary)),
        ):
            assert found == pytest.approx({q: np.quantile(values, q) for q in found})
        assert list(output.differences) == [0.5, 0.9, 0.95, 0.99, 0.995, 1.0]
        assert output.mean_difference == pytest.approx((candidate - primary).mean())

    def test_alarms_are_told_by_segment_the_largest_first(self, file: PairFile) -> None:
        for channel, primary, candidate in (
            ("web", ALARM, ALARM),
            ("web", NONE, ALARM),
            ("web", NONE, NONE),
            ("app", ALARM, NONE),
            ("app", NONE, NONE),
            (None, NONE, NONE),
        ):
            segments = {"channel": channel, "country": "FI"} if channel else {"country": "FI"}
            file.pair(primary, candidate, segments=segments)

        segments = only_output(summary_of(file)).segments

        told = [
            (each.segment, each.value, each.alarms.primary.count, each.alarms.candidate.count)
            for each in segments
        ]
        assert told == [
            ("channel", "web", 1, 2),
            ("channel", "app", 1, 0),
            ("channel", None, 0, 0),
            ("country", "FI", 2, 2),
        ]
        assert [each.alarms.flips.pairs for each in segments] == [3, 2, 1, 6]

    def test_a_segment_may_have_hundreds_of_values(self, file: PairFile) -> None:
        for number in range(300):
            file.pair(ALARM if number == 299 else NONE, segments={"shop": f"s{number:03}"})

        segments = only_output(summary_of(file)).segments

        assert len(segments) == 300
        assert [each.value for each in segments if each.alarms.primary.count] == ["s299"]

    def test_every_output_is_compared(self, file: PairFile) -> None:
        file.pair(Scored({"fraud": 0.9, "churn": 0.1}), Scored({"fraud": 0.1, "churn": 0.9}))

        fraud, churn = summary_of(file).outputs

        assert fraud.output == "fraud"
        assert fraud.mean_difference == pytest.approx(-0.8)
        assert churn.output == "churn"
        assert churn.mean_difference == pytest.approx(0.8)
        assert churn.alarms is not None
        assert churn.alarms.flips.candidate_only == 1

    def test_completeness_and_time_window_are_carried_over(self, file: PairFile) -> None:
        file.pair()
        file.given += 1
        file.pair()

        summary = summary_of(file)

        assert summary.accounting.completeness == pytest.approx(2 / 3)
        assert f"{summary.first:%F %T %Z}" == "2025-11-23 06:40:00 UTC"
        assert (summary.last - summary.first).total_seconds() == pytest.approx(0.02)


def a_regression(file: PairFile) -> None:
    for number in range(10):
        file.pair(Scored(100.0 + number, None), Scored(103.0 + number, None))


def one_row(file: PairFile) -> None:
    file.pair()


def constant_scores(file: PairFile) -> None:
    write_alarms(file, none=20)


def a_candidate_that_always_fails(file: PairFile) -> None:
    for _ in range(20):
        file.pair(candidate=failed("error", "ValueError"))


def a_primary_that_always_fails(file: PairFile) -> None:
    for _ in range(20):
        file.pair(primary=failed("error", "ValueError"))


def two_sides_that_always_fail(file: PairFile) -> None:
    file.pair(failed("error"), failed("timeout"))


def scores_that_are_not_numbers(file: PairFile) -> None:
    for _ in range(4):
        file.pair(candidate=Scored(math.nan))
    file.pair(primary=Scored(math.nan))
    file.pair(Scored(math.inf), Scored(-math.inf))
    file.pair(Scored(1e308), Scored(-1e308))


def no_scores_at_all(file: PairFile) -> None:
    file.pair(Scored({}), Scored({}))


def statuses_nobody_knows(file: PairFile) -> None:
    file.pair(failed("cancelled"), failed("cancelled"))


def pairs_without_anything_optional(file: PairFile) -> None:
    bare = Scored({}, duration=None)
    gone = (attributes.ACTIVE, attributes.SERVED, attributes.ROLLOUT, attributes.SEQUENCE)
    file.pair(bare, bare, changes=dict.fromkeys(gone))


ODD = [
    a_regression,
    one_row,
    constant_scores,
    a_candidate_that_always_fails,
    a_primary_that_always_fails,
    two_sides_that_always_fail,
    scores_that_are_not_numbers,
    no_scores_at_all,
    statuses_nobody_knows,
    pairs_without_anything_optional,
]


class TestOddInput:
    @pytest.mark.parametrize("write", ODD, ids=lambda write: write.__name__)
    def test_makes_figures_that_json_can_hold_and_is_never_a_pass(
        self, file: PairFile, write: Callable[[PairFile], None]
    ) -> None:
        write(file)

        summary = summary_of(file)

        json.dumps(as_plain(summary), allow_nan=False)
        assert conclude(summary).hold

    def test_a_regression_is_compared_by_its_differences(self, file: PairFile) -> None:
        a_regression(file)

        output = only_output(summary_of(file))

        assert output.alarms is None
        assert output.undecided == 10
        assert set(output.differences.values()) == {3.0}
        assert output.mean_difference == 3.0
        assert output.mean_interval is None  # of ten pairs

    def test_a_regression_is_told_by_how_much_it_differs(self, file: PairFile) -> None:
        differences = [number - 10.0 for number in range(41)]
        for number, difference in enumerate(differences):
            score = 100.0 + number
            file.pair(Scored(score, None), Scored(score + difference, None))

        low, high = norm.interval(0.95, loc=10, scale=np.std(differences, ddof=1) / np.sqrt(41))

        assert only_output(summary_of(file)).mean_interval == pytest.approx((low, high))
        assert conclusion_of(file).reasons == (
            f"{OUTPUT}: the candidate's is 10.0 higher on average (95 % CI {low:+.1f} to "
            f"{high:+.1f}, n=41), and half of them differ by 10.0 or more; no threshold says from "
            "where on it matters: HOLD, the differences are for a reader to judge",
        )

    def test_differences_that_are_tiny_beside_the_numbers_are_told_as_they_are(
        self, file: PairFile
    ) -> None:
        for number in range(3):
            file.pair(Scored(5000.0 + number, None), Scored(5000.0 + number - 0.0625, None))

        [reason] = conclusion_of(file).reasons

        assert "the candidate's is 0.06250 lower on average (n=3), and half" in reason

    def test_a_regression_that_never_differs_is_told_so(self, file: PairFile) -> None:
        for number in range(3):
            file.pair(Scored(float(number), None), Scored(float(number), None))

        [reason] = conclusion_of(file).reasons

        assert reason.startswith(f"{OUTPUT}: both sides say the same in every pair (n=3); no")

    def test_classes_agree_where_every_output_is_decided_alike(self, file: PairFile) -> None:
        """Each class is an output with an alarm where it is the most likely class."""
        red, blue, green = (
            {name: 0.8 if name == likeliest else 0.1 for name in ("blue", "green", "red")}
            for likeliest in ("red", "blue", "green")
        )
        for primary, candidate, times in ((red, red, 5), (blue, blue, 2), (red, green, 3)):
            for _ in range(times):
                file.pair(Scored(primary), Scored(candidate))
        file.pair(Scored(red), failed("error"))

        agreement = summary_of(file).agreement

        assert agreement is not None
        assert (agreement.count, agreement.total) == (7, 10)

    def test_one_output_has_no_agreement_of_several(self, file: PairFile) -> None:
        file.pair()

        assert summary_of(file).agreement is None

    def test_thresholds_that_come_with_each_answer_have_not_changed(self, file: PairFile) -> None:
        for number in range(8):
            threshold = 0.4 + number / 20
            file.pair(Scored(0.9, threshold), Scored(0.9, threshold))

        assert [
            remark for remark in conclusion_of(file).remarks if "threshold differs" in remark
        ] == [
            f"{OUTPUT}: the {side}'s threshold differs by request: 0.4 to 0.75 (8)"
            for side in ("primary", "candidate")
        ]

    def test_scores_that_are_not_numbers_are_left_out_and_counted(self, file: PairFile) -> None:
        scores_that_are_not_numbers(file)
        file.pair(NONE, ALARM)

        output = only_output(summary_of(file))

        assert (output.paired, output.unscored) == (8, 6)
        assert output.alarms is not None
        assert output.alarms.flips.pairs == 2

    def test_a_threshold_on_one_side_only_makes_no_alarm(self, file: PairFile) -> None:
        file.pair(Scored(0.9), Scored(0.9, threshold=None))
        file.pair(ALARM, NONE)

        output = only_output(summary_of(file))

        assert output.undecided == 1
        assert output.alarms is not None
        assert output.alarms.flips.pairs == 1

    def test_no_pairs_is_an_error_that_says_what_was_there(self, file: PairFile) -> None:
        file.line('{"resourceLogs": []}')
        file.line('{"resourceSpans": [')

        with pytest.raises(NoPairsError) as error:
            summary_of(file)

        assert str(error.value) == (
            f"{file.path} holds no pairs: 1 pair file, 3 lines, 1 span of other programs, "
            f"1 corrupt (first: {file.path}, line 3)"
        )


class TestConclusion:
    def test_a_candidate_that_fires_too_often_is_held_with_its_figures(
        self, file: PairFile
    ) -> None:
        write_alarms(file, both=80, candidate_only=250, primary_only=10, none=660)

        [reason] = conclusion_of(file).reasons

        assert reason == (
            "the candidate would fire 3.7 times as often as the primary at the same threshold "
            "(95 % CI 3.1 to 4.4, limit 1.10, n=1,000): HOLD until its threshold is calibrated"
        )

    def test_a_candidate_that_hardly_fires_is_held_too(self, file: PairFile) -> None:
        write_alarms(file, both=20, primary_only=80)

        [reason] = conclusion_of(file).reasons

        assert "fire 0.20 times as often" in reason
        assert "until its threshold is calibrated" in reason

    def test_different_thresholds_are_said(self, file: PairFile) -> None:
        for _ in range(50):
            file.pair(Scored(0.1, 0.5), Scored(0.9, 0.8))

        [reason] = conclusion_of(file).reasons

        assert reason.startswith("the candidate would fire 50 times at its own threshold ")
        assert "where the primary never does" in reason

    def test_too_few_alarms_are_not_enough_evidence(self, file: PairFile) -> None:
        write_alarms(file, both=4, candidate_only=1, none=500)

        [reason] = conclusion_of(file).reasons

        assert "HOLD, alarms in 5 pairs are not enough evidence" in reason

    def test_no_alarm_at_all_is_not_enough_evidence(self, file: PairFile) -> None:
        write_alarms(file, none=300)

        assert conclusion_of(file).reasons == (
            "neither side fires in 300 pairs: HOLD, alarms in 0 pairs are not enough evidence",
        )

    def test_sides_that_agree_on_many_alarms_raise_no_objection(self, file: PairFile) -> None:
        write_alarms(file, both=300, candidate_only=3, primary_only=2, none=500)

        conclusion = conclusion_of(file)

        assert not conclusion.hold
        assert str(conclusion).startswith("no objection from these figures\n")
        assert "fire 1.00 times as often" in str(conclusion)

    def test_pairs_that_share_a_number_are_a_reason_to_hold(self, file: PairFile) -> None:
        write_alarms(file, both=800)
        file.pair(changes={attributes.SEQUENCE: 800})
        assert conclude(summary_of(file)).reasons[0] == (
            "1 pair with the number of another one of the same worker: HOLD, two processes go by "
            "its name, so a lost pair may not show"
        )

    def test_missing_pairs_are_held_until_explained(self, file: PairFile) -> None:
        write_alarms(file, both=300, none=500)
        file.stop(pairs=801, dropped=1)

        [reason] = conclusion_of(file).reasons

        assert reason == (
            "1 of 801 pairs missing, 1 reported as dropped (completeness "
            "99.88 %, limit 99.90 %): HOLD until the loss is explained"
        )

    def test_one_missing_pair_of_more_than_a_thousand_is_let_pass(self, file: PairFile) -> None:
        write_alarms(file, both=300, none=800)
        file.stop(pairs=1101)

        assert not conclusion_of(file).hold

    def test_a_candidate_that_fails_more_than_the_primary_is_held(self, file: PairFile) -> None:
        write_alarms(file, both=300, none=300)
        for _ in range(60):
            file.pair(candidate=failed("timeout"))

        [reason] = conclusion_of(file).reasons

        assert reason.startswith(
            "the candidate fails on 9.09 % of its calls (95 % CI 7.13 to 11.53 %"
        )
        assert reason.endswith("n=660): HOLD until it answers")

    def test_scores_that_are_never_numbers_leave_nothing_to_compare(self, file: PairFile) -> None:
        file.pair(candidate=Scored(math.nan))

        assert conclusion_of(file).reasons == (
            "no pair has a finite score on both sides: HOLD, nothing to compare",
        )

    def test_several_models_or_thresholds_are_remarked(self, file: PairFile) -> None:
        file.pair(candidate=Scored(model="v2:a"))
        file.pair(candidate=Scored(model="v2:b", threshold=0.7))
        file.pair(candidate=Scored(math.nan, model="v2:b"))

        remarks = conclusion_of(file).remarks

        assert remarks == (
            "the figures mix 2 models of the candidate: v2:b (2), v2:a (1)",
            f"{OUTPUT}: the candidate's threshold changed meanwhile: 0.5, 0.7",
            f"{OUTPUT}: left out for lack of a finite score on a side: 1 pair",
        )

    def test_a_begin_that_was_removed_is_remarked(self, tmp_path: Path) -> None:
        file = PairFile(tmp_path)
        file.given = 10
        file.pair()

        [remark] = conclusion_of(file).remarks

        assert "pairs before the first one found are taken as removed, not as lost" in remark

    def test_every_output_is_judged_by_name(self, file: PairFile) -> None:
        for _ in range(300):
            file.pair(Scored({"fraud": 0.9, "churn": 0.1}), Scored({"fraud": 0.9, "churn": 0.9}))

        conclusion = conclusion_of(file)

        assert [reason.split(":")[0] for reason in conclusion.reasons] == ["churn"]
        assert [remark.split(":")[0] for remark in conclusion.remarks] == ["fraud"]
