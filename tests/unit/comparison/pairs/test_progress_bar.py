import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from comparison.pairs import progress_bar as module
from comparison.pairs.progress_bar import files_with_bar, progress_bar
from tests.support.fakes import eventually


def terminal(*, real: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=real, width=80)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_long_work_shows_a_bar_on_a_terminal_until_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AFTER", 0.0)
    console = terminal(real=True)
    with progress_bar("reading pairs", 4, console) as advance:
        advance(1)
        assert eventually(lambda: "reading pairs" in written(console), 10)
    assert written(console).endswith("\x1b[2K"), "the line is cleared"


def test_short_work_shows_no_bar() -> None:
    console = terminal(real=True)
    with progress_bar("reading pairs", 4, console) as advance:
        advance(4)
    assert "reading" not in written(console)
    assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)]


def test_a_log_gets_nothing_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AFTER", 0.0)
    console = terminal(real=False)
    with progress_bar("reading pairs", 4, console) as advance:
        advance(1)
    assert written(console) == ""


def test_an_error_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AFTER", 0.0)
    console = terminal(real=True)
    with pytest.raises(KeyError), progress_bar("counting pairs", None, console):
        raise KeyError


@pytest.mark.parametrize("real", [True, False])
def test_files_come_in_their_order_and_one_may_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: bool
) -> None:
    monkeypatch.setattr(module, "Console", lambda **_: terminal(real=real))
    (tmp_path / "a").write_text("1")
    files = [tmp_path / "a", tmp_path / "gone"]
    assert list(files_with_bar("reading pairs", iter(files))) == files
