from pathlib import Path

import pandas as pd
import pytest

from comparison.errors import PreferencesUnreadableError
from comparison.judges.journal import AnsweredQuestion, open_journal
from comparison.judges.preferences import load_preferences, preferences_of


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "preferences.csv"
    path.write_text(text)
    return path


def test_people_may_hand_in_one_row_for_each_pair(tmp_path: Path) -> None:
    found = load_preferences(
        table(tmp_path, "request_id,preference\na,candidate\nb,primary\nc,tie\nd,0.75\ne,\n")
    )

    rows = found.frame.set_index("request_id")
    assert rows["least"].to_dict() == {"a": 1.0, "b": 0.0, "c": 0.5, "d": 0.75}
    assert rows["first"].isna().all()


def test_both_orders_are_one_preference(tmp_path: Path) -> None:
    found = load_preferences(
        table(
            tmp_path,
            "request_id,first,preference\n"
            "a,primary,1\na,candidate,1\n"  # the candidate's, wherever it is shown
            "b,primary,0\nb,candidate,1\n"  # what is shown first
            "c,primary,0.5\n",  # in one order only
        )
    )

    rows = found.frame.set_index("request_id")
    assert rows["least"].to_dict() == {"a": 1.0, "b": 0.5}
    assert rows["first"].to_dict() == {"a": 0.5, "b": 1.0}
    assert rows["consistent"].to_dict() == {"a": True, "b": False}
    assert found.incomplete == 1


def test_a_failure_may_have_meant_anything(tmp_path: Path) -> None:
    found = load_preferences(
        table(
            tmp_path,
            "request_id,first,preference,error\n"
            "a,primary,1,\na,candidate,,TimeoutError\n"
            "b,primary,,TimeoutError\nb,candidate,,TimeoutError\n",
        )
    )

    rows = found.frame.set_index("request_id")
    assert (rows["least"].to_dict(), rows["most"].to_dict()) == (
        {"a": 0.5, "b": 0.0},
        {"a": 1.0, "b": 1.0},
    )
    assert found.unjudged == 2


def test_an_answer_that_came_later_takes_the_place_of_a_failure(tmp_path: Path) -> None:
    found = load_preferences(
        table(
            tmp_path,
            "request_id,first,preference,error\n"
            "a,primary,,TimeoutError\na,candidate,1,\na,primary,1,\n",
        )
    )

    assert found.frame[["least", "most"]].to_numpy().tolist() == [[1.0, 1.0]]


def test_parquet_says_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"request_id": ["a", "b"], "preference": [1.0, 0.25]})
    frame.to_parquet(tmp_path / "p.parquet")

    assert load_preferences(tmp_path / "p.parquet").frame["least"].tolist() == [1.0, 0.25]


def test_a_run_is_read_as_its_table_is(tmp_path: Path) -> None:
    path = tmp_path / "preferences.csv"
    with open_journal(path) as journal:
        for number in range(4):
            for first in ("primary", "candidate"):
                said = None if number == 3 else number / 3
                error = "TimeoutError" if number == 3 else ""
                journal.add(
                    AnsweredQuestion(
                        f"r,{number}", "answer", first, said, False, "j:f", 0.1, 1.0, 1, error
                    )
                )
        in_memory = preferences_of(journal)

    on_disk = load_preferences(path)
    pd.testing.assert_frame_equal(in_memory.frame, on_disk.frame, check_dtype=False)
    assert on_disk.frame["most"].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("request_id,label\na,1\n", "no column preference; found: request_id, label"),
        ("request_id,preference\na,1\nb,2\n", "line 3, column preference: '2': expected a number"),
        ("request_id,preference\n,1\n", "line 2, column request_id: no request id"),
        (
            "request_id,preference,first\na,1,left\n",
            "line 2, column first: 'left': expected primary or candidate",
        ),
        ("", "found: nothing: the file is empty"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(PreferencesUnreadableError, match=problem):
        load_preferences(table(tmp_path, text))


def test_two_preferences_of_one_judge_for_a_pair_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "preferences.csv"
    path.write_text("request_id,preference\nr1,candidate\nr2,tie\nr1,primary\n")
    with pytest.raises(PreferencesUnreadableError, match=r"1 pairs? ha(s|ve) different .*'r1'"):
        load_preferences(path)
    path.write_text("request_id,preference,judge\nr1,candidate,ann\nr1,primary,bob\n")
    assert len(load_preferences(path).frame) == 2
