"""What the gate prints."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from comparison import Comparison
from comparison.judgement.judgement import Judgement
from comparison.report.terminal.operational import time_line
from comparison.report.terminal.outcomes import print_outcomes
from comparison.report.terminal.verdict import REASONS, print_verdict
from flags.gate import decide
from flags.gate.evidence import (
    AlarmPeriod,
    AlarmState,
    Evidence,
    OperationalAlarmHistory,
    OutcomeCell,
    OutcomeMetric,
    Paired,
)
from flags.playbook.model import Playbook
from tests.support.simulated_evidence import (
    FLAG,
    WINDOWS,
    Scores,
    durations,
    evidence,
    output,
    realistic,
)

PLAYBOOK = Playbook(flag=FLAG)
STEP = PLAYBOOK.steps_at(10)[0]


def printed(name: str, columns: int = 80) -> str:
    return printed_of(WINDOWS[name](), columns)


def printed_of(found: Evidence, columns: int = 80) -> str:
    file = io.StringIO()
    judgement = Judgement(PLAYBOOK, STEP, decide(found, PLAYBOOK, STEP))
    print_verdict(found, judgement, Console(file=file, width=columns, highlight=False))
    return file.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", list(WINDOWS))
def test_it_fits_the_terminal_and_is_plain_when_piped(name: str, columns: int) -> None:
    text = printed(name, columns)
    assert max(map(len, text.splitlines())) <= columns
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_verdict_is_the_last_word_with_its_reasons() -> None:
    last = printed("realistic").rpartition("\n\n")[2].splitlines()
    assert last[0] == "ROLLBACK: give all requests back to the primary: switch the flag off"
    assert last[1].startswith("- alarm rate")


def test_the_gravest_checks_come_first_with_figure_interval_limit_and_n() -> None:
    lines = [words(line) for line in printed("realistic", 120).splitlines()]
    rows = [line for line in lines if line.startswith(("PASS ", "FAIL ", "? "))]
    outcomes = [row.split()[0] for row in rows]
    assert outcomes == sorted(outcomes, key=["FAIL", "?", "PASS"].index)
    assert rows[0].startswith("FAIL alarm ratio ")
    assert " to " in rows[0]
    assert rows[0].endswith(" 0.91 to 1.10 0.57 to 1.75 60,000")
    passed = next(line for line in lines if line.startswith("PASS: "))
    assert "completeness" in passed


@pytest.mark.parametrize("columns", [80, 120])
def test_any_number_of_outputs_fits_into_less_than_sixty_lines(columns: int) -> None:
    scores = Scores.fraud(2_000)
    shops = {f"shop-{number}": ("x", "y", "z", None) for number in range(10)}
    outputs = tuple(output(scores, name=f"class_{n}", segments=shops) for n in range(12))
    notes = (*("the same was noticed",) * 50, *(f"this was noticed: {n}" for n in range(50)))
    found = evidence(2_000, outputs, notes=notes)
    text = printed_of(found, columns)
    assert len(text.splitlines()) == 59
    assert text.count("the same was noticed") == 1
    assert "more lines: --html and --json have all" in text
    verdict = decide(found, PLAYBOOK, STEP)
    assert f"{verdict.decision}: " in text


def test_a_latency_that_is_fast_enough_by_itself_says_so() -> None:
    fast = {side: durations(2_000, 0.0004) for side in ("primary", "candidate")}
    window = realistic(2_000)
    quick = replace(window, health=replace(window.health, durations=fast))
    assert "latency p50 (fast enough)" in words(printed_of(quick))
    assert "(fast enough)" not in printed_of(window)
    judged = Judgement(PLAYBOOK, STEP, decide(quick, PLAYBOOK, STEP))
    assert "<td>PASS (fast enough)</td>" in Comparison(quick, judged)._repr_html_()


def test_quality_the_offer_and_the_notes_are_there() -> None:
    text = words(printed("realistic"))
    assert "Quality: fraud_probability" in text
    assert "average precision 0.5936 0.7411" in text
    assert "recall 22.18 % of 577 56.85 % of 577" in text
    assert (
        "keeps the primary's number of alarms, 140: their ratio at it is 1.00 (0.83 to 1.20)"
        in text
    )
    assert "clocks of 2 workers differ by up to 3.2 s" in text


def test_an_offer_that_does_not_keep_the_number_of_alarms_says_so() -> None:
    scores = Scores.fraud(20_000)
    found = output(scores, name="risk")
    assert found.calibration is not None
    alarms = found.calibration.alarms
    none = Paired(0, alarms.primary.count, 0, alarms.pairs - alarms.primary.count)
    constant = replace(found, calibration=replace(found.calibration, alarms=none))
    text = words(printed_of(evidence(20_000, (constant,))))
    said = f"no threshold of the candidate keeps the primary's {alarms.primary.count:,} alarms"
    assert said in text
    assert "gives 0" in text


def test_many_reasons_are_cut_and_counted() -> None:
    found = WINDOWS["no pairs"]()
    reasons = decide(found, PLAYBOOK, STEP).reasons
    assert len(reasons) > REASONS
    assert f"and {len(reasons) - REASONS} more reason" in printed("no pairs")


def test_the_time_line_of_an_alarm_shows_the_gravest_state_of_each_part() -> None:
    window = realistic().window
    part = (window.until - window.since) / 10

    def period(state: AlarmState, at: float) -> AlarmPeriod:
        time = window.since + at * part
        return AlarmPeriod(state, time, time, 1, None, None, "")

    alarm = OperationalAlarmHistory(
        "queue",
        "prometheus: queue",
        (
            period(AlarmState.PASS, 1),
            period(AlarmState.HOLD, 3),
            period(AlarmState.ROLLBACK, 5.2),
            period(AlarmState.PASS, 5.4),
            period(AlarmState.UNKNOWN, 8),
        ),
    )
    assert time_line(alarm, window, 10) == " ..hhR..??"
    assert time_line(OperationalAlarmHistory("queue", "x", ()), window, 4) == "    "
    at_once = window.since + timedelta(0)
    moment = AlarmPeriod(AlarmState.HOLD, at_once, at_once, 1, None, None, "")
    assert "h" in time_line(OperationalAlarmHistory("queue", "x", (moment,)), window, 4)


def test_an_outcome_is_printed_with_both_arms_and_its_ratios() -> None:
    cells = (
        OutcomeCell(False, 0.5, True, 1.0, 1.0, 20),
        OutcomeCell(False, 0.5, False, 0.0, 1.0, 80),
        OutcomeCell(False, 0.5, False, 0.0, 0.0, 900),
        OutcomeCell(True, 0.5, True, 1.0, 1.0, 40),
        OutcomeCell(True, 0.5, False, 0.0, 1.0, 80),
        OutcomeCell(True, 0.5, False, 0.0, 0.0, 880),
    )
    file = io.StringIO()
    metric = OutcomeMetric("complaint", "request", cells, outcomes=220, young_requests=7)
    refused = OutcomeMetric("returns", "unit", (), obstacle="refused: because")
    found = replace(realistic(2_000), outcomes=(metric, refused))
    print_outcomes(found, Console(file=file, width=100, highlight=False))
    text = words(file.getvalue())
    assert "primary 1,000 100 (10.00 %) 20 20 (100 %)" in text
    assert "candidate 1,000 120 (12.00 %) 40 40 (100 %)" in text
    assert "complaint by flips: 1.20x (" in text
    assert "complaint: 7 requests too young" in text
    assert "returns: refused: because" in text
