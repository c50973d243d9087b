"""The input of a model in another process, pickled so that it arrives as it came to the worker.

BentoML's client sends arrays behind the pickle, which makes them read-only; a file without its
name, by whose ending a model may choose how to read it; and an image encoded again, a JPEG with
another loss, an animation with one frame. BentoML's server reads what is made here as it reads what
that client sends.
"""

import io
import pickle
import re
from pathlib import Path, PurePath
from typing import Any, Final

from flags.pairing.images import PicklableImage, is_image
from flags.serving.bentoml_private import IODescriptor, IORootModel

_TEMPORARY: Final = re.compile(r"^tmp[a-z0-9_]{8}")
"""What BentoML puts before the name of an uploaded file, and puts there again in the process."""


def pickled_input(spec: type[IODescriptor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return the input of a call with these arguments.

    Raises pydantic.ValidationError if they are not those of the API, OSError if a file is gone.
    """
    model: Any = spec.from_inputs(*args, **kwargs)
    if isinstance(model, IORootModel):
        value = _file(model.root) if _is_file(model.root) else model.model_dump()
    else:
        files = set(model.multipart_fields)
        value = model.model_dump(exclude=files)
        value.update({name: _file(getattr(model, name)) for name in files})
    return pickle.dumps(value, protocol=5)


def _is_file(value: Any) -> bool:
    return isinstance(value, PurePath) or is_image(value)


def _file(value: Any) -> Any:
    """Return a file, an image or a list of them as it is pickled."""
    if isinstance(value, PurePath):
        return _NamedFile(Path(value).read_bytes(), _TEMPORARY.sub("", value.name))
    if isinstance(value, list | tuple):
        return [_file(each) for each in value]
    return PicklableImage.of(value)


class _NamedFile(io.BytesIO):
    """The content of a file, with its name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name

    def __reduce__(self) -> Any:
        return _NamedFile, (self.getvalue(), self.name)
