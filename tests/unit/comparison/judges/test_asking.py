import threading
from collections import Counter
from pathlib import Path

import pytest

from comparison.errors import JudgeFailingError, JudgeNotFoundError, PreferencesUnreadableError
from comparison.judges.asking import JudgeRun, Limits, Question, questions
from comparison.judges.journal import AnsweredQuestion, open_journal
from comparison.judges.judge import Judge, Judgment, ask_judge, named_judge
from comparison.judges.text_pairs import TextPair

QUICK = Limits(parallel=3, retries=2, pause=0.001)


def pairs(number: int) -> list[TextPair]:
    return [
        TextPair(f"r{each}", "answer", f"prompt {each}", "primary", "candidate", ("1", "2"), each)
        for each in range(number)
    ]


def run(judge: Judge, asked: list[Question], limits: Limits = QUICK) -> list[AnsweredQuestion]:
    return list(JudgeRun(judge, "a judge", limits).answers(asked))


def for_the_candidate(prompt: str, first: str, second: str) -> float:
    return float(first == "candidate")


def test_each_pair_is_asked_in_both_orders_with_the_preference_of_the_candidate() -> None:
    seen = []

    def judge(prompt: str, first: str, second: str) -> float:
        seen.append((prompt, first, second))
        return 0.8 if first == "candidate" else 0.2

    answers = run(judge, questions(pairs(2), set()))

    assert Counter(seen) == Counter(
        (f"prompt {each}", *order)
        for each in range(2)
        for order in (("primary", "candidate"), ("candidate", "primary"))
    )
    assert [each.preference for each in answers] == pytest.approx([0.8] * 4)
    assert {each.first for each in answers} == {"primary", "candidate"}


def test_either_order_may_come_first() -> None:
    first = [each.first for each in questions(pairs(100), set())][::2]

    assert 25 < first.count("primary") < 75


@pytest.mark.parametrize(
    ("said", "meant"),
    [("first", 1.0), ("SECOND ", 0.0), ("tie", 0.5), (0.25, 0.25), (1, 1.0), (Judgment(0.7), 0.7)],
)
def test_a_judge_may_say_it_by_a_word_or_a_number(said: object, meant: float) -> None:
    assert ask_judge(lambda *_: said, "", "", "").preference == meant


@pytest.mark.parametrize("said", [None, "maybe", 1.5, -0.1, float("nan"), True, Judgment(2)])
def test_what_is_not_a_preference_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match=r"preference|number"):
        ask_judge(lambda *_: said, "", "", "")


def test_a_judge_may_be_a_coroutine_function() -> None:
    async def judge(prompt: str, first: str, second: str) -> str:
        return "first"

    assert ask_judge(judge, "", "", "").preference == 1.0


def test_a_judge_that_fails_is_asked_again() -> None:
    calls: Counter[tuple[str, str]] = Counter()

    def judge(prompt: str, first: str, second: str) -> float:
        calls[prompt, first] += 1
        if calls[prompt, first] < 3:
            raise TimeoutError
        return 0.5

    answers = run(judge, questions(pairs(3), set()))

    assert {each.attempts for each in answers} == {3}
    assert {each.error for each in answers} == {""}


def test_a_question_on_which_the_judge_fails_each_time_is_kept_as_failed() -> None:
    def judge(prompt: str, first: str, second: str) -> float:
        if prompt == "prompt 1":
            raise ConnectionError("a text of the caller")
        return 0.5

    answers = run(judge, questions(pairs(5), set()))

    failed = [each for each in answers if each.preference is None]
    assert [(each.request_id, each.error, each.attempts) for each in failed] == [
        ("r1", "ConnectionError", 3)
    ] * 2


def test_a_judge_that_fails_all_the_time_is_given_up() -> None:
    calls = []

    def judge(prompt: str, first: str, second: str) -> float:
        calls.append(prompt)
        raise PermissionError("no such key")

    with pytest.raises(JudgeFailingError, match="PermissionError: no such key"):
        run(judge, questions(pairs(200), set()), Limits(parallel=2, retries=0))
    assert len(calls) < 30


def test_no_more_is_asked_once_the_money_is_spent() -> None:
    limits = Limits(parallel=1, cost=1.0)

    answers = run(lambda *_: Judgment(0.5, cost=0.25), questions(pairs(100), set()), limits)

    assert 4 <= len(answers) <= 6  # one more may have been begun


def test_calls_keep_the_rate() -> None:
    waits: list[float] = []
    asking = JudgeRun(
        lambda *_: 0.5, "a judge", Limits(parallel=1, per_minute=30), clock=lambda: 100.0
    )
    asking.wait = lambda seconds: waits.append(seconds) is None  # time stands still

    list(asking.answers(questions(pairs(2), set())))

    assert waits == pytest.approx([0.0, 2.0, 4.0, 6.0])


def test_an_interrupted_run_waits_for_what_was_asked_and_the_next_asks_the_rest(
    tmp_path: Path,
) -> None:
    asked = questions(pairs(20), set())
    seen: Counter[tuple[str, str]] = Counter()
    begun, go_on = threading.Semaphore(0), threading.Event()

    def judge(prompt: str, first: str, second: str) -> float:
        seen[prompt, first] += 1
        begun.release()
        go_on.wait()
        return 1.0

    asking = JudgeRun(judge, "a judge", QUICK)

    def interrupt() -> None:
        for _ in range(QUICK.parallel):
            begun.acquire()
        asking.interrupt()
        asking.stopped.wait()
        go_on.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    table = tmp_path / "preferences.csv"
    with open_journal(table) as journal:
        for each in asking.answers(asked):
            journal.add(each)
        assert len(journal.rows) == QUICK.parallel
    thread.join()

    with open_journal(table) as journal:
        for each in run(judge, questions(pairs(20), journal.settled)):
            journal.add(each)
        assert len(journal.settled) == 40
    assert set(seen.values()) == {1}
    assert len(seen) == 40


def test_a_torn_row_is_cut_off(tmp_path: Path) -> None:
    table = tmp_path / "preferences.csv"
    with open_journal(table) as journal:
        for each in run(for_the_candidate, questions(pairs(2), set())):
            journal.add(each)
    content = table.read_bytes()
    table.write_bytes(content[:-20])

    with open_journal(table) as journal:
        assert len(journal.rows) == 3
        assert len(questions(pairs(2), journal.settled)) == 1


def test_a_failed_question_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    def failing(prompt: str, first: str, second: str) -> float:
        if first == "primary":
            raise TimeoutError
        return 1.0

    table = tmp_path / "preferences.csv"
    with open_journal(table) as journal:
        for each in run(failing, questions(pairs(3), set())):
            journal.add(each)
        assert not journal.complete
        assert [each.first for each in questions(pairs(3), journal.settled)] == ["primary"] * 3


def test_two_runs_do_not_write_one_table(tmp_path: Path) -> None:
    table = tmp_path / "preferences.csv"
    with (
        open_journal(table),
        pytest.raises(PreferencesUnreadableError, match="another run"),
        open_journal(table),
    ):
        pass


def test_another_table_is_not_written_to(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("request_id,label\nr1,1\n")

    with pytest.raises(PreferencesUnreadableError, match="--out"), open_journal(table):
        pass
    assert table.read_text() == "request_id,label\nr1,1\n"


def test_a_judge_is_named_by_module_and_function(tmp_path: Path) -> None:
    (tmp_path / "a_judge_of_this_test.py").write_text(
        "def prefer(*_):\n    return 'tie'\n\nx = 1\n"
    )

    found = named_judge("a_judge_of_this_test:prefer", tmp_path)

    assert found("", "", "") == "tie"
    for name in ("a_judge_of_this_test", "no_such_module:f", "a_judge_of_this_test:y"):
        with pytest.raises(JudgeNotFoundError):
            named_judge(name, tmp_path)
    with pytest.raises(JudgeNotFoundError, match="not callable"):
        named_judge("a_judge_of_this_test:x", tmp_path)
