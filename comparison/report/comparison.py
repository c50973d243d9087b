"""The Python interface: `compare` returns a Comparison, which the commands print too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from comparison.errors import NotJudgedError
from comparison.pairs.progress_bar import progress_bar
from comparison.report import frames
from comparison.summary.plain import as_plain

if TYPE_CHECKING:  # needs the extra `comparison`
    from comparison.inputs.data_frames import Rows
    from comparison.judgement.judgement import Judgement
    from comparison.judges.examples import TextExample
    from comparison.labels import LabelFiles
    from comparison.report.html.output_charts import Charts
    from flags.gate.alarm_states import AlarmReading
    from flags.gate.evidence import Evidence
    from flags.gate.verdict import Verdict
    from flags.playbook.model import Playbook


def compare(
    place: str | Path,
    playbook: "str | Path | Playbook | None" = None,
    *,
    labels: "str | Path | Rows | LabelFiles | None" = None,
    outcomes: "str | Path | Rows | None" = None,
    preferences: "str | Path | Rows | None" = None,
    reference: str | Path | None = None,
    flag: str | None = None,
    step: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    readings: "Sequence[AlarmReading]" = (),
) -> "Comparison":
    """Compare both sides by the pairs at a place, and judge them if a playbook is given.

    Args:
        place: A folder of pair files, one such file, or a folder that `compact` wrote, which may be
            in an object store (`s3://bucket/prefix`, `gs://`, `az://`); or the URL of an engine's
            table, e.g. `clickhouse://host/db?table=otel_traces`.
        playbook: The playbook's file, or a Playbook. Without it there are figures and no verdict.
        labels: CSV or Parquet with request_id and label, or a folder of them, also in an object
            store; or the URL of an engine's table; or a DataFrame of pandas or Polars, or an Arrow
            table; or LabelFiles, which map words in one of these to labels.
        outcomes: What happened downstream, in one of the same forms.
        preferences: The table that `bentoml migration judge` wrote, in one of the same forms.
        reference: The output of `bentoml models get TAG --output json`, for the drift of features.
        flag: Key of the flag; needed if the place has several and no playbook is given.
        step: The step to judge, a rollout or a stage; None: the step of the newest pairs.
        since: Earlier pairs are left out. A time or its ISO 8601 text, UTC without an offset; None:
            the beginning of the step.
        until: Pairs from this time on are left out. Given like `since`; None: now.
        readings: Readings of the playbook's operational alarms; without them those checks hold.

    Raises:
        ComparisonError: An input cannot be read, or has nothing to compare.
        FlagsError: The playbook is not valid, or belongs to another flag.
    """
    from comparison.engines.connections import engine_errors
    from comparison.judgement.additions import Additions
    from comparison.judgement.flag_pairs import FlagPairs
    from comparison.judgement.judge import TimeWindow, judge, take_evidence
    from comparison.judgement.moment import moment
    from comparison.judges.examples import examples_at
    from flags.playbook.file import read_playbook

    plan = read_playbook(Path(playbook)) if isinstance(playbook, str | Path) else playbook
    judgement, begin, end = None, moment(since), moment(until)
    with engine_errors(place):
        pairs = FlagPairs.at(place, flag or (plan.flag if plan else None))
        now = datetime.now(UTC)
        additions = Additions.read(
            labels,
            Path(reference) if reference else None,
            outcomes,
            preferences,
        )
        if plan is None:
            window = TimeWindow(
                begin, end or pairs.with_possible_times(now).run().until, drawn_since=begin
            )
            with progress_bar("counting pairs"):
                evidence = take_evidence(pairs, now=now, window=window, additions=additions)
        else:
            window = TimeWindow(begin, end, drawn_since=begin)
            with progress_bar("counting pairs"):
                evidence, judgement = judge(
                    pairs,
                    plan,
                    now=now,
                    step=step,
                    window=window,
                    additions=additions,
                    readings=readings,
                )
    preferences_used = additions.preferences if plan else None
    return Comparison(evidence, judgement, examples_at(place, pairs.flag, preferences_used))


@dataclass(frozen=True)
class Comparison:
    """The evidence of pairs, and its judgement by a playbook; a notebook displays the verdict."""

    evidence: "Evidence"
    judgement: "Judgement | None" = None
    examples: "tuple[TextExample, ...]" = ()
    """Judged texts to read."""

    @property
    def judged(self) -> "Judgement":
        """Return the judgement. Raises NotJudgedError if no playbook was given."""
        if self.judgement is None:
            raise NotJudgedError
        return self.judgement

    @property
    def verdict(self) -> "Verdict | None":
        """Return decision, reasons and checks; None without a playbook."""
        return self.judgement.verdict if self.judgement else None

    @cached_property
    def checks(self) -> pd.DataFrame:
        """Return a row per check, in the order of the verdict; empty without a playbook.

        Columns: name, output, segment, outcome (pass, fail, inconclusive), figure, low, high,
        limit (in the unit of the check; shares and ratios are plain numbers, times seconds), n,
        confidence, required, rolls_back, reason.
        """
        return frames.checks_frame(self.verdict)

    @cached_property
    def alarms(self) -> pd.DataFrame:
        """Return a row per output, and per value of its segments.

        Columns: output, segment, value (both missing in the row of all pairs), pairs, both,
        primary_only, candidate_only, neither, primary_rate, candidate_rate (shares), ratio
        (candidate's rate divided by the primary's).
        """
        return frames.alarms_frame(self.evidence)

    @cached_property
    def quality(self) -> pd.DataFrame:
        """Return a row per output and side, over the pairs whose label counts.

        Columns: output, side, labelled, positives, average_precision, brier, precision, recall,
        precision_at_volume, recall_at_volume (at the primary's number of alarms), and columns for
        outputs of other kinds, such as mean_absolute_error, accuracy or ndcg; NaN if a figure is
        not known.
        """
        return frames.quality_frame(self.evidence)

    @cached_property
    def answers(self) -> pd.DataFrame:
        """Return a row per output that is not a score: a number, class, ranking or text.

        Columns: output, kind, paired, labelled, units (0: no units are recorded), and the figures
        of its kind that need no labels, such as bias, agreement or overlap.
        """
        return frames.answers_frame(self.evidence)

    @cached_property
    def flips(self) -> pd.DataFrame:
        """Return pairs whose sides disagree about an alarm, at most 50 per direction and output.

        Pairs with the largest difference of scores come first. Columns: output, request_id, time
        (UTC), primary, candidate (scores), label (boolean, NA: not known), is_new (True if only the
        candidate raises the alarm).
        """
        return frames.flips_frame(self.evidence)

    @property
    def plot(self) -> "Charts":
        """Return the charts of the page: `.plot.alarm_rates()` and so on.

        A chart raises ChartMissingError if there is nothing to draw, or if there are several
        outputs and none is named.
        """
        from comparison.report.html.output_charts import Charts

        return Charts(self.evidence, self.judgement)

    def to_html(self) -> str:
        """Return the whole page as self-contained HTML."""
        from comparison.report.html.page import render

        return render(self.evidence, self.judgement, self.examples)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `--json`: the verdict document, or without a playbook the evidence.

        The reference of the verdict lists the keys. Shares are from 0 to 1, durations are seconds,
        times are ISO 8601, and numbers that are not finite are None.
        """
        if self.judgement is None:
            return {"evidence": as_plain(self.evidence)}
        from comparison.report.verdict_document import VerdictDocument

        document: dict[str, Any] = as_plain(VerdictDocument.of(self.evidence, self.judgement))
        return document

    def __repr__(self) -> str:
        """Return the verdict in one line."""
        window = self.evidence.window
        decision = self.verdict.decision if self.verdict else "no playbook, no verdict"
        return f"<Comparison of {window.flag} at {window.rollout:g} %: {decision}>"

    def _repr_html_(self) -> str:
        from comparison.report.html.notebook import summary_html

        return summary_html(self.evidence, self.judgement)
