"""The input of a fraud detector, a `Transaction` with 15 features, and its `FraudDecision`.

The features are those of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot and Bontempi,
2022, chapter 3, "Baseline feature transformation"); a field is its column's name in lower case.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Flag = Annotated[int, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]

_EXAMPLE: Final[JsonDict] = {
    "transaction_id": 1101743,
    "tx_amount": 57.16,
    "tx_during_weekend": 0,
    "tx_during_night": 0,
    "customer_id_nb_tx_1day_window": 2,
    "customer_id_avg_amount_1day_window": 49.9,
    "customer_id_nb_tx_7day_window": 15,
    "customer_id_avg_amount_7day_window": 52.31,
    "customer_id_nb_tx_30day_window": 63,
    "customer_id_avg_amount_30day_window": 54.02,
    "terminal_id_nb_tx_1day_window": 1,
    "terminal_id_risk_1day_window": 0.0,
    "terminal_id_nb_tx_7day_window": 6,
    "terminal_id_risk_7day_window": 0.0,
    "terminal_id_nb_tx_30day_window": 27,
    "terminal_id_risk_30day_window": 0.037,
}


class Transaction(BaseModel):
    """One card transaction with its features at the moment of payment.

    Customer windows end with this transaction and include it. Terminal windows end seven days
    before it, because fraud becomes known only after that time.
    """

    model_config = ConfigDict(
        title="Transaction",  # in error messages, instead of BentoML's TransactionIODescriptor
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # BentoML logs the errors of refused requests
        json_schema_extra={"example": _EXAMPLE},  # BentoML's OpenAPI pages fail on `examples`
    )

    transaction_id: Count | None = Field(
        None, description="Number of the transaction in the caller's books. Not a feature."
    )
    tx_amount: Amount = Field(description="Amount paid, in currency units.")
    tx_during_weekend: Flag = Field(description="1 on Saturday and Sunday, else 0.")
    tx_during_night: Flag = Field(description="1 from 00:00 to 06:59, else 0.")
    customer_id_nb_tx_1day_window: Count = Field(
        description="Transactions of the customer in the last day, this one included."
    )
    customer_id_avg_amount_1day_window: Amount = Field(
        description="Mean amount of the customer's transactions in the last day, in currency units."
    )
    customer_id_nb_tx_7day_window: Count = Field(
        description="Transactions of the customer in the last 7 days, this one included."
    )
    customer_id_avg_amount_7day_window: Amount = Field(
        description="Mean amount of the customer's transactions in the last 7 days."
    )
    customer_id_nb_tx_30day_window: Count = Field(
        description="Transactions of the customer in the last 30 days, this one included."
    )
    customer_id_avg_amount_30day_window: Amount = Field(
        description="Mean amount of the customer's transactions in the last 30 days."
    )
    terminal_id_nb_tx_1day_window: Count = Field(
        description="Transactions at the terminal in the day that ended 7 days ago."
    )
    terminal_id_risk_1day_window: Share = Field(
        description="Share of fraud, 0 to 1, at the terminal in the day that ended 7 days ago."
    )
    terminal_id_nb_tx_7day_window: Count = Field(
        description="Transactions at the terminal in the 7 days that ended 7 days ago."
    )
    terminal_id_risk_7day_window: Share = Field(
        description="Share of fraud, 0 to 1, at the terminal in the 7 days that ended 7 days ago."
    )
    terminal_id_nb_tx_30day_window: Count = Field(
        description="Transactions at the terminal in the 30 days that ended 7 days ago."
    )
    terminal_id_risk_30day_window: Share = Field(
        description="Share of fraud, 0 to 1, at the terminal in the 30 days that ended 7 days ago."
    )


class FraudDecision(BaseModel):
    """A fraud detector's decision on one transaction."""

    model_config = ConfigDict(title="Decision", frozen=True, allow_inf_nan=False)

    fraud_probability: Share = Field(description="Probability of fraud, 0 to 1.")
    alarm: bool = Field(
        description="True when the probability reaches the model's alarm threshold: "
        "a reviewer looks at the transaction."
    )
    threshold: Share = Field(description="Alarm threshold of the model that answered.")


FEATURES: Final[tuple[str, ...]] = tuple(
    name for name in Transaction.model_fields if name != "transaction_id"
)
"""The 15 features, in the order of the model's input columns."""

COLUMNS: Final[Mapping[str, str]] = MappingProxyType({name: name.upper() for name in FEATURES})
"""Feature -> column of a transaction table (the simulator's, the handbook's), in the same order."""

_features_of = attrgetter(*FEATURES)


def to_rows(transactions: Iterable[Transaction]) -> NDArray[np.float64]:
    """Return the features as the model's input: float64, shape (n, 15), order of `FEATURES`."""
    return np.array([_features_of(each) for each in transactions], dtype=np.float64)
