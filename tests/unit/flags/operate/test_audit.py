"""The audit file: every act, whoever else is writing."""

import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import orjson
import pytest

from flags.errors import AuditUnwritableError
from flags.monitoring.views import FlagView
from flags.operate.audit import AuditFile, Confirmation, FlagChange, operator
from flags.unleash.admin.note import fitting
from tests.support.paths import ROOT

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHANGE = FlagChange(
    id="a1",
    time=NOON,
    command="rollback",
    by="ada@desk",
    flag="fraud-detector-v2",
    environment="production",
    unleash="https://unleash.example.com",
    before=FlagView(True, 10, "requestId"),
    after=FlagView(False, 10, "requestId"),
    reason="p99 doubled\nsince noon",
    verdict={"decision": "ROLLBACK", "reasons": ["alarm rate 2.03x primary's"]},
)
FOLLOWING = Confirmation("a1", NOON, "http://127.0.0.1:3000", 2, 1.4)


def test_acts_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "audit.jsonl")
    assert file.read().changes == ()
    file.append(CHANGE)
    file.append(FOLLOWING)
    file.append(replace(CHANGE, id="a2", before=None, verdict=None))
    found = file.read()
    assert found.changes == (CHANGE, replace(CHANGE, id="a2", before=None, verdict=None))
    assert found.confirmations == (FOLLOWING,)
    assert found.unreadable == 0
    lines = file.path.read_bytes().splitlines()
    assert [orjson.loads(line)["kind"] for line in lines] == ["change", "confirmation", "change"]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_who_has_the_file_alone_records_in_it_and_keeps_others_waiting(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    mine, other = AuditFile(path), Thread(target=AuditFile(path).append, args=(FOLLOWING,))
    with mine.exclusive():
        other.start()
        mine.append(CHANGE)
        assert (mine.read().changes, mine.read().confirmations) == ((CHANGE,), ())
    other.join()
    assert mine.read().confirmations == (FOLLOWING,)


def test_a_file_that_cannot_be_had_alone_is_no_reason_to_stop(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "no" / "audit.jsonl")
    with file.exclusive(), pytest.raises(AuditUnwritableError):
        file.append(CHANGE)


def test_a_torn_line_and_a_foreign_one_cost_nothing_but_themselves(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "audit.jsonl")
    file.append(CHANGE)
    with file.path.open("ab") as torn:
        torn.write(b'{"kind": "other"}\n[]\n{"kind": "change", "id": "to')
    file.append(CHANGE)
    found = file.read()
    assert found.changes == (CHANGE, CHANGE)
    assert found.unreadable == 3


def test_the_mode_of_a_file_that_is_there_is_its_owners_business(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o640)
    path.chmod(0o640)
    AuditFile(path).append(CHANGE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("place", ["no/such/folder/audit.jsonl", "."])
def test_a_file_that_cannot_be_written_is_an_error_that_names_it(
    tmp_path: Path, place: str
) -> None:
    with pytest.raises(AuditUnwritableError, match="cannot be written"):
        AuditFile(tmp_path / place).append(CHANGE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_an_error() -> None:
    with pytest.raises(AuditUnwritableError, match="No space left"):
        AuditFile(Path("/dev/full")).append(CHANGE)


def test_several_programs_append_at_once_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    script = (
        "import sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from flags.operate.audit import AuditFile\n"
        "from tests.unit.flags.operate.test_audit import CHANGE\n"
        "for n in range(20):\n"
        "    AuditFile(Path(sys.argv[1])).append(replace(CHANGE, id=sys.argv[2] + str(n)))\n"
    )
    programs = [
        subprocess.Popen([sys.executable, "-c", script, str(path), name], cwd=ROOT)
        for name in ("x", "y")
    ]
    assert [each.wait(120) for each in programs] == [0, 0]
    found = AuditFile(path).read()
    assert {change.id for change in found.changes} == {
        f"{name}{n}" for name in "xy" for n in range(20)
    }
    assert found.unreadable == 0


def test_who_did_it_is_a_user_on_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert operator() == f"ada@{os.uname().nodename}"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("rollback: p99 doubled", "rollback: p99 doubled"),
        ("rollback:\n  p99\x1b[31m \t doubled", "rollback: p99 [31m doubled"),
        ("x" * 50, "x" * 50),
        ("x" * 51, "x" * 49 + "…"),
        ("y" * 48 + " long", "y" * 48 + "…"),
        ("\N{PILE OF POO}" * 26, "\N{PILE OF POO}" * 24 + "…"),
        ("x", "x -"),
        ("\x00", "- -"),
    ],
)
def test_a_reason_is_made_to_fit_a_tag(text: str, fits: str) -> None:
    assert fitting(text) == fits
