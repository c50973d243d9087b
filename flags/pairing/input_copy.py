"""A copy of the input for the candidate, so that neither side can change the other's."""

import copy
import datetime
import decimal
import enum
import uuid
from typing import Any, Final

import pydantic

from flags.pairing.call import Call
from flags.pairing.images import is_image, is_list_of_images, opened_again

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


def copy_call(call: Call) -> Call | Exception:
    """Return `call` with copied arguments, or the exception that copying raised."""
    try:
        return Call(
            tuple(copy_mutable(value) for value in call.args),
            {name: copy_mutable(value) for name, value in call.kwargs.items()},
        )
    except Exception as error:
        return error


_IMMUTABLE_TYPES: Final = frozenset(_IMMUTABLE)
"""The same types as a set, in which a look-up is quicker than `isinstance`."""


def copy_mutable(value: Any) -> Any:
    """Return `value` if it is immutable, else a copy; raises what copying raises."""
    if _is_immutable(value):
        return value
    # A flat model of numbers and strings, the usual input, needs no deep copy.
    if isinstance(value, pydantic.BaseModel) and _is_flat(value):
        return value if value.model_config.get("frozen") else value.model_copy()
    if is_list_of_images(value):
        return [copy_mutable(each) for each in value]
    if is_image(value) and (again := opened_again(value)) is not value:
        return again
    return copy.deepcopy(value, _opened_images(value))


def _opened_images(value: Any) -> dict[int, Any]:
    """Return, for `deepcopy`, copies of a model's images that are made from their files."""
    fields = vars(value).values() if isinstance(value, pydantic.BaseModel) else ()
    lists = (each if is_list_of_images(each) else (each,) for each in fields)
    images = (each for images in lists for each in images if is_image(each))
    return {id(each): again for each in images if (again := opened_again(each)) is not each}


def _is_immutable(value: Any) -> bool:
    return type(value) in _IMMUTABLE_TYPES or isinstance(value, _IMMUTABLE)


def _is_flat(model: pydantic.BaseModel) -> bool:
    if model.__pydantic_extra__ or model.__pydantic_private__:
        return False
    values = model.__dict__.values()
    return _IMMUTABLE_TYPES.issuperset(map(type, values)) or all(map(_is_immutable, values))
