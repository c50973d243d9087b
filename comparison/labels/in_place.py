"""Labels that stay in their Parquet files, from which DuckDB reads what a query needs.

This is only for labels that are truths, with request ids that are texts, as jobs write them to
Parquet. Labels in any other form are read into memory.
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

from comparison.engines.embedded import (
    connect,
    quoted,
    register_unnamed,
    registered,
    table_reference,
)
from comparison.engines.id_hashes import IdHashes
from comparison.errors import LabelsUnreadableError
from comparison.labels.choice import last_labels
from comparison.labels.digest import digest_of
from comparison.labels.facts import LabelFacts
from comparison.labels.files import ID, LABEL, TIME, LabelFile, is_label, label_columns
from comparison.pairs.compacted import parquet_file

_PATTERNS: Final = frozenset("*?[")
"""Characters with which DuckDB reads a path as a pattern."""


@dataclass(frozen=True, slots=True)
class LabelsInPlace:
    """Labels in Parquet files: a statement that selects one row for each request with a label."""

    statement: str
    facts: LabelFacts
    hashes: IdHashes | None
    """Hashes of the request ids, if they are known."""
    replacements: pa.Table | None = None
    """The chosen labels of requests with several rows; they replace the rows of these requests."""

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "LabelsInPlace | None":
        """Check files on this machine.

        None if they do not have the needed form. Raises LabelsUnreadableError if a request has
        differing labels, and it is not known which was given last.
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
        """Read the labels into memory."""
        engine = connect()
        return engine.to_pyarrow(self.shown(engine, ID)).select(self.facts.schema.names)

    def with_digest(self) -> LabelFacts:
        """Return the facts; they have the digest."""
        return self.facts

    def shown(self, engine: Backend, name: str) -> ir.Table:
        """Return the labels as a table of an engine in this process; `name` is the id column."""
        text = self.statement
        if self.replacements is not None:
            others = register_unnamed(engine, self.replacements).get_name()
            text += f" AND {ID} NOT IN (SELECT {ID} FROM {others}) UNION ALL FROM {others}"  # noqa: S608 - our own names
        view = f"labels_{uuid4().hex}"
        text = f"SELECT {ID} AS {name}, * EXCLUDE ({ID}) FROM ({text})"  # noqa: S608
        engine.raw_sql(f"CREATE TEMPORARY VIEW {view} AS {text}")
        columns = [field for field in self.facts.schema if field.name != ID]
        schema = pa.schema([(name, pa.string()), *columns])
        return table_reference(engine, view, ibis.Schema.from_pyarrow(schema))


@dataclass(frozen=True, slots=True)
class _Files:
    """Parquet files of the needed form, and their schemas."""

    paths: Sequence[Path]
    schemas: Sequence[pa.Schema]

    @property
    def label_names(self) -> list[str]:
        """Return the names of the columns with labels."""
        return sorted({name for each in self.schemas for name in each.names if is_label(name)})

    @property
    def are_one_kind(self) -> bool:
        """Return whether all labels are in one column `label`, or all in columns of outputs.

        False also for names that differ in case only, which are the same to DuckDB.
        """
        names = {name for each in self.schemas for name in each.names}
        if len({name.lower() for name in names}) < len(names):
            return False
        return LABEL not in self.label_names or len(self.label_names) == 1

    @property
    def has_times(self) -> bool:
        """Return whether a file has the times of labels."""
        return any(TIME in each.names for each in self.schemas)

    @property
    def schema(self) -> pa.Schema:
        """Return the schema of the labels in memory."""
        fields = [(ID, pa.string()), *((name, pa.bool_()) for name in self.label_names)]
        return pa.schema([*fields, (TIME, pa.int64())] if self.has_times else fields)

    def labels(self) -> LabelsInPlace | None:
        """Read the files once, for hashes and digest; None if a row has no request id."""
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

    def _once(self, engine: Backend, labels: LabelsInPlace, hashes: IdHashes) -> LabelsInPlace:
        """Choose one label for each request with several rows."""
        rows = self._repeated(engine, hashes)
        rows = rows.loc[rows.duplicated(ID, keep=False)]
        if rows.empty:
            return labels
        files = [LabelFile(path, pa.table({})) for path in self.paths]
        replacements, contradicted = last_labels(files, rows, self.schema)
        size = hashes.size - len(rows) + len(replacements)
        facts = replace(labels.facts, size=size, contradicted=contradicted)
        return replace(labels, facts=facts, hashes=None, replacements=replacements)

    def _repeated(self, engine: Backend, hashes: IdHashes) -> pd.DataFrame:
        """Return the rows whose id's hash occurs more than once, with their places in the files."""
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
        """Return SQL that selects all rows, with a label or without."""
        names = [ID, *(quoted(name) for name in self.label_names), *further]
        if self.has_times:
            names.append(f"epoch_ns({TIME}) AS {TIME}")
        paths = ", ".join("'" + str(path).replace("'", "''") + "'" for path in self.paths)
        options = "union_by_name=true, hive_partitioning=false"
        options += "".join(f", {name}=true" for name in further)
        return f"SELECT {', '.join(names)} FROM read_parquet([{paths}], {options})"  # noqa: S608

    @property
    def _is_known(self) -> str:
        return " OR ".join(f"{quoted(name)} IS NOT NULL" for name in self.label_names)


def _schema(path: Path) -> pa.Schema | None:
    """Return the schema of a file, None if a needed column has another type."""
    try:
        with parquet_file(path) as file:
            schema = file.schema_arrow
        wanted = [schema.field(name) for name in label_columns(path, schema.names)]
    except LabelsUnreadableError:
        return None
    return schema if all(map(_has_type, wanted)) else None


def _has_type(column: "pa.Field[Any]") -> bool:
    """Return whether a column has the type that its name needs."""
    if column.name == ID:
        return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
    if column.name == TIME:
        return bool(pa.types.is_timestamp(column.type))
    return bool(pa.types.is_boolean(column.type))
