"""Copies of Pillow's images that are made from their file: pickle and `deepcopy` keep one frame.

They decode the image, and of a GIF, a TIFF or an animation they lose all frames but one.
"""

import io
from collections.abc import Callable
from typing import Any

import pydantic


def is_image(value: Any) -> bool:
    """Say whether `value` is an image of Pillow, without importing it."""
    return type(value).__module__.startswith("PIL.")


def is_list_of_images(value: Any) -> bool:
    """Say whether `value` is a list of images, by its first item: lists of numbers are long."""
    return isinstance(value, list) and bool(value) and is_image(value[0])


def opened_again(image: Any) -> Any:
    """Return the image opened from a copy of its file in memory; `image` itself if it has none."""
    content = _file_of(image)
    return image if content is None else _opened(content)


def in_memory(value: Any) -> Any:
    """Return images, in a list or in fields of a model too, opened from copies in memory."""
    if is_list_of_images(value):
        return [opened_again(each) for each in value]
    if isinstance(value, pydantic.BaseModel):
        return with_changed_fields(value, in_memory)
    return opened_again(value) if is_image(value) else value


def with_changed_fields(
    model: pydantic.BaseModel, change: Callable[[Any], Any]
) -> pydantic.BaseModel:
    """Return `model` with changed fields; `model` itself if `change` returns each as it is."""
    changed = {name: new for name, old in vars(model).items() if (new := change(old)) is not old}
    return model.model_copy(update=changed) if changed else model


class PicklableImage:
    """An image that is unpickled as one, with its format and all its frames."""

    def __init__(self, image: Any) -> None:
        """Take `image`."""
        self._image = image

    @classmethod
    def of(cls, value: Any) -> Any:
        """Wrap an image, and the images of a list; return any other value unchanged."""
        if is_list_of_images(value):
            return [cls.of(each) for each in value]
        return cls(value) if is_image(value) else value

    def __reduce__(self) -> Any:
        """Send the file if the image is not yet decoded, else the image and its format."""
        content = _file_of(self._image)
        if content is not None:
            return _opened, (content,)
        return _with_format, (self._image, self._image.format)


def _file_of(image: Any) -> bytes | None:
    """Return the file of an image that was opened and not yet decoded; None for any other."""
    file, members = getattr(image, "fp", None), vars(image)
    is_decoded = members.get("_im", members.get("im")) is not None
    if file is None or file.closed or is_decoded or image.tell() != 0:
        return None
    position = file.tell()
    file.seek(0)
    try:
        content: bytes = file.read()
    finally:
        file.seek(position)
    return content


def _opened(content: bytes) -> Any:
    from PIL import Image  # an extra that only such a service has

    return Image.open(io.BytesIO(content))


def _with_format(image: Any, known: str | None) -> Any:
    if image.format != known:
        image.format = known
    return image
