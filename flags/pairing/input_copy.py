"""A copy of the input for the candidate, so that neither side can change the other's."""

import copy
import datetime
import decimal
import enum
import uuid
from typing import Any, Final

import pydantic

from flags.pairing.scorer import Call

_IMMUTABLE: Final = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    enum.Enum,
    uuid.UUID,
)


def isolated(call: Call) -> Call | Exception:
    """Return `call` with arguments of its own, or why they cannot be copied."""
    try:
        return Call(
            tuple(copied(value) for value in call.args),
            {name: copied(value) for name, value in call.kwargs.items()},
        )
    except Exception as error:
        return error


def copied(value: Any) -> Any:
    """Return `value` if nothing can change it, else a copy; raises what copying raises."""
    if isinstance(value, _IMMUTABLE):
        return value
    # A flat model of numbers and strings, the usual input, needs no deep copy.
    if isinstance(value, pydantic.BaseModel) and _is_flat(value):
        return value.model_copy()
    return copy.deepcopy(value)


def _is_flat(model: pydantic.BaseModel) -> bool:
    extra = model.__pydantic_extra__
    return (
        not extra
        and not model.__pydantic_private__
        and all(isinstance(value, _IMMUTABLE) for value in model.__dict__.values())
    )
