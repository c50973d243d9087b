"""Labels by output, in files of each kind and in folders of them."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from comparison.errors import LabelsUnreadableError
from comparison.labels import Labels, columns_of, load_labels

ROWS = "request_id,label.cat,label.dog\n007,1,0\n008,0,\n009,,yes\n"
KNOWN = {"007": (True, False), "008": (False, None), "009": (None, True)}


def held(labels: Labels) -> dict[str, tuple[bool | None, ...]]:
    frame = labels.frame.astype(dict.fromkeys(labels.columns, object))
    cells = frame[list(labels.columns)].where(frame[list(labels.columns)].notna(), None)
    return dict(zip(frame["request_id"], map(tuple, cells.to_numpy().tolist()), strict=True))


def plain(folder: Path) -> Path:
    path = folder / "labels.csv"
    path.write_text(ROWS)
    return path


def gzipped(folder: Path) -> Path:
    path = folder / "labels.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode("utf-8-sig")))
    return path


def zstandard(folder: Path) -> Path:
    path = folder / "labels.csv.zst"
    with pa.output_stream(str(path), compression="zstd") as file:
        file.write(ROWS.encode())
    return path


def parquet(folder: Path) -> Path:
    table = pyarrow.csv.read_csv(
        plain(folder),
        convert_options=pyarrow.csv.ConvertOptions(column_types={"request_id": pa.string()}),
    )
    (folder / "labels.csv").unlink()
    pq.write_table(table, folder / "labels.parquet")
    return folder / "labels.parquet"


def several(folder: Path) -> Path:
    """Write each column to its own file, one of them in a subfolder."""
    into = folder / "labels"
    (into / "2026").mkdir(parents=True)
    (into / "cats.csv").write_text("request_id,label.cat\n007,1\n008,0\n")
    rows = b"request_id,label.dog\n007,0\n009,yes\n"
    (into / "2026" / "dogs.csv.gz").write_bytes(gzip.compress(rows))
    (into / ".hidden.csv").write_text("no labels")
    return into


@pytest.mark.parametrize("write", [plain, gzipped, zstandard, parquet, several])
def test_each_output_has_its_labels_in_files_of_every_kind(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    labels = load_labels(write(tmp_path))
    assert labels.columns == ("label.cat", "label.dog")
    assert held(labels) == KNOWN
    assert labels.facts.contradicted == 0


def test_a_request_may_have_a_row_for_each_output(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("request_id,label.cat,label.dog\nr1,1,\nr2,0,\nr1,,0\nr1,1,\n")
    labels = load_labels(path)
    assert held(labels) == {"r2": (False, None), "r1": (True, False)}
    assert labels.facts.contradicted == 0


def test_the_last_of_labels_that_differ_counts_for_its_output_alone(tmp_path: Path) -> None:
    rows = "r1,1,0,2026-03-01T00:00Z\nr1,0,,2026-03-05T00:00Z\nr1,1,,2026-03-02T00:00Z\n"
    path = tmp_path / "labels.csv"
    path.write_text(f"request_id,label.cat,label.dog,labelled_at\n{rows}")
    labels = load_labels(path)
    assert held(labels) == {"r1": (False, False)}
    assert labels.facts.contradicted == 1
    early = load_labels(path, until=datetime(2026, 3, 2, tzinfo=UTC))
    assert held(early) == {"r1": (True, False)}


def test_a_later_file_corrects_labels_of_many_requests(tmp_path: Path) -> None:
    heading = "request_id,label,labelled_at\n"
    for name, day, label in (("b", 2, 1), ("a", 1, 0)):
        rows = "".join(f"r{n},{label * n % 2},2026-03-0{day}\n" for n in range(1_000))
        (tmp_path / f"{name}.csv").write_text(heading + rows)
    labels = load_labels(tmp_path)
    assert held(labels) == {f"r{n}": (n % 2 == 1,) for n in range(1_000)}
    assert labels.facts.contradicted == 500
    (tmp_path / "c.csv").write_text(heading + "r7,0,2026-03-02\nr3,0,2026-03-02\n")
    said = r"c.csv, line 3, column labelled_at: 'r3' has another label in line 5 of b.csv, given at"
    with pytest.raises(LabelsUnreadableError, match=said):
        load_labels(tmp_path)


def test_an_empty_folder_has_no_labels_yet(tmp_path: Path) -> None:
    labels = load_labels(tmp_path)
    assert len(labels.frame) == 0
    assert labels.table().count().to_pyarrow().as_py() == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("b.csv.gz", "request_id,label.cat\nr1,1\n,0\n", "b.csv.gz, line 3, column request_id: "),
        (
            "b.csv",
            "request_id,label\nr1,1\n",
            "columns label and label.cat: each label belongs to one",
        ),
        ("b.csv", "request_id,label.cat\nr0,0\n", "b.csv, line 2, column label.cat: 'r0' has anot"),
        ("b.csv", "request_id,label.cat,label.cat\nr1,1,0\n", "the column label.cat is there twi"),
        ("b.csv", "request_id,label.\nr1,1\n", "the column label. names no output"),
        ("b.csv", "request_id,score\nr1,1\n", "no column label; found: request_id, score"),
        ("s.csv", "request_id;label\nr1;1\n", "(separated by ';', not by commas?)"),
        ("b.csv", "request_id,label.cat\nr1\n", "b.csv, line 2: 1 value, 2 in the heading"),
        ("b.csv", 'request_id,label.cat\n"a\nb",1\nr1\n', "b.csv, line 4: 1 value, 2 in"),
    ],
)
def test_what_is_wrong_in_a_folder_names_file_line_and_column(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / "a.csv").write_text("request_id,label.cat\nr0,1\n")
    pack = gzip.compress if name.endswith(".gz") else bytes
    (tmp_path / name).write_bytes(pack(content.encode()))
    with pytest.raises(LabelsUnreadableError, match=said):
        load_labels(tmp_path)


def test_a_folder_of_other_files_and_a_cut_file_are_not_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(
        LabelsUnreadableError, match=r"none of its 1 files \(labels\.xlsx\) ends in"
    ):
        load_labels(tmp_path)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(ROWS.encode())[:-12])
    with pytest.raises(LabelsUnreadableError, match=r"cut\.csv\.gz: "):
        load_labels(cut)
    with pytest.raises(LabelsUnreadableError, match="No such file"):
        load_labels(tmp_path / "none")


@pytest.mark.parametrize(
    ("columns", "outputs", "deciding", "found"),
    [
        (["label"], ["fraud"], ["fraud"], {"fraud": "label"}),
        (["label"], ["fraud"], [], {"fraud": "label"}),
        (["label"], ["fraud", "amount"], ["fraud"], {"fraud": "label"}),
        (["label"], ["cat", "dog"], ["cat", "dog"], {}),
        (["label"], ["cat", "dog"], [], {}),
        (["label.cat", "label.cow"], ["cat", "dog"], ["cat", "dog"], {"cat": "label.cat"}),
    ],
)
def test_one_label_is_that_of_the_only_output_it_can_mean(
    columns: list[str], outputs: list[str], deciding: list[str], found: dict[str, str]
) -> None:
    assert columns_of(columns, outputs, deciding) == found


def test_labels_made_of_a_frame_need_no_time() -> None:
    frame = pd.DataFrame({"request_id": ["a"], "label": [True]})
    assert Labels.of("frame", frame).table().columns == ("label_request_id", "label")
