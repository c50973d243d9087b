"""Pickles of inputs and answers for a process that runs the same code.

Plain pickle finds a class by its name. A class that BentoML made for a whole body, and a generic
model in an annotation (`Page[Claim]`), have none.
"""

import io
import operator
import pickle
from typing import Any, NamedTuple

import pydantic

from flags.pairing.images import PicklableImage
from flags.serving.bentoml_private import IOMixin


def pickled(value: Any) -> bytes:
    """Return the pickle of `value`; raises what pickling raises."""
    written = io.BytesIO()
    _ValuePickler(written, protocol=5).dump(value)
    return written.getvalue()


class _ValuePickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Reduce what plain pickle cannot, or should not, send as it is."""
        if isinstance(value, type):
            return _reduced_class(value)
        if type(value).__module__ == "torch" and getattr(value, "is_cuda", False):
            return value.cpu().__reduce_ex__(5)  # the worker that sends the answer has no GPU
        return NotImplemented


def _reduced_class(kind: type) -> Any:
    generic = vars(kind).get("__pydantic_generic_metadata__")
    if generic and generic["origin"]:
        return operator.getitem, (generic["origin"], generic["args"])
    if kind.__module__ == IOMixin.__module__ and kind.__bases__[0] is IOMixin:
        return _same, (kind.__bases__[1],)  # the class in the API's annotation
    return NotImplemented


def _same(kind: type) -> type:
    return kind


class ModelState(NamedTuple):
    """State of a model whose class the other process knows from its API, and has validated."""

    state: dict[str, Any]

    @classmethod
    def of(cls, model: pydantic.BaseModel) -> "ModelState":
        """Return the state of `model`, with images that are sent as their files."""
        state: dict[str, Any] = model.__getstate__()
        fields = {name: PicklableImage.of(value) for name, value in state["__dict__"].items()}
        return cls({**state, "__dict__": fields})

    @classmethod
    def of_fields(cls, fields: dict[str, Any]) -> "ModelState":
        """Return the state of a model with these fields."""
        return cls(
            {
                "__dict__": fields,
                "__pydantic_extra__": None,
                "__pydantic_fields_set__": set(fields),
                "__pydantic_private__": None,
            }
        )

    @classmethod
    def of_whole_body(cls, value: Any) -> Any:
        """Return the state of an input whose class BentoML made; any other value unchanged."""
        return cls.of(value) if isinstance(value, IOMixin) else value

    def restored(self, kind: type[Any]) -> Any:
        """Return the model as an instance of `kind`, without validating it again."""
        model: Any = object.__new__(kind)
        model.__setstate__(self.state)
        return model
