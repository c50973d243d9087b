"""BentoML's encoding of a call of a model's process: inputs and answers arrive as they were.

BentoML's own encoding between processes sends what `model_dump` makes of a value, and validates it
again: a field with an alias is missing then, a computed one too many, and a validator that changes
a value has changed it twice. It makes arrays read-only, loses the name of a file, by whose ending
a model may choose how to read it, and encodes an image again.
"""

import io
import pickle
import re
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple

import pydantic

from flags.pairing.images import PicklableImage
from flags.serving.bentoml_private import (
    ALL_SERDE,
    ARGS,
    KWARGS,
    FileSchema,
    IODescriptor,
    IORootModel,
    Payload,
    PickleSerde,
)
from flags.serving.sides.value_pickle import ModelState, pickled

VALUE_HEADER: Final = "x-bentoml-flags-value"
"""Header of an answer that is a value, not a response of the model."""

_VALUE: Final = b"\x80bentoml-flags\0"
"""Beginning of a value, which no text in UTF-8 has, and hardly any bytes that a model yields."""

_TEMPORARY: Final = re.compile(r"^tmp[a-z0-9_]{8}")
"""What BentoML puts before the name of an uploaded file, and puts there again in the process."""

_AS_IT_IS: Final = pydantic.TypeAdapter(Any)


class CallSerde(PickleSerde):  # type: ignore[misc]  # BentoML is not typed
    """The encoding of a model's process, chosen by the media type of a call."""

    media_type = f"{PickleSerde.media_type}-of-a-call"

    @classmethod
    def register(cls) -> None:
        """Let this process read calls: only one that no caller reaches may, for it unpickles."""
        ALL_SERDE[cls.media_type] = cls

    def serialize_model(self, model: Any) -> Payload:
        """Return an answer; a model that is not one raises, as in BentoML's own encodings."""
        if isinstance(model, IORootModel):
            value = model.root
        elif isinstance(model, pydantic.BaseModel):
            value = model
        else:
            raise AttributeError(f"{type(model).__name__!r} object has no attribute 'model_dump'")
        return Payload((_VALUE + _pickled(value),), {VALUE_HEADER: "1"})

    def deserialize_model(self, payload: Payload, cls: type[Any]) -> Any:
        """Return the input of a call as an instance of `cls`."""
        value = pickle.loads(b"".join(payload.data))  # noqa: S301 - the worker's own
        if isinstance(value, _Dumped):
            return cls.model_validate(value.value)
        return value.restored(cls)


def call_body(spec: type[IODescriptor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return the input of a call with arguments that BentoML has read by `spec`.

    Raises OSError if a file is gone.
    """
    return _pickled(_state(spec, args, kwargs))


def is_value(item: bytes) -> bool:
    """Say whether an item of a stream is a value, and not a text or bytes."""
    return item.startswith(_VALUE)


def answer_of(spec: type[IODescriptor], body: bytes) -> Any:
    """Return the value in an answer, or in an item of a stream."""
    value = pickle.loads(memoryview(body)[len(_VALUE) :])  # noqa: S301 - our own child
    if not isinstance(value, _Dumped):
        return value
    model = spec.model_validate(value.value)
    return model.root if isinstance(model, IORootModel) else model


def _state(spec: type[IODescriptor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelState:
    if getattr(spec, "__root_input__", False) and not issubclass(spec, IORootModel):
        state = ModelState.of(args[0]).state
        return ModelState({**state, "__dict__": _sent_files(spec, state["__dict__"])})
    fields = {"root": args[0]} if args and issubclass(spec, IORootModel) else dict(kwargs)
    if ARGS in spec.model_fields and args:
        fields[ARGS] = args[0]
    if KWARGS in spec.model_fields:
        fields[KWARGS] = {name: fields.pop(name) for name in set(fields) - set(spec.model_fields)}
    return ModelState.of_fields(_sent_files(spec, fields))


def _sent_files(spec: type[IODescriptor], fields: dict[str, Any]) -> dict[str, Any]:
    files = set(spec.multipart_fields)
    return {name: _file(value) if name in files else value for name, value in fields.items()}


def _file(value: Any) -> Any:
    """Return a file, an image or a list of them as it is pickled."""
    if isinstance(value, PurePath):
        return _SentFile(Path(value).read_bytes(), _TEMPORARY.sub("", value.name))
    if isinstance(value, list | tuple):
        return [_file(each) for each in value]
    return PicklableImage.of(value)


class _SentFile:
    """The content of a file; the process writes it into the folder of its request."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name

    def __reduce__(self) -> Any:
        return _written, (self._content, self._name)


def _written(content: bytes, name: str) -> Path:
    file = io.BytesIO(content)
    file.name = name  # as BentoML reads it
    written: Path = FileSchema().decode(file)
    return written


class _Dumped(NamedTuple):
    """What pydantic makes of a value with a class that has no name, as of a function's own."""

    value: Any


def _pickled(value: Any) -> bytes:
    try:
        return pickled(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        if isinstance(value, ModelState):
            fields = value.state["__dict__"]
            value = fields["root"] if fields.keys() == {"root"} else fields
        return pickled(_Dumped(_AS_IT_IS.dump_python(value, by_alias=True)))
