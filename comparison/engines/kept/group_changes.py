"""Update sums over groups of counts when new pairs belong to a few of the groups."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from comparison.engines.embedded import quoted, registered
from comparison.engines.kept.tables import KeptTable
from comparison.engines.mergeable import GroupSums


@dataclass(frozen=True, slots=True)
class Change:
    """The counts of the files known before, and the counts of new files.

    `before` is None at the first count; `new` is None if no file is new.
    """

    before: KeptTable | None
    new: pa.Table | None
    _by_group: dict[tuple[str, ...], tuple[pa.Table, pa.Table]] = field(default_factory=dict)

    @property
    def after(self) -> pa.Table:
        """Return all counts; a combination may have several rows."""
        parts = [self.before.table] if self.before else []
        return pa.concat_tables([*parts, *([] if self.new is None else [self.new])])

    def of_groups(self, groups: GroupSums, connection: Backend) -> tuple[pa.Table, pa.Table]:
        """Return the counts, before and after, of the groups that occur in the new counts."""
        assert self.before is not None  # noqa: S101 - for the type checker
        key = tuple(groups.group)
        if key not in self._by_group:
            new = self.before.table.slice(0, 0) if self.new is None else self.new
            same_group = " AND ".join(
                f"earlier.{name} IS NOT DISTINCT FROM new.{name}" for name in map(quoted, key)
            )
            text = f"SELECT earlier.* FROM earlier SEMI JOIN new ON {same_group}"  # noqa: S608 - our own names
            with registered(connection, earlier=self.before.table, new=new):
                touched = connection.con.execute(text).to_arrow_table().cast(new.schema)
            self._by_group[key] = touched, pa.concat_tables([touched, new])
        return self._by_group[key]


def replace_groups(sums: pa.Table, less: pa.Table, more: pa.Table, groups: GroupSums) -> pa.Table:
    """Subtract the sums `less` of some groups and add `more`; drop rows whose sums become zero."""
    names = list(groups.measures)
    for name in names:
        place = less.schema.get_field_index(name)
        less = less.set_column(place, less.schema.field(place), pc.negate(less[name]))
    every = pa.concat_tables([each.cast(sums.schema) for each in (sums, less, more)])
    found = every.group_by(list(groups.by), use_threads=False).aggregate(
        [(name, "sum") for name in names]
    )
    found = pa.table(
        {name: found[f"{name}_sum" if name in names else name] for name in sums.schema.names},
        sums.schema,
    )
    if not groups.by:
        return found
    some = pc.not_equal(found[names[0]], 0)
    for name in names[1:]:
        some = pc.or_(some, pc.not_equal(found[name], 0))
    return found.filter(some)
