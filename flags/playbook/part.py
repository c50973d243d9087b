"""The base of every part of a playbook, and the kinds of values in it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from flags.playbook.durations import DURATION_PATTERN, duration


def matching(pattern: str, wanted: str) -> Callable[[str], str]:
    """Return a validator that a text matches `pattern`; `wanted` is for its error message."""

    def check(text: str) -> str:
        if not re.match(pattern, text):
            raise ValueError(f"{text!r} is not {wanted}")
        return text

    return check


Address = Annotated[
    str, AfterValidator(matching(r"https?://\S+$|\$\{\w+\}", "an http or https URL, or ${NAME}"))
]
Duration = Annotated[
    timedelta,
    BeforeValidator(
        duration, json_schema_input_type=Annotated[str, Field(pattern=DURATION_PATTERN)]
    ),
]

Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


def _is_part(default: Any) -> bool:
    return isinstance(default, BaseModel | dict)


class Part(BaseModel):
    """Base class of a mapping in a playbook; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, value: Any) -> Any:
        """Read a part with nothing below its key (all of it is a comment, say) as not given."""
        if not isinstance(value, dict):
            return value
        parts = {name for name, field in cls.model_fields.items() if _is_part(field.default)}
        return {key: each for key, each in value.items() if each is not None or key not in parts}
