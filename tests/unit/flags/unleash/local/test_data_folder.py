import json
import stat
from pathlib import Path

import pytest

from flags.unleash.local import packages
from flags.unleash.local.credentials import Credentials
from flags.unleash.local.data_folder import DataFolder
from flags.unleash.local.errors import DataFolderError, DataFolderForeignError, DataFolderInUseError
from flags.unleash.local.lock import FileLock
from flags.unleash.local.program import Program


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_environments(folder: DataFolder, credentials: Credentials) -> None:
    url, token = "http://127.0.0.1:4242", "default:development.x"
    folder.write_environments(url, "development", token, credentials)


def test_secrets_are_readable_by_their_owner_alone(folder: DataFolder) -> None:
    folder.open()
    credentials = folder.credentials()
    write_environments(folder, credentials)
    folder.close()
    assert mode(folder.path) == 0o700
    secret_files = [path for path in folder.path.iterdir() if path.name != "lock"]
    assert len(secret_files) == 4
    assert {mode(path) for path in secret_files} == {0o600}


def test_the_service_gets_no_admin_token(folder: DataFolder) -> None:
    folder.open()
    credentials = folder.credentials()
    write_environments(folder, credentials)
    folder.close()
    assert credentials.admin_token not in folder.service_environment.read_text()
    assert credentials.admin_token in folder.admin_environment.read_text()
    assert "UNLEASH_ENVIRONMENT=development\n" in folder.admin_environment.read_text()


def test_credentials_stay_the_same_between_runs_and_are_in_no_repr(folder: DataFolder) -> None:
    folder.open()
    first, second = folder.credentials(), folder.credentials()
    folder.close()
    assert first == second
    assert repr(first) == "Credentials()"
    assert Credentials.generate() != first


def test_a_database_whose_credentials_are_lost_is_said(folder: DataFolder) -> None:
    folder.open()
    folder.cluster.mkdir()
    with pytest.raises(DataFolderError, match="--fresh"):
        folder.credentials()
    folder.close()


def test_damaged_credentials_are_said_without_being_quoted(folder: DataFolder) -> None:
    folder.open()
    (folder.path / "credentials.json").write_text('{"admin_token": "half')
    with pytest.raises(DataFolderError, match="--fresh") as refusal:
        folder.credentials()
    assert "half" not in str(refusal.value)
    folder.close()


def test_a_second_dashboard_on_the_same_folder_is_refused(folder: DataFolder) -> None:
    folder.open()
    with pytest.raises(DataFolderInUseError, match="in use by another dashboard"):
        DataFolder(folder.path).open()
    folder.close()
    again = DataFolder(folder.path)
    again.open()
    again.close()


def test_a_folder_with_other_files_is_neither_locked_down_nor_wiped(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    tmp_path.chmod(0o755)
    with pytest.raises(DataFolderForeignError, match=r"thesis\.tex"):
        DataFolder(tmp_path).open()
    assert mode(tmp_path) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_wiping_removes_database_secrets_and_logs(folder: DataFolder) -> None:
    folder.open()
    folder.credentials()
    folder.cluster.mkdir()
    (folder.cluster / "PG_VERSION").write_text("18")
    folder.server_log.write_text("x")
    folder.wipe()
    assert [path.name for path in folder.path.iterdir()] == ["lock"]
    folder.close()


def test_a_lock_that_is_held_says_who_holds_it(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as held:
        assert FileLock(tmp_path / "lock").acquire(wait=False) is False
        assert held.holder().isdigit()
    free = FileLock(tmp_path / "lock")
    assert free.acquire(wait=False)
    free.release()


def test_the_committed_lock_names_no_registry_and_pins_every_package() -> None:
    lock = json.loads(Path(packages.__file__).with_name("package-lock.json").read_text())
    pinned = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(pinned) > 400
    assert all(entry["integrity"].startswith("sha512-") for entry in pinned.values())
    assert not any("resolved" in entry for entry in pinned.values())


def test_another_lock_installs_into_another_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(packages.CACHE_VARIABLE, str(tmp_path))
    before = packages.installed_folder()
    lock = tmp_path / "package-lock.json"
    lock.write_text("{}")
    monkeypatch.setattr(packages, "_LOCK", lock)
    assert before.parent == packages.installed_folder().parent == tmp_path
    assert before != packages.installed_folder()


def test_a_program_that_ends_before_it_is_ready_is_reported_with_its_last_words(
    tmp_path: Path,
) -> None:
    program = Program("oracle", log=tmp_path / "log")
    program.start(["/bin/sh", "-c", "echo the stars are wrong; exit 3"], environment={})
    with pytest.raises(Exception, match=r"oracle stopped before it was ready[^$]*stars are wrong"):
        program.wait_until(lambda: False, seconds=10)


def test_a_program_that_ignores_being_asked_is_killed(tmp_path: Path) -> None:
    program = Program("mule", log=tmp_path / "log")
    program.start(
        ["/bin/sh", "-c", "trap '' TERM; echo up; sleep 60 & wait; sleep 60"], environment={}
    )
    program.wait_until(lambda: "up" in program.log_tail(), seconds=10)
    program.stop(seconds=0.3)
    assert program.pid is None
    assert program.wait(1) == -9
