import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from service.runners import FraudV1, FraudV2
from service.schema import COLUMNS, FEATURES, FraudDecision, Transaction, to_rows

EXAMPLE: dict[str, Any] = Transaction.model_json_schema()["example"]


def refusal(body: dict[str, Any]) -> tuple[str, str]:
    """Return field and kind of the one error that the body is refused for."""
    with pytest.raises(ValidationError) as refused:
        Transaction.model_validate_json(json.dumps(body))
    (error,) = refused.value.errors()
    return str(error["loc"][-1]), error["type"]


def test_the_example_in_the_docs_is_a_transaction() -> None:
    assert Transaction.model_validate_json(json.dumps(EXAMPLE)).model_dump() == EXAMPLE


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("tx_amount", float("nan"), "finite_number"),
        ("tx_amount", float("inf"), "finite_number"),
        ("customer_id_avg_amount_7day_window", float("-inf"), "finite_number"),
        ("tx_amount", "57.16", "float_type"),
        ("tx_amount", True, "float_type"),
        ("tx_amount", None, "float_type"),
        ("tx_amount", -0.01, "greater_than_equal"),
        ("tx_during_night", 2, "less_than_equal"),
        ("tx_during_weekend", True, "int_type"),
        ("customer_id_nb_tx_1day_window", 1.5, "int_type"),
        ("terminal_id_nb_tx_30day_window", -1, "greater_than_equal"),
        ("terminal_id_risk_1day_window", 1.01, "less_than_equal"),
        ("transaction_id", "abc", "int_type"),
        ("tx_currency", "EUR", "extra_forbidden"),
    ],
)
def test_a_value_that_is_not_a_feature_is_refused_by_name(
    field: str, value: Any, kind: str
) -> None:
    assert refusal({**EXAMPLE, field: value}) == (field, kind)


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_is_required(feature: str) -> None:
    body = {name: value for name, value in EXAMPLE.items() if name != feature}
    assert refusal(body) == (feature, "missing")


def test_the_transaction_id_is_optional_and_no_feature() -> None:
    body = {name: EXAMPLE[name] for name in FEATURES}
    assert np.array_equal(to_rows([Transaction(**body)]), to_rows([Transaction(**EXAMPLE)]))


def test_whole_numbers_are_accepted_as_amounts() -> None:
    assert Transaction(**{**EXAMPLE, "tx_amount": 57}).tx_amount == 57.0


def test_a_refusal_does_not_quote_the_input() -> None:
    with pytest.raises(ValidationError) as refused:
        Transaction.model_validate({**EXAMPLE, "tx_amount": "4111 1111 1111 1111"})
    assert "4111" not in str(refused.value)


def test_a_row_holds_the_features_in_the_order_of_the_columns() -> None:
    row = to_rows([Transaction(**EXAMPLE)])
    assert row.dtype == np.float64
    assert row.tolist() == [[EXAMPLE[name] for name in FEATURES]]
    assert len(FEATURES) == 15
    assert list(COLUMNS) == list(FEATURES)
    assert COLUMNS["tx_amount"] == "TX_AMOUNT"


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_a_decision_refuses_what_is_not_a_probability(probability: float) -> None:
    with pytest.raises(ValidationError):
        FraudDecision(fraud_probability=probability, alarm=False, threshold=0.5)


def test_both_services_document_the_same_api() -> None:
    """BentoML renders the docs on request only: a field it cannot render would be found late."""
    v1, v2 = (json.loads(json.dumps(s.openapi_spec.asdict())) for s in (FraudV1, FraudV2))
    assert v1["components"] == v2["components"]

    operation = v1["paths"]["/predict"]["post"]
    assert operation["description"] == v2["paths"]["/predict"]["post"]["description"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == set(FEATURES)
    assert all(body["properties"][feature]["description"] for feature in FEATURES)
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer["properties"]) == {"fraud_probability", "alarm", "threshold"}
