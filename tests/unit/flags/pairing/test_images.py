"""Copies of images keep format and frames, and do not depend on the file of the original."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from flags.pairing.call import Call
from flags.pairing.images import PicklableImage, opened_again
from flags.pairing.input_copy import copy_call

Copy = Callable[[Any], Any]


def copied(image: Any) -> Any:
    copy = copy_call(Call(([image],), {}))
    assert isinstance(copy, Call)
    ((own,),) = copy.args
    return own


def sent(image: Any) -> Any:
    return pickle.loads(pickle.dumps(PicklableImage.of([image])))[0]  # noqa: S301 - our own


def animated(kind: str) -> Any:
    written = io.BytesIO()
    first, *others = (Image.new("RGB", (4, 4), each) for each in ("red", "blue", "green"))
    first.save(written, kind, save_all=True, append_images=others)
    return Image.open(written)


@pytest.mark.parametrize("copy", [copied, sent, opened_again])
@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_a_copy_has_all_frames_and_outlives_the_file(copy: Copy, kind: str) -> None:
    image = animated(kind)
    expected = dict(image.info)
    copy = copy(image)
    assert image.info == expected  # it was not decoded
    image.fp.close()
    assert (copy.format, copy.n_frames, copy.info) == (kind, 3, expected)
    copy.seek(2)
    assert copy.convert("RGB").getpixel((0, 0))[1] > 100


@pytest.mark.parametrize("copy", [copied, sent])
def test_a_decoded_image_is_copied_as_it_was_changed(copy: Copy) -> None:
    image = animated("PNG")
    image.putpixel((0, 0), (1, 2, 3))
    other = copy(image)
    assert other.getpixel((0, 0)) == (1, 2, 3)
    assert other.format == "PNG"
    other.putpixel((0, 0), (4, 5, 6))
    assert image.getpixel((0, 0)) == (1, 2, 3)
