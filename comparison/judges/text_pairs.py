"""The recorded texts of pairs, read one after the other, since they may not fit into memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from comparison.errors import FlagNotFoundError, SeveralFlagsError
from comparison.pairs.columns import column_of, text_column
from comparison.pairs.compacted import pair_parts, parquet_file, read_state
from comparison.pairs.files import read_blocks
from comparison.pairs.opening import is_compacted
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.sides import SIDES
from flags.pairing.text_form import normalised

_ALWAYS = ("request_id", "flag", "time", "prompt", "primary_model", "candidate_model")
_START = text_column(SIDES[0], "")


@dataclass(frozen=True, slots=True)
class TextPair:
    """The recorded answers of both sides to one prompt."""

    request_id: str
    output: str
    prompt: str
    primary: str
    candidate: str
    models: tuple[str | None, str | None]
    """Tags of both models, the primary's first."""
    time: int
    """Nanoseconds since 1970."""

    @property
    def differs(self) -> bool:
        """Return whether the normal forms of the answers differ."""
        return normalised(self.primary) != normalised(self.candidate)

    @property
    def is_same_model(self) -> bool:
        """Return whether both sides ran the same model."""
        return self.models[0] is not None and self.models[0] == self.models[1]


def read_text_pairs(source: Path, flag: str | None = None) -> Iterator[TextPair]:
    """Yield the pairs of a flag with both texts of an output, in no certain order.

    A pair may occur twice. Raises a ComparisonError for a place without pairs; SeveralFlagsError if
    `flag` is None and there are several; at the end, FlagNotFoundError if `flag` has no pairs.
    """
    flags: set[str] = set()
    for row in _compacted(source) if is_compacted(source) else _pair_files(source):
        name = str(row["flag"])
        flags.add(name)
        if flag is None and len(flags) > 1:
            raise SeveralFlagsError(source, sorted(flags))
        if flag in (None, name):
            yield from _texts(row)
    if flag is not None and flags and flag not in flags:
        raise FlagNotFoundError(source, flag, sorted(flags))


def _texts(row: Mapping[str, Any]) -> Iterator[TextPair]:
    for name, primary in row.items():
        if not name.startswith(_START) or primary is None:
            continue
        output = name.removeprefix(_START)
        candidate = row.get(text_column(SIDES[1], output))
        if candidate is not None:
            yield TextPair(
                str(row["request_id"]),
                output,
                prompt_text(row.get("prompt")),
                str(primary),
                str(candidate),
                (row.get("primary_model"), row.get("candidate_model")),
                int(row["time"]),
            )


def prompt_text(recorded: Any) -> str:
    """Join recorded messages to one text: a single message as it is, several with their roles."""
    try:
        messages = orjson.loads(recorded)
        texts = [
            (each["role"], "\n".join(part["content"] for part in each["parts"]))
            for each in messages
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return recorded if isinstance(recorded, str) else ""
    if len(texts) == 1:
        return texts[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in texts)


def _pair_files(source: Path) -> Iterator[dict[str, Any]]:
    for block in read_blocks(source, ReadCounts()):
        for shape, columns in block.items():
            wanted = _wanted(shape)
            if len(wanted) > 1:
                for values in zip(*(columns[place] for place in wanted.values()), strict=True):
                    yield dict(zip(wanted, values, strict=True))


def _wanted(shape: Sequence[str]) -> dict[str, int]:
    """Return the index in a row of each needed column, by name."""
    found = {"time": 2}  # after the ids of span and trace
    for place, attribute in enumerate(shape, 3):
        column = column_of(attribute)
        if column is not None and (column.name in _ALWAYS or _is_text(column.name)):
            found[column.name] = place
    return found


def _is_text(column: str) -> bool:
    return column.partition(".")[0] in {text_column(side, "")[:-1] for side in SIDES}


def _compacted(folder: Path) -> Iterator[dict[str, Any]]:
    for part in pair_parts(folder, read_state(folder)):
        file = parquet_file(part.path)
        names = file.schema_arrow.names
        wanted = [name for name in names if name in _ALWAYS or _is_text(name)]
        for batch in file.iter_batches(batch_size=1024, columns=wanted):
            times = batch.schema.get_field_index("time")
            for number, row in enumerate(batch.drop_columns(["time"]).to_pylist()):
                yield {**row, "flag": part.flag, "time": batch.column(times)[number].value}
