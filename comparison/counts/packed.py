"""Pack the counts of a whole look into one table, for a later look at the same pairs and labels.

Counts that depend on labels are not sums over files: a label may come late, and which pair of a
request it belongs to depends on all pairs of the request. So they are kept as a whole, and reused
only for the same pairs, labels and parameters.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from comparison.engines.sources import PairSource

_PACKAGE: Final = "comparison.counts."
"""Package of the classes that a packed table may name."""

_MICROSECOND: Final = timedelta(microseconds=1)

_T = TypeVar("_T")


def kept_or_counted(
    source: PairSource, name: str, flag: str | None, cache_key: object, count: Callable[[], _T]
) -> _T:
    """Return kept counts of the same pairs; without any, call `count` and keep its result.

    `cache_key` is everything besides the pairs that the counts depend on.
    """
    tables = source.place_tables
    if tables is None:
        return count()
    name = f"{name}-{hashlib.sha256(repr(flag).encode()).hexdigest()[:16]}"
    if (packed := tables.read(name, repr(cache_key))) is not None:
        found: _T = unpack(packed)
        return found
    found = count()
    with suppress(TypeError, ValueError, pa.ArrowException):  # not every result can be packed
        tables.write(name, repr(cache_key), pack(found))
    return found


def pack(value: object) -> pa.Table:
    """Pack a dataclass of counts into a table: JSON in the first row, then a row for each frame."""
    frames: list[bytes] = []
    document = json.dumps(_packed(value, frames)).encode()
    return pa.table({"part": pa.array([document, *frames], pa.large_binary())})


def unpack(table: pa.Table) -> Any:
    """Return the dataclass that `pack` packed."""
    document, *frames = (part.as_buffer() for part in table["part"])
    return _unpacked(json.loads(document.to_pybytes()), frames)


def _packed(value: object, frames: list[bytes]) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.DataFrame):
        frames.append(_written(value))
        return {"frame": len(frames) - 1}
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, timedelta):
        return {"microseconds": value // _MICROSECOND}
    if isinstance(value, tuple | list):
        return {"tuple": [_packed(each, frames) for each in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[key, _packed(each, frames)] for key, each in value.items()]}
    if not is_dataclass(value):
        raise TypeError(f"not a class of counts: {value!r}")
    kind = type(value)
    packed = {each.name: _packed(getattr(value, each.name), frames) for each in fields(value)}
    return {"class": [kind.__module__, kind.__qualname__], "fields": packed}


def _unpacked(document: Any, frames: list[pa.Buffer]) -> Any:
    match document:
        case {"frame": int(place)}:
            return pa.ipc.open_file(frames[place]).read_all().to_pandas()
        case {"time": str(text)}:
            return datetime.fromisoformat(text)
        case {"microseconds": int(size)}:
            return size * _MICROSECOND
        case {"tuple": list(parts)}:
            return tuple(_unpacked(part, frames) for part in parts)
        case {"mapping": list(pairs)}:
            return {key: _unpacked(each, frames) for key, each in pairs}
        case {"class": [str(module), str(name)], "fields": dict(packed)}:
            if not module.startswith(_PACKAGE):
                raise TypeError(f"not a class of counts: {module}.{name}")
            kind = getattr(import_module(module), name)
            return kind(**{each: _unpacked(value, frames) for each, value in packed.items()})
        case _:
            return document


def _written(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found
