"""The page shows any evidence, and a hostile string in it cannot become markup."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser

import pytest

from comparison.judgement.judgement import Judgement
from comparison.report.html.figures import MAX_NAME
from comparison.report.html.page import render
from flags.export.version import VERSION
from flags.gate import decide
from flags.gate.evidence import (
    AlarmPeriod,
    AlarmState,
    Evidence,
    Interval,
    NoveltyCount,
    OperationalAlarmHistory,
    OutcomeCell,
    OutcomeMetric,
    Paired,
    RatioSoFar,
)
from flags.playbook.model import Playbook, Step
from tests.support.simulated_evidence import (
    FLAG,
    HOSTILE,
    OUTPUT,
    SINCE,
    WINDOWS,
    Scores,
    evidence,
    output,
    realistic,
)

PLAYBOOK = Playbook(flag=FLAG)
STEP: Step = PLAYBOOK.steps_at(10)[0]
LARGEST = 2_000_000

each_window = pytest.mark.parametrize("name", list(WINDOWS))


def judged(found: Evidence) -> Judgement:
    return Judgement(PLAYBOOK, STEP, decide(found, PLAYBOOK, STEP))


@cache
def window(name: str) -> Evidence:
    return WINDOWS[name]()


@cache
def page(name: str) -> str:
    found = window(name)
    return render(found, judged(found))


class Elements(HTMLParser):
    """Collect the start tags, the ids, the words, and whether every tag is closed."""

    VOID = frozenset({"meta", "link", "br", "path", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def text_of(name: str) -> str:
    return Elements(page(name)).text


# --- every page -----------------------------------------------------------------------------------


@each_window
def test_a_page_is_well_formed_small_and_needs_nothing_else(name: str) -> None:
    elements = Elements(page(name))

    assert elements.open == []
    assert len(page(name).encode()) < LARGEST
    assert not {"script", "img", "iframe", "object", "form"} & {tag for tag, _ in elements.tags}
    for tag, attributes in elements.tags:
        assert not any(each.startswith("on") for each in attributes), tag
        for link in (attributes.get("href"), attributes.get("src")):
            assert link is None or link.startswith("#") or link == "data:,"
    assert "default-src 'none'" in page(name)
    assert "url(" not in page(name)


@each_window
def test_no_page_shows_nan_or_none(name: str) -> None:
    drawn = " ".join(re.findall(r' (?:d|x\d?|y\d?|transform|viewBox)="([^"]*)"', page(name)))
    assert not re.search(r"nan|inf|none", drawn, re.I)
    assert not re.search(r"\b(?:nan|None)\b", text_of(name))


@each_window
def test_each_link_of_a_page_leads_to_a_section_and_ids_are_unique(name: str) -> None:
    attributes = [attributes for _, attributes in Elements(page(name)).tags]
    ids = [each["id"] for each in attributes if "id" in each]
    assert len(ids) == len(set(ids))
    for each in attributes:
        href = each.get("href") or ""
        assert not href.startswith("#") or href[1:] in ids
        for reference in (each.get("aria-labelledby") or "").split():
            assert reference in ids


@each_window
def test_each_chart_is_described_in_words(name: str) -> None:
    for tag, attributes in Elements(page(name)).tags:
        if tag == "svg":
            named = attributes.get("role") == "img" and attributes.get("aria-labelledby")
            assert named or attributes.get("aria-hidden") == "true"


@each_window
def test_the_verdict_comes_first_with_its_reasons(name: str) -> None:
    verdict, text = judged(window(name)).verdict, text_of(name)
    assert text.index(verdict.decision) < text.index("Checks")
    first = " ".join(
        "".join(c if c.isprintable() else "\ufffd" for c in verdict.reasons[0]).split()
    )
    assert text.index(first) < text.index("Pairs")


@each_window
def test_each_check_is_in_the_table_with_its_outcome_in_words(name: str) -> None:
    checks = judged(window(name)).verdict.checks
    outcomes = re.findall(r'<span class="badge (\w+)">(\S) (\w+)</span>', page(name))
    assert sorted(word for _, _, word in outcomes) == sorted(
        each.outcome.upper() for each in checks
    )
    assert {(look, sign) for look, sign, _ in outcomes} <= {
        ("pass", "✓"),
        ("fail", "✗"),
        ("inconclusive", "?"),
    }


# --- hostile strings ------------------------------------------------------------------------------


def test_nothing_that_a_caller_wrote_becomes_markup_or_a_template() -> None:
    elements = Elements(page("hostile"))
    handlers = [name for _, attributes in elements.tags for name in attributes if name[:2] == "on"]

    assert handlers == []
    assert '<script>alert("x")</script>' in elements.text
    assert "{{ 7 * 7 }}{% raw %}" in elements.text
    assert page("hostile").count("<style>") == 1
    assert page("hostile").count("</style>") == 1


def test_control_characters_are_replaced_and_endless_words_cut() -> None:
    text = page("hostile")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)
    assert "\ufffd[2J\ufffdgnirts" in text
    cells = re.findall(r"<t[hd][^>]*>(a{20,}[^<]*)<", text)
    assert cells
    assert all(cell == "a" * MAX_NAME + "…" for cell in cells)


# --- what is shown --------------------------------------------------------------------------------


def test_the_figures_of_a_window_are_on_its_page() -> None:
    found, text = window("realistic"), text_of("realistic")
    shown = found.outputs[0]
    assert shown.alarms is not None
    assert shown.quality is not None
    assert shown.calibration is not None
    for figure in (
        f"{shown.alarms.candidate_only:,}",
        f"only candidate: {shown.alarms.candidate_only:,}",
        f"{shown.quality.primary.average_precision:.4f}",
        f"{shown.quality.primary.recall.count:,} of {shown.quality.primary.recall.total:,}",
        '{"threshold": {"fraud_probability": ' + repr(shown.calibration.threshold),
        shown.flips[0].request_id,
        shown.flips[-1].request_id,
        "channel = app",
        "channel = (none)",
        "p99",
        "fraud:2",
        "clocks of 2 workers differ by up to 3.2 s",
    ):
        assert figure in text, figure


def test_each_chart_is_drawn_where_there_is_something_to_draw() -> None:
    titles = re.findall(r"<figcaption>([^<0-9]*)", page("realistic"))
    assert titles == [
        "Alarms in common: ",
        "Alarm rate over time",
        "Alarm ratio of all pairs so far",
        "Alarm ratio by hour of the day",
        "Alarm ratio by day of the week",
        "Scores of each side",
        "Scores against each other",
        "Reliability",
        "Latency of ok calls",
    ]
    assert "Alarm ratio by segment" in text_of("realistic")


def test_psi_has_its_marks_and_the_warning_that_it_does_not_decide() -> None:
    text = text_of("realistic")
    assert "0.3100 large" in text
    assert "0.1370 some" in text
    assert "0.0210 little" in text
    assert "depend on the number of pairs (60,000 here); they describe, and never decide" in text


def test_the_page_names_what_is_missing() -> None:
    assert "no labels have been joined" in text_of("unlabelled")
    assert "Recall and precision at it are not known without labels" in text_of("unlabelled")
    assert "no threshold on both sides" in text_of("no thresholds")
    assert "no pair has a score on both sides" in text_of("failed side")
    assert "no output was recorded" in text_of("no pairs")
    assert "No call of both sides counts for latency yet" in text_of("no pairs")
    assert "not known: no sequence numbers" in text_of("no pairs")


def test_labels_that_depend_on_the_served_side_are_a_warning() -> None:
    assert "The served side decides what gets labelled" in text_of("one-sided labels")
    assert "No sign that the served side decides" in text_of("realistic")


def test_several_outputs_each_have_a_named_group() -> None:
    scores = Scores.fraud(2_000)
    both = (output(scores), output(scores, name="risk", thresholds=None, labels=False))
    found = evidence(2_000, both)

    text = Elements(render(found, judged(found))).text

    assert f"Alarms {OUTPUT}" in text
    assert "Numbers risk" in text
    assert f"Alarm ratio, {OUTPUT}" in text


def test_without_a_playbook_the_page_decides_nothing() -> None:
    text = Elements(render(window("realistic"))).text
    assert "this page decides nothing" in text
    assert not re.search("ADVANCE at|HOLD:|ROLLBACK:|Checks", text.partition("How to read")[0])


def test_reasons_beyond_the_first_are_counted() -> None:
    found = window("no pairs")
    more = len(judged(found).verdict.reasons) - 3
    assert more > 0
    assert f"and {more} more, in the checks below" in text_of("no pairs")


def test_very_many_values_of_segments_are_cut_and_counted() -> None:
    made = output(
        Scores.fraud(20_000),
        segments={f"shop-{number}": ("x", "y", "z", None) for number in range(10)},
    )
    found = evidence(20_000, (made,))
    more = len(made.segments) - 24
    assert more > 0
    assert (
        f"{more} more values with fewer alarms are in the JSON"
        in Elements(render(found, judged(found))).text
    )


def test_ten_million_pairs_and_two_months_of_hours_make_a_page_of_the_same_size() -> None:
    made = output(Scores.fraud(50_000), hours=60 * 24)
    assert made.alarms is not None
    many = Paired(*(200 * count for count in _cells(made.alarms)))
    found = evidence(10_000_000, (replace(made, paired=10_000_000, alarms=many),))

    text = render(found, judged(found))

    assert len(text.encode()) < 300_000
    assert "10,000,000" in text


def _cells(table: Paired) -> tuple[int, ...]:
    return table.both, table.primary_only, table.candidate_only, table.neither


def test_the_same_evidence_makes_the_same_page() -> None:
    first, second = realistic(2_000), realistic(2_000)
    assert render(first, judged(first)) == render(second, judged(second))
    assert f"{SINCE:%Y-%m-%d %H:%M:%S}" in render(first)


def test_operational_alarms_are_drawn_over_the_window_and_their_words_escaped() -> None:
    found = window(next(iter(WINDOWS)))
    hour = timedelta(hours=1)
    periods = tuple(
        AlarmPeriod(state, SINCE + n * hour, SINCE + n * hour, 1, None, None, f"<b>{state}</b>")
        for n, state in enumerate(AlarmState)
    )
    alarms = (OperationalAlarmHistory("<i>queue", "prometheus: a < b", periods), NOT_ASKED)
    text = render(replace(found, operational_alarms=alarms), None)
    elements = Elements(text)
    assert not elements.open
    assert {"b", "i"}.isdisjoint(tag for tag, _ in elements.tags)
    looks = [attrs["class"] for tag, attrs in elements.tags if tag == "path" and "class" in attrs]
    assert [each for each in looks if each and each.startswith("state ")] == [
        f"state {state}" for state in AlarmState
    ]
    assert "<b>rollback</b>" in elements.text
    assert "not queried in this window" in elements.text


def outcomes() -> tuple[OutcomeMetric, ...]:
    """Return a metric with everything to show, and one that could not be counted."""
    cells = (
        OutcomeCell(False, 0.1, True, 1.0, 1.0, 90),
        OutcomeCell(False, 0.1, False, 0.0, 1.0, 900),
        OutcomeCell(False, 0.1, False, 0.0, 0.0, 90_000),
        OutcomeCell(True, 0.1, True, 1.0, 1.0, 40),
        OutcomeCell(True, 0.1, False, 0.0, 1.0, 100),
    )
    ages = (NoveltyCount("day 0-1", 80.0, 300.0), NoveltyCount("day 2-3", 0.0, 60.0))
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    over_time = tuple(
        RatioSoFar(begin + timedelta(hours=n), Interval(1 + n / 10, 1 - 1 / n, 1 + 4 / n), 100 * n)
        for n in range(1, 12)
    )
    shown = OutcomeMetric(
        HOSTILE[0], "unit", cells, 1_130, young_requests=12, novelty=ages, over_time=over_time
    )
    return shown, OutcomeMetric("refused", "unit", (), obstacle="<b>refused</b>: because")


def test_each_outcome_has_a_section_with_both_arms_its_ratios_and_what_is_missing() -> None:
    text = render(replace(window(next(iter(WINDOWS))), outcomes=outcomes()), None)
    elements = Elements(text)
    assert not elements.open
    assert {"b", "script"}.isdisjoint(tag for tag, _ in elements.tags)
    words = " ".join(elements.text.split())
    assert f"Outcome: {HOSTILE[0]}" in words
    for said in (
        "Ratio over all traffic so far",
        "In the end 2.10 times",
        "by flips",
        "of all units",
        "where both decide alike",
        "on flips, day 0-1",
    ):
        assert said in words
    assert "12 requests too young for it" in words
    assert "<b>refused</b>: because" in words


NOT_ASKED = OperationalAlarmHistory("freeze", "webhook: x", ())


def test_the_foot_says_which_version_decided_and_how_often_it_errs() -> None:
    foot = " ".join(page("realistic").partition("<footer>")[2].split())
    assert f"Made by bentoml-flags {VERSION}. By this playbook" in foot
    assert "limits is ever rolled back is 5.00 % at most" in foot
    undecided = " ".join(render(window("realistic")).partition("<footer>")[2].split())
    assert f"<p>Made by bentoml-flags {VERSION}.</p>" in undecided
