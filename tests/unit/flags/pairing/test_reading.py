"""The reading of numbers from answers, and of recorded values from inputs."""

import enum
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.errors import AnswerUnreadableError, NonFiniteScoreError, ReadingError
from flags.pairing.kinds.category import Category
from flags.pairing.kinds.number import Number
from flags.pairing.kinds.ranking import Ranking
from flags.pairing.kinds.score import Score
from flags.pairing.reading import Reading
from tests.support.fakes import Unprintable


class Verdict(NamedTuple):
    score: float


class Decision(pydantic.BaseModel):
    probability: float = 0.25
    threshold: float = 0.5
    parts: list[dict[str, float]] = [{"score": 0.75}]

    @property
    def doubled(self) -> float:
        return 2 * self.probability


@pytest.mark.parametrize(
    ("score", "answer", "expected"),
    [
        ("probability", Decision(), {"probability": 0.25}),
        ("doubled", Decision(), {"doubled": 0.5}),
        ("parts.0.score", Decision(), {"score": 0.75}),
        ("0.score", [Verdict(0.1)], {"score": 0.1}),
        ("-1", [0.1, 0.2], {"-1": 0.2}),
        ("result.p", {"result": {"p": 0.3}}, {"p": 0.3}),
        ("0", {"0": 0.4}, {"0": 0.4}),
        ("p", pd.Series({"p": 0.5}), {"p": 0.5}),
        ("p", pd.DataFrame({"p": [0.6]}), {"p": 0.6}),
        ("0", np.array([[0.7]]), {"0": 0.7}),
        ("p", {"p": np.float32(0.5)}, {"p": 0.5}),
        ("p", {"p": Decimal("0.5")}, {"p": 0.5}),
        ({"a": "x", "b": lambda answer: answer["y"]}, {"x": 1, "y": 2}, {"a": 1.0, "b": 2.0}),
        (lambda answer: answer * 2, 0.2, {"score": 0.4}),
        (math.sqrt, 0.25, {"sqrt": 0.5}),
    ],
)
def test_scores_are_read_by_path_or_callable(
    score: Any, answer: Any, expected: dict[str, float]
) -> None:
    read = Reading.of(score).scores(answer)
    assert read == expected
    assert all(type(value) is float for value in read.values())


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        {},
        {"p": None},
        {"p": "high"},
        {"p": []},
        {"p": [0.1, 0.2]},
        {"p": np.array([0.1, 0.2])},
        {"p": {"nested": 1}},
        {"p": Unprintable()},
        {"p": 10**400},
    ],
)
def test_an_answer_without_the_score_says_so_without_quoting_it(answer: Any) -> None:
    with pytest.raises(
        AnswerUnreadableError, match=r"^p cannot be read from an answer of type \w+: \w+$"
    ):
        Reading.of("p").scores(answer)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), "nan"])
def test_a_score_that_is_not_finite_says_so(value: Any) -> None:
    with pytest.raises(NonFiniteScoreError, match=r"^p is (nan|inf|-inf)$"):
        Reading.of("p").scores({"p": value})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_score_is_read_as_it_is(value: float) -> None:
    assert Reading.of("p").scores({"p": value}) == {"p": value}


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (None, {}),
        (0.5, {"a": 0.5, "b": 0.5}),
        (1, {"a": 1.0, "b": 1.0}),
        ("limit", {"a": 0.3, "b": 0.3}),
        (lambda answer: answer["limit"] * 2, {"a": 0.6, "b": 0.6}),
        ({"a": 0.1}, {"a": 0.1}),
        ({"a": "limit", "b": 0.2}, {"a": 0.3, "b": 0.2}),
    ],
)
def test_thresholds_are_for_all_outputs_or_by_name(threshold: Any, expected: Any) -> None:
    reading = Reading.of({"a": "x", "b": "y"}, threshold)
    assert reading.thresholds({"x": 1, "y": 2, "limit": 0.3}) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"score": ""}, "score is ''"),
        ({"score": "a..b"}, "score is 'a..b'"),
        ({"score": {}}, "score is {}"),
        ({"score": 5}, "score is 5"),
        ({"score": {"a": 5}}, r"score\['a'\] is 5"),
        ({"score": "p", "threshold": math.nan}, "threshold is nan: it must be a finite number"),
        ({"score": "p", "threshold": True}, "threshold is True"),
        ({"score": "p", "threshold": {"q": 1}}, r"threshold names the outputs \['q'\]"),
        ({"score": "p", "threshold": {"p": math.inf}}, r"threshold\['p'\] is inf"),
        ({"score": "p", "segments": "country"}, r"segments is the string .* such as \['country'\]"),
        ({"score": "p", "segments": 5}, "segments is 5: it must be a list"),
        ({"score": "p", "features": [len]}, "features lists .* which has no name"),
        ({"score": "p", "features": ["a."]}, "features is 'a.'"),
        ({"score": "p", "segments": {"a": 5}}, r"segments\['a'\] is 5"),
        ({"score": "p", "segments": ["card.country", "shop.country"]}, "two paths .* 'country'"),
    ],
)
def test_what_cannot_be_understood_is_an_error_that_names_the_argument(
    arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ReadingError, match=words):
        Reading.of(**arguments)


def test_segments_are_text_and_features_are_finite_floats() -> None:
    reading = Reading.inputs(
        segments=["card.country", "known", "absent", "none"],
        features={"amount": "card.amount", "flag": "known", "text": "card.country", "nan": "nan"},
    )
    row = {
        "card": {"country": "FR", "amount": 12},
        "known": True,
        "none": None,
        "nan": math.nan,
    }
    assert reading.segments(row) == {"country": "FR", "known": "True"}
    assert reading.features(row) == {"amount": 12.0, "flag": 1.0}


def broken(_: Any) -> Any:
    raise RuntimeError


@pytest.mark.parametrize("inputs", [{"x": Unprintable()}, {"x": 10**400}, {}, None, []])
def test_an_input_value_that_cannot_be_recorded_is_left_out(inputs: Any) -> None:
    """Nothing raises here: inputs are read before the models run, while the caller waits."""
    reading = Reading.inputs(segments={"broken": broken, "x": "x"}, features={"x": "x"})
    assert set(reading.segments(inputs)) <= {"x"}
    assert reading.features(inputs) == {}


def test_nothing_of_the_input_is_recorded_unless_it_is_named() -> None:
    reading = Reading.of("p")
    assert reading.segments({"p": 1}) == {}
    assert reading.features({"p": 1}) == {}


def test_an_api_without_compared_numbers_reads_nothing() -> None:
    reading = Reading.nothing()
    assert reading.scores(object()) == reading.thresholds(object()) == {}


def test_a_path_that_no_answer_can_have_is_found_before_the_first_request() -> None:
    with pytest.raises(
        ReadingError,
        match=r"^score 'probabilty' is not in an answer of /predict, which has probability, thr",
    ):
        Reading.of("probabilty").of_answers(Decision, "/predict")
    with pytest.raises(ReadingError, match=r"^threshold 'limit\.x' is not in"):
        Reading.of("probability", "limit.x").of_answers(Decision, "/predict")


@pytest.mark.parametrize("score", ["probability", "doubled", "parts.0.score", lambda _: 0.5])
def test_a_path_that_an_answer_may_have_passes_the_check(score: Any) -> None:
    Reading.of(score, 0.5).of_answers(Decision, "/predict")


class Rows(pydantic.RootModel[list[float]]):
    pass


@pytest.mark.parametrize("answers", [Rows, dict, int])
def test_answers_without_named_fields_are_not_checked(answers: type[Any]) -> None:
    Reading.of("0.score").of_answers(answers, "/predict")


class Species(enum.Enum):
    CAT = "cat"


class Animal(pydantic.BaseModel):
    species: str = "cat"
    kind: Species = Species.CAT
    tame: bool | None = True
    size: Literal["small", "large"] = "small"
    legs: int = 4
    weight: float = 3.5
    probs: dict[str, float] = {"dog": 0.2, "cat": 0.7, "fox": 0.08, "owl": 0.02}


@pytest.mark.parametrize("field", ["species", "kind", "tame", "size"])
def test_a_field_of_words_is_a_class(field: str) -> None:
    reading = Reading.of(field).of_answers(Animal, "/ask")
    assert reading.scores(Animal()) == {}
    expected = {"species": "cat", "kind": "cat", "tame": "true", "size": "small"}
    assert reading.values(Animal()) == {field: {"class": expected[field]}}


def test_a_field_of_numbers_is_a_number_and_a_declared_kind_wins() -> None:
    reading = Reading.of({"weight": "weight", "legs": Category("legs")}).of_answers(Animal, "/ask")
    assert reading.scores(Animal()) == {"weight": 3.5}
    assert reading.values(Animal()) == {"legs": {"class": "4"}}


def test_a_truth_with_a_threshold_stays_a_score() -> None:
    reading = Reading.of("tame", threshold=0.5).of_answers(Animal, "/ask")
    assert reading.scores(Animal()) == {"tame": 1.0}


def test_the_likeliest_classes_are_recorded_in_order() -> None:
    reading = Reading.of(Category("species", probabilities="probs", top=2))
    assert reading.values(Animal()) == {"species": {"class": "cat", "top": "|cat|dog|"}}


@pytest.mark.parametrize("said", [3.5, None, ["cat"], "x" * 129])
def test_what_is_not_a_name_of_a_class_cannot_be_read(said: Any) -> None:
    with pytest.raises(AnswerUnreadableError, match="species"):
        Reading.of(Category("species")).values({"species": said})


class Shop(pydantic.BaseModel):
    ids: list[int] = [17, 4, 17, 9]
    keys: Sequence[str] | None = ("a|b", "c=d", "50%")
    pair: tuple[int, str] = (1, "a")
    weights: list[float] = [0.5]
    items: list[dict[str, Any]] = [{"id": 3, "kind": "hat"}, {"id": "x", "kind": "a bag"}]


@pytest.mark.parametrize(
    ("field", "recorded"), [("ids", "|17|4|9|"), ("keys", "|a%7Cb|c%3Dd|50%25|")]
)
def test_a_list_of_ids_is_a_ranking(field: str, recorded: str) -> None:
    """Of an id that is listed twice, the first place counts; bars inside ids are escaped."""
    reading = Reading.of(field).of_answers(Shop, "/ask")
    assert reading.values(Shop()) == {field: {"ranking": recorded}}


@pytest.mark.parametrize("field", ["pair", "weights", "items"])
def test_a_list_of_anything_else_is_not_a_ranking_by_itself(field: str) -> None:
    assert not Reading.of(field).of_answers(Shop, "/ask").kinds


@pytest.mark.parametrize(
    ("declared", "recorded"),
    [
        (Ranking("items", item="id", group="kind"), {"ranking": "|3|x|", "groups": "|hat||a bag|"}),
        (Ranking("items", item="id", top=1), {"ranking": "|3|"}),
        (Ranking(lambda shop: np.array(shop.ids), top=2), {"ranking": "|17|4|"}),
        (Ranking(lambda _: [], group="kind"), {"ranking": "|", "groups": "|"}),
        (Ranking(lambda _: (Animal().size, UUID(int=1))), {"ranking": f"|small|{UUID(int=1)}|"}),
    ],
)
def test_a_declared_ranking_says_where_ids_and_groups_are(
    declared: Ranking, recorded: dict[str, str]
) -> None:
    assert Reading.of({"shown": declared}).values(Shop()) == {"shown": recorded}


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ("abc", "not a list in an order"),
        ({1, 2}, "not a list in an order"),
        (7, "not a list in an order"),
        ([1.5], "which is not an id"),
        ([True], "which is not an id"),
        ([{"id": 1}], r"Ranking\(..., item=...\) says where it is"),
        (["x" * 129], "129 characters"),
    ],
)
def test_what_is_not_a_ranking_cannot_be_read(found: Any, problem: str) -> None:
    with pytest.raises(AnswerUnreadableError, match=problem):
        Reading.of(Ranking("items")).values({"items": found})


@pytest.mark.parametrize("top", [0, 51, 2.5])
def test_a_ranking_records_some_ids_and_not_too_many(top: Any) -> None:
    with pytest.raises(ReadingError, match="whole number from 1 to 50"):
        Ranking("items", top=top)


def test_the_threshold_of_all_is_not_that_of_declared_numbers() -> None:
    reading = Reading.of({"p": "p", "price": Number("price")}, threshold=0.5)
    assert reading.thresholds({}) == {"p": 0.5}


def test_an_alarm_below_the_threshold_is_one_below_it_alone() -> None:
    reading = Reading.of(Score("rating", threshold=300, alarm="below"))
    for rating, alarm in ((299.0, True), (300.0, False), (301.0, False)):
        scores, thresholds = reading.scores({"rating": rating}), reading.thresholds({})
        assert reading.decisions(scores, thresholds) == {"rating": alarm}


def test_a_path_of_a_kind_that_no_answer_has_is_found_before_the_first_request() -> None:
    with pytest.raises(ReadingError, match="probabilities 'odds' is not in an answer of /ask"):
        Reading.of(Category("species", probabilities="odds")).of_answers(Animal, "/ask")
