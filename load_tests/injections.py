"""Do the harm: each injection does it on entering, and lifts it on leaving."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from load_tests.fault import Injection
from load_tests.scene import Scene
from tests.support import faulty_proxy, otlp_proxy
from tests.support.faulty_proxy import FaultyProxy
from tests.support.otlp_proxy import OtlpProxy

SMALL_DISK: Final = "4m"
"""Size of the file system that is made to be full; two workers' pairs of minutes fit."""

CALLERS: Final = 16
"""Requests under way at the same time when the capacity is measured."""

_BLOCK: Final = b"\0" * 2**16


@contextmanager
def nothing(_scene: Scene) -> Iterator[None]:
    """Do nothing: the fault is around the whole run."""
    yield


# --- the models -----------------------------------------------------------------------------------


def told(side: str, word: str) -> Injection:
    """Have the models of `side` do what `faulty_service` knows by `word`."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        scene.tell(side, word)
        yield
        scene.tell(side, None)

    return inject


def killed(side: str) -> Injection:
    """Kill every process that has loaded the model of `side`."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        for pid in scene.processes(side):
            os.kill(pid, signal.SIGKILL)
        yield

    return inject


# --- a candidate that is a deployment of its own --------------------------------------------------

_REMOTE: Final = {"CANDIDATE_CHECK_INTERVAL": "1"}


@contextmanager
def remote(scene: Scene) -> Iterator[None]:
    """Have the candidate be a server of its own; for the whole run."""
    with scene.remote("VerdictsV2") as server:
        scene.candidate = server
        scene.settings.update(_REMOTE, CANDIDATE_URL=server.url)
        yield


@contextmanager
def remote_late(scene: Scene) -> Iterator[None]:
    """Have it start only when the fault is lifted; for the whole run."""
    scene.candidate = scene.remote("VerdictsV2")
    scene.settings.update(_REMOTE, CANDIDATE_URL=scene.candidate.url)
    try:
        yield
    finally:
        scene.candidate.stop()


@contextmanager
def remote_behind_proxy(scene: Scene) -> Iterator[None]:
    """Have a proxy that can fail before it; for the whole run."""
    with scene.remote("VerdictsV2") as server, FaultyProxy(server.url) as proxy:
        scene.candidate, scene.candidate_proxy = server, proxy
        scene.settings.update(_REMOTE, CANDIDATE_URL=proxy.url)
        yield


@contextmanager
def remote_without_name(scene: Scene) -> Iterator[None]:
    """Have its name be one that does not resolve; for the whole run."""
    scene.settings.update(_REMOTE, CANDIDATE_URL="http://candidate.invalid:3000")
    yield


@contextmanager
def remote_comes(scene: Scene) -> Iterator[None]:
    """Start the candidate's server when the fault is lifted, which is that it was not there."""
    yield
    assert scene.candidate is not None  # noqa: S101 - `remote_late` is around
    scene.candidate.start()


@contextmanager
def remote_away(scene: Scene) -> Iterator[None]:
    """Stop the candidate's server, and start it again."""
    assert scene.candidate is not None  # noqa: S101 - `remote` is around
    scene.candidate.stop()
    yield
    scene.candidate.start()


def remote_is(service: str) -> Injection:
    """Put `service` in the place of the candidate's server, and that one back again."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        first = scene.candidate
        assert first is not None  # noqa: S101 - `remote` is around
        first.stop()
        other = scene.remote(service, like=first)
        try:
            other.start()
            yield
        finally:
            other.stop()
            first.start()

    return inject


def remote_proxy(fault: faulty_proxy.Fault) -> Injection:
    """Have the proxy before the candidate fail."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        assert scene.candidate_proxy is not None  # noqa: S101 - `remote_behind_proxy` is around
        scene.candidate_proxy.fault = fault
        yield
        scene.candidate_proxy.fault = faulty_proxy.Fault.NONE

    return inject


# --- the folder of the pairs ----------------------------------------------------------------------


@contextmanager
def folder_moved(scene: Scene) -> Iterator[None]:
    """Move the folder away under the workers' hands; it is not put back."""
    scene.pairs.rename(scene.record / "moved")
    yield


@contextmanager
def folder_removed(scene: Scene) -> Iterator[None]:
    """Remove the folder with what is in it."""
    removed = False
    while not removed:
        try:
            shutil.rmtree(scene.pairs)
            removed = True
        except OSError:  # a worker has written to it meanwhile
            continue
    yield


@contextmanager
def file_in_its_place(scene: Scene) -> Iterator[None]:
    """Put a file where the folder was, so that nothing can be written, as root or not."""
    in_place = False
    while not in_place:
        scene.pairs.rename(scene.record / f"moved-{time.monotonic_ns()}")
        with contextlib.suppress(FileExistsError):  # a worker has made the folder anew
            scene.pairs.touch(exist_ok=False)
            in_place = True
    yield
    scene.pairs.unlink()


@contextmanager
def immutable(scene: Scene) -> Iterator[None]:
    """Make folder and files immutable, which binds root as well."""
    paths = [str(scene.pairs), *map(str, scene.pairs.glob("*.jsonl"))]
    subprocess.run(["chattr", "+i", *paths], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)


@contextmanager
def small_disk(scene: Scene) -> Iterator[None]:
    """Give the folder a file system of its own; for the whole run."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(scene.pairs)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(scene.pairs)], check=True)


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """Fill that file system to the last byte."""
    filler = scene.pairs / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(_BLOCK):
            pass
    yield
    filler.unlink()


@contextmanager
def disk_full_to_the_end(scene: Scene) -> Iterator[None]:
    """Fill it, and leave it full until the service has been stopped."""
    with (scene.pairs / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(_BLOCK):
            pass
    yield


@contextmanager
def over_its_bound(scene: Scene) -> Iterator[None]:
    """Ask as much as is answered, until files had to be removed for the folder's bound."""
    scene.load.callers = CALLERS
    _until(lambda: scene.counted()["drop pruned"] > 0, "a file was pruned")
    yield
    scene.load.callers = 0


def may_mount(folder: Path) -> bool:
    """Say whether this user may mount file systems, and make files in `folder` immutable."""
    if os.geteuid() != 0:
        return False
    place, file = folder / "mount", folder / "file"
    place.mkdir()
    file.touch()
    commands = [
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)],
        ["umount", str(place)],
        ["chattr", "+i", str(file)],
        ["chattr", "-i", str(file)],
    ]
    try:
        return all(
            subprocess.run(command, capture_output=True, check=False).returncode == 0
            for command in commands
        )
    except FileNotFoundError:
        return False


# --- the receiver of the pairs --------------------------------------------------------------------

_SHIPPING: Final = {
    "PAIRS_SHIP_INTERVAL": "0.2",
    "PAIRS_SHIP_MAX_WAIT": "2",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
}


@contextmanager
def ship_directly(scene: Scene) -> Iterator[None]:
    """Ship the pairs to the receiver; for the whole run."""
    receiver = scene.programs.receiver
    receiver.forget()
    scene.settings.update(_SHIPPING, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    yield


@contextmanager
def ship(scene: Scene) -> Iterator[None]:
    """Ship the pairs through a proxy that can fail; for the whole run."""
    receiver = scene.programs.receiver
    receiver.forget()
    with OtlpProxy(receiver.url) as proxy:
        scene.proxy = proxy
        scene.settings.update(_SHIPPING, OTEL_EXPORTER_OTLP_ENDPOINT=proxy.url)
        yield


@contextmanager
def receiver_down(scene: Scene) -> Iterator[None]:
    """Stop the receiver, and start it again."""
    scene.programs.receiver.stop()
    yield
    scene.programs.receiver.start()


def receiver(fault: otlp_proxy.Fault) -> Injection:
    """Have the proxy before the receiver fail."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        assert scene.proxy is not None  # noqa: S101 - `ship` is around
        if fault is otlp_proxy.Fault.BOMB:
            otlp_proxy.bomb()  # made before it is sent: that takes seconds
        scene.proxy.fault = fault
        yield
        scene.proxy.fault = otlp_proxy.Fault.NONE

    return inject


# --- the flag -------------------------------------------------------------------------------------


@contextmanager
def flags_file_broken(scene: Scene) -> Iterator[None]:
    """Spoil the flags file as a half-finished edit does."""
    text = scene.flags.read_text()
    scene.flags.write_text(text[: len(text) // 2])
    yield
    scene.flags.write_text(text)


@contextmanager
def flags_file_missing(scene: Scene) -> Iterator[None]:
    """Have no flags file; for the whole run."""
    scene.flags.unlink()
    yield


@contextmanager
def follow_unleash(scene: Scene) -> Iterator[None]:
    """Take the flag from a real Unleash; for the whole run."""
    unleash = scene.programs.unleash
    scene.settings.update(
        UNLEASH_URL=unleash.sdk_url,
        UNLEASH_API_TOKEN=unleash.client_token,
        FLAGS_REFRESH_INTERVAL="1",
    )
    yield


@contextmanager
def unleash_down(scene: Scene) -> Iterator[None]:
    """Stop the Unleash server, and start it again."""
    scene.programs.unleash.server.stop()
    yield
    scene.programs.unleash.restart_server()


@contextmanager
def unleash_silent(scene: Scene) -> Iterator[None]:
    """Follow a real Unleash that never answers; for the whole run."""
    with FaultyProxy(scene.programs.unleash.url) as proxy, follow_unleash(scene):
        proxy.fault = faulty_proxy.Fault.SILENT
        scene.settings["UNLEASH_URL"] = proxy.sdk_url
        yield


# --- the workers and the callers ------------------------------------------------------------------


def worker_gets(number: signal.Signals) -> Injection:
    """Send a signal to one of the workers, and wait for the one that takes its place."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        before = set(scene.workers())
        os.kill(min(before), number)
        yield
        _until(lambda: bool(set(scene.workers()) - before), "there was another worker")

    return inject


@contextmanager
def restart(scene: Scene) -> Iterator[None]:
    """Stop the service under load, and start it again."""
    scene.serving.stop()
    scene.serving.start()
    yield


@contextmanager
def callers_hang_up(scene: Scene) -> Iterator[None]:
    """Have half of the callers hang up within a few milliseconds."""
    scene.load.hanging_up = 0.5
    yield
    scene.load.hanging_up = 0.0


@contextmanager
def overload(scene: Scene) -> Iterator[None]:
    """Measure how much the service can answer, then ask for twice as much."""
    rate, scene.load.callers = scene.load.rate, CALLERS
    time.sleep(scene.seconds)
    capacity = scene.load.answered_per_second(scene.seconds / 2)
    scene.load.callers, scene.load.rate = 0, 2 * capacity
    yield
    scene.load.rate = rate


def _until(condition: Callable[[], bool], what: str, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it took longer than {within:g} s until {what}")
        time.sleep(0.2)
