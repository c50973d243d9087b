"""Sequences of the values of one attribute in many spans, without a Python object for each."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa


class Repeated(Sequence[Any]):
    """A value that is repeated `size` times."""

    __slots__ = ("_size", "_value")

    def __init__(self, value: Any, size: int) -> None:
        self._value = value
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Repeated(self._value, len(range(self._size)[place]))
        if not -self._size <= place < self._size:
            raise IndexError(place)
        return self._value

    def __iter__(self) -> Iterator[Any]:
        return repeat(self._value, self._size)

    def count(self, value: Any) -> int:
        """Return how often the sequence contains a value."""
        return self._size if value == self._value else 0


class Texts(Sequence[Any]):
    """Strings in an Arrow array."""

    __slots__ = ("array",)

    def __init__(self, array: "pa.StringArray") -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, place: Any) -> Any:
        return Texts(self.array[place]) if isinstance(place, slice) else self.array[place].as_py()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array.to_pylist())


def split_text(text: bytes, sizes: npt.NDArray[np.intp]) -> Sequence[str]:
    """Split UTF-8 text into strings of the given sizes in bytes."""
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    if find_spec("pyarrow") is None:  # it comes with the extra `comparison`; pandas works without
        return [text[begin:end].decode() for begin, end in pairwise(offsets.tolist())]
    import pyarrow as pa

    buffers = pa.py_buffer(offsets), pa.py_buffer(text)
    return Texts(pa.StringArray.from_buffers(len(sizes), *buffers))


class Floats(Sequence[Any]):
    """Doubles in a numpy array."""

    __slots__ = ("array",)

    def __init__(self, array: npt.NDArray[np.float64]) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, place: Any) -> Any:
        found = self.array[place]
        return Floats(found) if isinstance(place, slice) else float(found)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.array.tolist())


def joined(first: Sequence[Any], second: Sequence[Any]) -> Sequence[Any]:
    """Concatenate two sequences of values."""
    if isinstance(first, Texts) and isinstance(second, Texts):
        import pyarrow as pa

        return Texts(pa.concat_arrays([first.array, second.array]))
    if isinstance(first, Floats) and isinstance(second, Floats):
        return Floats(np.concatenate([first.array, second.array]))
    return [*first, *second]
