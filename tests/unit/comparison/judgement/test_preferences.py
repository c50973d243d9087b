"""The evidence from a table of preferences and their pairs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.pairs.compaction.runs import compact
from flags.export import attributes
from flags.gate.evidence import Evidence, UnitPreference
from flags.playbook.model import Playbook
from tests.support.pair_files import BEGIN, FLAG
from tests.support.text_pairs import TextPairFile

END = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(seconds=5)
PLAYBOOK = Playbook.model_validate(
    {"flag": FLAG, "steps": [{"stage": "canary", "rollout": 10, "hold": "1s", "min_pairs": 1}]}
)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Return pairs of v1 with itself, of v1 with v2, and of v1 with v3, the present candidate."""
    folder = tmp_path / "pairs"
    file = TextPairFile(folder)
    file.start()
    for models in (("v1", "v1"), ("v1", "v2"), ("v1", "v3")):
        for _ in range(4):
            unit = {attributes.UNIT: f"unit-{file.given // 2}"}
            file.texts("one", "another", models=models, **unit)
    file.stop()
    return folder


def taken(pairs: Path, text: str) -> Evidence:
    table = pairs.parent / "preferences.csv"
    table.write_text("request_id,output,preference\n" + text)
    additions = Additions.read(None, None, preferences=table)
    found = FlagPairs.at(pairs, FLAG)
    return judge(found, PLAYBOOK, now=END, window=TimeWindow(), additions=additions)[0]


def rows(*said: tuple[int, float]) -> str:
    return "".join(f"worker-1-request-{number},answer,{value}\n" for number, value in said)


@pytest.mark.parametrize("form", ["files", "compacted"])
def test_only_pairs_of_the_present_models_count_each_unit_once(
    pairs: Path, tmp_path: Path, form: str
) -> None:
    if form == "compacted":
        compact(pairs, tmp_path / "compacted")
        pairs = tmp_path / "compacted"

    found = taken(pairs, rows((5, 0), (6, 0), (9, 1), (10, 0.5), (11, 1), (12, 1)))

    (said,) = found.preferences
    assert said.output == "answer"
    assert said.pairs == 4
    # One unit has requests 9 and 10, the other one 11 and 12.
    assert said.units == (UnitPreference(0.75, 0.75, 1), UnitPreference(1.0, 1.0, 1))
    assert any("2 left out, about pairs of other models" in note for note in found.notes)


def test_pairs_of_the_same_model_twice_are_the_noise(pairs: Path) -> None:
    (said,) = taken(pairs, rows((1, 1), (2, 0), (3, 0.5), (9, 1))).preferences

    assert [(each.value, each.units) for each in said.same_model] == [(0.0, 1), (0.5, 1), (1.0, 1)]
    assert said.pairs == 1


def test_preferences_of_no_pair_are_said(pairs: Path) -> None:
    found = taken(pairs, rows((9, 1), (900, 1)))

    assert any("1 of 2 are about pairs that are not here" in note for note in found.notes)


def test_a_table_without_a_word_on_these_pairs_is_not_evidence(pairs: Path) -> None:
    assert taken(pairs, rows((900, 1))).preferences == ()
