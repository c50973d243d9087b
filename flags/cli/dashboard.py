"""`bentoml migration dashboard`: the real Unleash on this machine, until Ctrl-C."""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from flags.bounded_http import is_loopback
from flags.cli.exit_codes import exit_codes
from flags.cli.init import show
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from flags.unleash.local.errors import InstallFailedError, ProgramFailedError
from flags.unleash.local.packages import installed_folder
from flags.unleash.local.server import ADMIN_USER

_CHECK_SECONDS: Final = 1.0


@click.command("dashboard")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4242,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".dashboard"),
    show_default=True,
    help="Folder for the database, the credentials and the logs; kept between runs.",
)
@click.option("--fresh", is_flag=True, help="Empty the data folder first.")
@click.option(
    "--flag",
    "flags",
    metavar="KEY",
    multiple=True,
    default=("fraud-detector-v2",),
    show_default=True,
    help="Key of the flag to create; several may be given.",
)
@click.option(
    "--environment", default="development", show_default=True, help="Unleash environment."
)
def dashboard(
    port: int, host: str, data: Path, fresh: bool, flags: tuple[str, ...], environment: str
) -> None:
    """Run an Unleash without Docker, with the flags of migrations in it.

    It listens on this machine only, keeps its data, and stops on Ctrl-C or SIGTERM. The first
    start installs unleash-server with npm (about 200 MB, once for all projects).

    Example: bentoml migration dashboard --flag fraud-detector-v2
    """
    if not is_loopback(host):
        click.secho(
            f"Warning: {host} can be reached from the network, over plain HTTP. Whoever reads the "
            "traffic can take over the log-in and with it the flag.",
            err=True,
            fg="yellow",
        )
    unleash = LocalUnleash(
        data, host=host, port=port, environment=environment, fresh=fresh, on_progress=_Installing()
    )
    with exit_codes(InstallFailedError, ProgramFailedError), _stop_signals():
        try:
            with unleash:
                for flag in flags:
                    show(seed(unleash.admin, flag), refused="left as it is")
                _print_addresses(unleash, flags)
                while True:
                    time.sleep(_CHECK_SECONDS)
                    unleash.check()
        except _StopAsked:
            click.echo("stopped")


def _print_addresses(unleash: LocalUnleash, flags: tuple[str, ...]) -> None:
    """Print the addresses of the dashboard, and how to log in and to connect.

    Secrets are never printed, since terminals are recorded, shared and logged. They are in files of
    mode 0600, which stay the same at the next start.
    """
    data = unleash.data
    lines = [
        ("dashboard", unleash.url),
        *(("flag", unleash.admin.flag_url(each)) for each in flags),
        (
            "log in",
            f"{ADMIN_USER}, with the password that this prints: cat {_quoted(data.password)}",
        ),
        ("service", f"set -a; . {_quoted(data.service_environment)}; set +a"),
        ("operator", f"set -a; . {_quoted(data.admin_environment)}; set +a"),
        ("logs", f"{data.server_log}, {data.postgres_log}"),
        ("stop", "Ctrl-C"),
    ]
    for name, text in lines:
        click.echo(f"{name:<10} {text}")


def _quoted(path: Path) -> str:
    """Quote a path for a shell; `./` is added, because `.` looks a bare name up in PATH."""
    return shlex.quote(str(path) if path.is_absolute() else f"./{path}")


class _StopAsked(BaseException):
    """A request to end the dashboard; no `except Exception` may catch it."""


@contextmanager
def _stop_signals() -> Iterator[None]:
    """Raise _StopAsked in the main thread at the first Ctrl-C, SIGTERM or closed terminal.

    Further signals are ignored, so that a second Ctrl-C does not interrupt the shutdown.
    """
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise _StopAsked

    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    earlier = {name: signal.signal(name, ask) for name in names}
    try:
        yield
    finally:
        for name, action in earlier.items():
            signal.signal(name, action)


class _Installing:
    """A progress bar of the installation of packages; without an installation, nothing is shown."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, installed: int, wanted: int) -> None:
        """Move the bar to `installed` of `wanted` packages."""
        if self._bar is None:
            label = f"installing unleash-server, once, into {installed_folder()}"
            self._bar = click.progressbar(length=wanted, label=label, show_pos=True).__enter__()
        self._bar.update(installed - self._bar.pos)
        if installed == wanted:
            self._bar.__exit__(None, None, None)
