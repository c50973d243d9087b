"""Labels that stay in their Parquet files: DuckDB reads what a statement is about.

Truths alone, by request ids that are texts, as a job that writes Parquet has them. What is in any
other form is read into memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.engines.embedded import connect, known, quoted, registered, shown_anew
from comparison.engines.id_hashes import IdHashes
from comparison.errors import LabelsUnreadableError
from comparison.labels.choice import chosen
from comparison.labels.digest import digest_of
from comparison.labels.facts import LabelFacts
from comparison.labels.files import ID, LABEL, TIME, LabelFile, is_label, label_columns
from comparison.pairs.compacted import parquet_file

_PATTERNS: Final = frozenset("*?[")
"""Characters by which DuckDB takes a path for those of several files."""


@dataclass(frozen=True, slots=True)
class LabelsInPlace:
    """Hold a statement that selects one row for each request that has a label."""

    statement: str
    facts: LabelFacts
    hashes: IdHashes | None
    """Of the request ids, if they are known."""
    apart: pa.Table | None = None
    """The labels of requests that have several rows, which the statement leaves out."""

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "LabelsInPlace | None":
        """Look through files, which are on this machine.

        None if they are not as they must be. Raises LabelsUnreadableError where a request has
        labels that differ, and nothing says which was given last.
        """
        if not paths or any(_PATTERNS & set(str(path)) for path in paths):
            return None
        try:
            schemas = [_schema(path) for path in paths]
            if None in schemas:
                return None
            files = _Files(paths, [each for each in schemas if each is not None])
            return files.labels() if files.are_one_kind else None
        except (OSError, pa.ArrowException, duckdb.Error):
            return None

    @property
    def rows(self) -> pa.Table:
        """Read them into memory."""
        engine = connect()
        return engine.to_pyarrow(self.shown(engine, ID)).select(self.facts.schema.names)

    def with_digest(self) -> LabelFacts:
        """Return the facts, which have the digest."""
        return self.facts

    def shown(self, engine: Backend, name: str) -> ir.Table:
        """Return them to an engine in this process; `name` is that of the request ids."""
        text = self.statement
        if self.apart is not None:
            others = shown_anew(engine, self.apart).get_name()
            text += f" AND {ID} NOT IN (SELECT {ID} FROM {others}) UNION ALL FROM {others}"  # noqa: S608 - our own names
        view = f"labels_{uuid4().hex}"
        text = f"SELECT {ID} AS {name}, * EXCLUDE ({ID}) FROM ({text})"  # noqa: S608
        engine.raw_sql(f"CREATE TEMPORARY VIEW {view} AS {text}")
        columns = [field for field in self.facts.schema if field.name != ID]
        schema = pa.schema([(name, pa.string()), *columns])
        return known(engine, view, ibis.Schema.from_pyarrow(schema))


@dataclass(frozen=True, slots=True)
class _Files:
    """Name Parquet files that are fit, and what is in them."""

    paths: Sequence[Path]
    schemas: Sequence[pa.Schema]

    @property
    def labels_of(self) -> list[str]:
        """Return the columns that hold labels."""
        return sorted({name for each in self.schemas for name in each.names if is_label(name)})

    @property
    def are_one_kind(self) -> bool:
        """Say whether they do not name outputs in one place and none in another.

        Nor have names that are the same to DuckDB, which takes A for a.
        """
        names = {name for each in self.schemas for name in each.names}
        if len({name.lower() for name in names}) < len(names):
            return False
        return LABEL not in self.labels_of or len(self.labels_of) == 1

    @property
    def has_times(self) -> bool:
        """Say whether a file says when labels were given."""
        return any(TIME in each.names for each in self.schemas)

    @property
    def schema(self) -> pa.Schema:
        """Return the columns of labels as they are in memory."""
        fields = [(ID, pa.string()), *((name, pa.bool_()) for name in self.labels_of)]
        return pa.schema([*fields, (TIME, pa.int64())] if self.has_times else fields)

    def labels(self) -> LabelsInPlace | None:
        """Read the files once; None if a row has no request id."""
        engine = connect()
        hashes, wrong, digest = digest_of(engine, self._rows(), self.schema.names)
        if wrong:
            return None
        found = LabelsInPlace(
            f"SELECT * FROM ({self._rows()}) WHERE ({self._is_known})",  # noqa: S608 - our own names
            LabelFacts(self.schema, hashes.size, digest=digest),
            hashes,
        )
        return self._once(engine, found, hashes) if len(hashes.repeated) else found

    def _once(self, engine: Backend, found: LabelsInPlace, hashes: IdHashes) -> LabelsInPlace:
        """Leave one label for each request."""
        rows = self._repeated(engine, hashes)
        rows = rows.loc[rows.duplicated(ID, keep=False)]
        if rows.empty:
            return found
        files = [LabelFile(path, pa.table({})) for path in self.paths]
        apart, contradicted = chosen(files, rows, self.schema)
        size = hashes.size - len(rows) + len(apart)
        facts = replace(found.facts, size=size, contradicted=contradicted)
        return replace(found, facts=facts, hashes=None, apart=apart)

    def _repeated(self, engine: Backend, hashes: IdHashes) -> pd.DataFrame:
        """Return the rows whose hash occurs more than once, with their places in the files."""
        text = f"""
            SELECT * FROM ({self._rows("filename", "file_row_number")})
            WHERE ({self._is_known}) AND hash({ID}) IN (SELECT hash FROM again)
        """  # noqa: S608 - our own names
        with registered(engine, again=pa.table({"hash": hashes.repeated})):
            rows = engine.con.execute(text).to_arrow_table()
        frame = rows.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        number = {str(path): place for place, path in enumerate(self.paths)}
        frame["file"] = frame.pop("filename").map(number)
        frame["row"] = frame.pop("file_row_number")
        return pd.DataFrame(frame.sort_values(["file", "row"], ignore_index=True))

    def _rows(self, *further: str) -> str:
        """Write the statement that selects all rows, with labels or without."""
        names = [ID, *(quoted(name) for name in self.labels_of), *further]
        if self.has_times:
            names.append(f"epoch_ns({TIME}) AS {TIME}")
        paths = ", ".join("'" + str(path).replace("'", "''") + "'" for path in self.paths)
        options = "union_by_name=true, hive_partitioning=false"
        options += "".join(f", {name}=true" for name in further)
        return f"SELECT {', '.join(names)} FROM read_parquet([{paths}], {options})"  # noqa: S608

    @property
    def _is_known(self) -> str:
        return " OR ".join(f"{quoted(name)} IS NOT NULL" for name in self.labels_of)


def _schema(path: Path) -> pa.Schema | None:
    """Return the columns of a file, None if one that is wanted has another type."""
    try:
        with parquet_file(path) as file:
            schema = file.schema_arrow
        wanted = [schema.field(name) for name in label_columns(path, schema.names)]
    except LabelsUnreadableError:
        return None
    return schema if all(map(_is_fit, wanted)) else None


def _is_fit(column: "pa.Field[Any]") -> bool:
    if column.name == ID:
        return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
    if column.name == TIME:
        return bool(pa.types.is_timestamp(column.type))
    return bool(pa.types.is_boolean(column.type))
