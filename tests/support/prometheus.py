"""The real Prometheus and Alertmanager of Debian's packages (`make tools`), on free ports."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from flags.unleash.local.program import Program
from service.serving import free_port
from tests.support.loopback_server import LoopbackServer, QuietExchange
from tests.support.proxy import Server

_SECONDS = 30.0
_TEMPLATES = Path(sys.executable).parents[1] / "share" / "alertmanager"
"""In which Debian's Alertmanager is run: see the Makefile."""


def debian_program(name: str) -> str | None:
    """Return where a program of `make tools` is, or one that is installed."""
    places = [str(Path(sys.executable).parent), os.environ["PATH"]]
    return shutil.which(name, path=os.pathsep.join(places))


PROMETHEUS, ALERTMANAGER = debian_program("prometheus"), debian_program("prometheus-alertmanager")


def are_there() -> bool:
    """Say whether both can be run."""
    return PROMETHEUS is not None and ALERTMANAGER is not None and _TEMPLATES.is_dir()


needs_prometheus = pytest.mark.skipif(
    not are_there(),
    reason="no Prometheus or no Alertmanager: they are in Debian's packages (make tools)",
)


@contextmanager
def running_prometheus(folder: Path, configuration: Mapping[str, Any]) -> Iterator[str]:
    """Run Prometheus with a configuration; yields its URL."""
    assert PROMETHEUS is not None
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(dict(configuration)))
    port = free_port()
    command = [
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(Program("prometheus", log=folder / "prometheus.log"), command, port) as url:
        yield url


@contextmanager
def running_alertmanager(folder: Path) -> Iterator[str]:
    """Run Alertmanager, which tells nobody; yields its URL."""
    assert ALERTMANAGER is not None
    quiet = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(quiet))
    port = free_port()
    command = [
        ALERTMANAGER,
        f"--config.file={folder / 'alertmanager.yaml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    program = Program("alertmanager", log=folder / "alertmanager.log")
    with _running(program, command, port, _TEMPLATES) as url:
        yield url


@contextmanager
def _running(
    program: Program, command: list[str], port: int, inside: Path | None = None
) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    program.start(command, environment=os.environ, folder=inside)
    try:
        program.wait_until(lambda: _is_ready(url), _SECONDS)
        yield url
    finally:
        program.stop()


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def scraping(port: int, *, every: str = "100ms", **more: Any) -> dict[str, Any]:
    """Return a configuration that scrapes one port of this machine."""
    job = {"job_name": "test", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    times = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    return {"global": times, "scrape_configs": [job], **more}


def fire(alertmanager: str, *, resolved: bool = False, **labels: str) -> None:
    """Tell Alertmanager that an alert fires, or no longer does."""
    end = datetime.now(UTC) + timedelta(hours=-1 if resolved else 1)
    begin = end - timedelta(hours=2)
    alert = {"labels": labels, "startsAt": begin.isoformat(), "endsAt": end.isoformat()}
    answer = requests.post(f"{alertmanager}/api/v2/alerts", json=[alert], timeout=5)
    answer.raise_for_status()


def silence(alertmanager: str, label: str, value: str) -> None:
    """Silence the alerts with a label for an hour."""
    now = datetime.now(UTC)
    body = {
        "matchers": [{"name": label, "value": value, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "a test",
        "comment": "planned",
    }
    requests.post(f"{alertmanager}/api/v2/silences", json=body, timeout=5).raise_for_status()


class Exporter(LoopbackServer):
    """A process that Prometheus scrapes; its series may be set at any time."""

    def __init__(self) -> None:
        self.series: dict[str, float] = {}
        exporter = self

        class Exchange(QuietExchange):
            def do_GET(self) -> None:  # noqa: N802 - the name that the base class calls
                lines = [f"{name} {value}\n" for name, value in exporter.series.items()]
                body = "".join(lines).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Exchange, Server)  # which says nothing of a scrape broken off

    @property
    def port(self) -> int:
        return self._server.server_port
