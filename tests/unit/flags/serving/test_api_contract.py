"""Two services become one only if the candidate can stand in for the primary."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import bentoml
import pydantic
import pytest
from bentoml import Service

from flags.errors import ApiMismatchError
from flags.pairing.call import Call
from flags.serving.api_contract import shared_apis
from flags.serving.side_calls import convert_call


class Card(pydantic.BaseModel):
    country: str = "FR"


class Transaction(pydantic.BaseModel):
    amount: Annotated[float, pydantic.Field(ge=0)]
    card: Card
    channel: Literal["web", "shop"] = "web"


class Decision(pydantic.BaseModel):
    probability: float
    alarm: bool


def predict(self: Any, transaction: Transaction) -> Decision:
    raise NotImplementedError


def serving(method: Callable[..., Any], service: str = "Candidate", **options: Any) -> Service[Any]:
    """Return a service with one API."""
    api = bentoml.api(method, **options) if options else bentoml.api(method)
    return bentoml.service(name=service)(type(service, (), {method.__name__: api}))


PRIMARY = serving(predict, "Primary")


def with_input(kind: Any) -> Service[Any]:
    """Return a candidate whose transaction is of `kind`."""

    def predict(self: Any, transaction: Any) -> Decision:
        raise NotImplementedError

    predict.__annotations__["transaction"] = kind
    return serving(predict)


def with_another_parameter() -> Service[Any]:
    def predict(self: Any, row: Transaction) -> Decision:
        raise NotImplementedError

    return serving(predict)


def with_output(kind: Any) -> Service[Any]:
    """Return a candidate that returns `kind`."""

    def predict(self: Any, transaction: Transaction) -> Any:
        raise NotImplementedError

    predict.__annotations__["return"] = kind
    return serving(predict)


def changed(**fields: Any) -> Service[Any]:
    """Return a candidate whose transaction has `fields` in place of, or beside, its own."""
    own: dict[str, Any] = {
        "amount": (Annotated[float, pydantic.Field(ge=0)], ...),
        "card": (Card, ...),
        "channel": (Literal["web", "shop"], "web"),
    }
    kept = {name: kind for name, kind in {**own, **fields}.items() if kind is not None}
    return with_input(pydantic.create_model("Transaction", **kept))


def difference(candidate: Service[Any], primary: Service[Any] = PRIMARY) -> str:
    with pytest.raises(ApiMismatchError) as raised:
        shared_apis(primary, candidate)
    return str(raised.value)


def test_the_same_classes_are_the_same_api() -> None:
    shared = shared_apis(PRIMARY, with_input(Transaction))
    assert list(shared) == ["predict"]
    assert shared["predict"].primary is PRIMARY.apis["predict"]
    assert shared["predict"].same_input_types


class OtherCard(pydantic.BaseModel):
    """A card, described in other words."""

    country: str = pydantic.Field("FR", description="ISO 3166", title="Land", examples=["DE"])


class OtherTransaction(pydantic.BaseModel):
    """The same transaction as another team wrote it, its fields in another order."""

    card: OtherCard = pydantic.Field(description="the card")
    channel: Literal["web", "shop"] = pydantic.Field("web", description="where")
    amount: float = pydantic.Field(ge=0, description="in euros")


def test_prose_names_of_classes_and_the_order_of_fields_are_not_a_difference() -> None:
    shared = shared_apis(PRIMARY, with_input(OtherTransaction))["predict"]
    assert not shared.same_input_types


def test_another_class_with_the_same_schema_is_given_its_own_objects() -> None:
    shared = shared_apis(PRIMARY, with_input(OtherTransaction))["predict"]
    given = Transaction(amount=5, card=Card(country="DE"))
    call = convert_call(Call((), {"transaction": given}), shared)
    assert not isinstance(call, Exception)
    assert call.kwargs == {
        "transaction": OtherTransaction(amount=5, card=OtherCard(country="DE"), channel="web")
    }


DIFFERENCES = {
    "a field more": (
        changed(merchant=(str, ...)),
        "input.transaction.merchant is present (string) instead of absent; "
        "input.transaction.required is ['amount', 'card', 'merchant'] "
        "instead of ['amount', 'card']",
    ),
    "a field less": (
        changed(channel=None),
        "input.transaction.channel is absent instead of present (string)",
    ),
    "a field renamed": (
        changed(channel=None, source=(Literal["web", "shop"], "web")),
        "input.transaction.channel is absent instead of present (string); "
        "input.transaction.source is present (string) instead of absent",
    ),
    "another type": (
        changed(amount=(str, ...)),
        "input.transaction.amount.minimum is absent instead of 0; "
        "input.transaction.amount.type is 'string' instead of 'number'",
    ),
    "another bound": (
        changed(amount=(Annotated[float, pydantic.Field(ge=1)], ...)),
        "input.transaction.amount.minimum is 1 instead of 0",
    ),
    "another default": (
        changed(channel=(Literal["web", "shop"], "shop")),
        "input.transaction.channel.default is 'shop' instead of 'web'",
    ),
    "other choices": (
        changed(channel=(Literal["web", "phone"], "web")),
        "input.transaction.channel.enum is ['web', 'phone'] instead of ['web', 'shop']",
    ),
    "required no more": (
        changed(amount=(Annotated[float, pydantic.Field(ge=0)], 0.0)),
        "input.transaction.amount.default is 0.0 instead of absent; "
        "input.transaction.required is ['card'] instead of ['amount', 'card']",
    ),
    "a nested field": (
        changed(card=(pydantic.create_model("Card", country=(int, 1)), ...)),
        "input.transaction.card.country.default is 1 instead of 'FR'; "
        "input.transaction.card.country.type is 'integer' instead of 'string'",
    ),
    "a default beside a reference": (
        changed(card=(Card, Card())),
        "input.transaction.card.default is present (any type) instead of absent; "
        "input.transaction.required is ['amount'] instead of ['amount', 'card']",
    ),
    "another parameter": (
        with_another_parameter(),
        "input.transaction is absent instead of present (object); "
        "input.row is present (object) instead of absent; "
        "input.required is ['row'] instead of ['transaction']",
    ),
    "a list of it": (
        with_input(list[Transaction]),
        "input.transaction.type is 'array' instead of 'object'; "
        "input.transaction.items is present (object) instead of absent",
    ),
    "another output": (
        with_output(pydantic.create_model("Decision", probability=(float, ...))),
        "output.alarm is absent instead of present (boolean); "
        "output.required is ['probability'] instead of ['alarm', 'probability']",
    ),
    "an output of another media type": (
        with_output(str),
        "media type: 'text/plain' instead of 'application/json'",
    ),
    "a file": (
        with_output(Annotated[Path, bentoml.validators.ContentType("image/png")]),
        "media type: 'image/png' instead of 'application/json'",
    ),
}


@pytest.mark.parametrize(("candidate", "words"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_a_difference_is_named_with_its_route_and_its_place(
    candidate: Service[Any], words: str
) -> None:
    message = difference(candidate)
    assert message.startswith("API /predict: Candidate differs from Primary: ")
    assert words in message


def test_a_stream_cannot_stand_in_for_an_answer() -> None:
    async def predict(self: Any, transaction: Transaction) -> AsyncGenerator[str, None]:
        yield ""

    assert "is a stream: True instead of False" in difference(serving(predict))


def test_a_task_cannot_stand_in_for_an_answer() -> None:
    def predict(self: Any, transaction: Transaction) -> Decision:
        raise NotImplementedError

    task = bentoml.service(name="Candidate")(
        type("Candidate", (), {"predict": bentoml.task(predict)})
    )
    assert "is a task: True instead of False" in difference(task)


def test_a_route_that_the_candidate_lacks_is_named_with_those_it_has() -> None:
    def score(self: Any, transaction: Transaction) -> Decision:
        raise NotImplementedError

    assert difference(serving(score)) == (
        "Candidate has no API /predict as Primary has; it has /score"
    )
    assert difference(bentoml.service(name="Candidate")(type("Candidate", (), {}))) == (
        "Candidate has no API /predict as Primary has; it has none"
    )


def test_a_primary_without_apis_cannot_be_migrated() -> None:
    empty = bentoml.service(name="Empty")(type("Empty", (), {}))
    assert difference(PRIMARY, empty) == "Empty has no API that a candidate could take over"


def test_routes_decide_and_not_the_names_of_methods() -> None:
    def classify(self: Any, transaction: Transaction) -> Decision:
        raise NotImplementedError

    shared = shared_apis(PRIMARY, serving(classify, route="/predict"))
    assert shared["predict"].candidate.name == "classify"


def test_further_apis_of_the_candidate_are_not_a_difference() -> None:
    def predict(self: Any, transaction: Transaction) -> Decision:
        raise NotImplementedError

    def explain(self: Any, transaction: Transaction) -> str:
        raise NotImplementedError

    both = bentoml.service(name="Candidate")(
        type("Candidate", (), {"predict": bentoml.api(predict), "explain": bentoml.api(explain)})
    )
    assert list(shared_apis(PRIMARY, both)) == ["predict"]


class Branch(pydantic.BaseModel):
    leaves: list["Branch"] = []


def test_a_model_that_contains_itself_is_compared_as_well() -> None:
    def predict(self: Any, transaction: Branch) -> Decision:
        raise NotImplementedError

    primary, candidate = serving(predict, "Primary"), serving(predict)
    assert list(shared_apis(primary, candidate)) == ["predict"]
    assert "input.transaction.leaves" in difference(with_input(Transaction), primary)


def test_a_field_may_be_named_as_a_keyword_of_json_schema() -> None:
    """`title` and `required` are prose and keyword in a schema, and fields in a model."""
    named = pydantic.create_model("Named", title=(str, ...), required=(int, ...))
    other = pydantic.create_model("Named", title=(int, ...), required=(int, ...))

    def predict(self: Any, transaction: Any) -> Decision:
        raise NotImplementedError

    predict.__annotations__["transaction"] = named
    primary = serving(predict, "Primary")
    assert "input.transaction.title.type is 'integer'" in difference(with_input(other), primary)
    assert shared_apis(primary, with_input(named))


def whole_body(self: Any, transaction: Transaction, /) -> Decision:
    raise NotImplementedError


def other_whole_body(self: Any, transaction: OtherTransaction, /) -> Decision:
    raise NotImplementedError


WHOLE = serving(whole_body, "Primary", route="/predict")


def test_a_model_that_is_the_whole_body_is_compared_by_its_fields() -> None:
    def same(candidate: Callable[..., Any]) -> bool:
        shared = shared_apis(WHOLE, serving(candidate, route="/predict"))
        return shared["whole_body"].same_input_types

    assert same(whole_body)
    assert not same(other_whole_body)
    assert "input.amount is absent instead of present" in difference(PRIMARY, WHOLE)


def test_a_model_that_is_the_whole_body_is_given_as_the_other_s_own_class() -> None:
    shared = shared_apis(WHOLE, serving(other_whole_body, route="/predict"))["whole_body"]
    given = Transaction(amount=5, card=Card())
    call = convert_call(Call((given,)), shared)
    assert not isinstance(call, Exception)
    (converted,) = call.args
    assert isinstance(converted, OtherTransaction)
    assert converted.model_dump() == given.model_dump()
