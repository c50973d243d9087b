"""Counts of a whole look as one table, so that a look at the same pairs and labels takes them over.

What depends on labels is no sum over files: a label may come late, and to which of the pairs of a
request it belongs depends on all of them. So it is kept as it is, for the very same pairs, labels
and parameters.
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
"""Where the classes are that a table may name."""

_MICROSECOND: Final = timedelta(microseconds=1)

_T = TypeVar("_T")


def kept_or_counted(
    source: PairSource, name: str, flag: str | None, told: object, count: Callable[[], _T]
) -> _T:
    """Return kept counts of the same pairs, else those of `count`, which are kept from now on.

    `told` is all that they depend on besides the pairs.
    """
    whole = source.place_tables
    if whole is None:
        return count()
    name = f"{name}-{hashlib.sha256(repr(flag).encode()).hexdigest()[:16]}"
    if (held := whole.read(name, repr(told))) is not None:
        found: _T = unpack(held)
        return found
    found = count()
    with suppress(TypeError, ValueError, pa.ArrowException):  # what cannot be written is not kept
        whole.write(name, repr(told), pack(found))
    return found


def pack(value: object) -> pa.Table:
    """Write a dataclass of counts into a table: what it is in the first row, frames after it."""
    frames: list[bytes] = []
    told = json.dumps(_packed(value, frames)).encode()
    return pa.table({"part": pa.array([told, *frames], pa.large_binary())})


def unpack(held: pa.Table) -> Any:
    """Return what was packed."""
    told, *frames = (part.as_buffer() for part in held["part"])
    return _unpacked(json.loads(told.to_pybytes()), frames)


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
        raise TypeError(f"no counts: {value!r}")
    kind = type(value)
    held = {each.name: _packed(getattr(value, each.name), frames) for each in fields(value)}
    return {"class": [kind.__module__, kind.__qualname__], "fields": held}


def _unpacked(told: Any, frames: list[pa.Buffer]) -> Any:
    match told:
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
        case {"class": [str(module), str(name)], "fields": dict(held)}:
            if not module.startswith(_PACKAGE):
                raise TypeError(f"no counts: {module}.{name}")
            kind = getattr(import_module(module), name)
            return kind(**{each: _unpacked(value, frames) for each, value in held.items()})
        case _:
            return told


def _written(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found
