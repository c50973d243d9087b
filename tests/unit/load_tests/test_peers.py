"""What the peers of the comparison's benchmark read is there in pairs as they are today."""

from pathlib import Path

from load_tests.generated_pairs import write_pairs
from load_tests.peers.tables import CATEGORIES, NUMBERS, tables


def test_each_side_has_its_columns_of_the_pairs_and_the_labels(tmp_path: Path) -> None:
    labels = tmp_path / "labels.parquet"
    write_pairs(tmp_path / "compacted", 2_000, labels=labels)
    sides = tables(str(tmp_path / "compacted" / "pairs"), str(labels))
    assert list(sides) == ["primary", "candidate"]
    for table in sides.values():
        assert {*NUMBERS, *CATEGORIES, "alarm", "label"} == set(table.columns)
        assert len(table) > 1_900
        assert set(table["alarm"]) <= {0, 1}
    assert sides["primary"]["score"].ne(sides["candidate"]["score"]).any()
