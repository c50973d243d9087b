"""Injections into a candidate that is a deployment of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from load_tests.fault import Injection
from load_tests.scene import Scene
from tests.support import faulty_proxy
from tests.support.faulty_proxy import FaultyProxy

_REMOTE: Final = {"CANDIDATE_CHECK_INTERVAL": "1"}


@contextmanager
def there(scene: Scene) -> Iterator[None]:
    """Run the candidate as a server of its own, during the whole run."""
    with scene.remote("VerdictsV2") as server:
        scene.candidate = server
        scene.settings.update(_REMOTE, CANDIDATE_URL=server.url)
        yield


@contextmanager
def late(scene: Scene) -> Iterator[None]:
    """Use a candidate that starts only when the fault ends (see `comes`), during the whole run."""
    scene.candidate = scene.remote("VerdictsV2")
    scene.settings.update(_REMOTE, CANDIDATE_URL=scene.candidate.url)
    try:
        yield
    finally:
        scene.candidate.stop()


@contextmanager
def behind_proxy(scene: Scene) -> Iterator[None]:
    """Put a proxy that can fail in front of the candidate, during the whole run."""
    with scene.remote("VerdictsV2") as server, FaultyProxy(server.url) as proxy:
        scene.candidate, scene.candidate_proxy = server, proxy
        scene.settings.update(_REMOTE, CANDIDATE_URL=proxy.url)
        yield


@contextmanager
def without_name(scene: Scene) -> Iterator[None]:
    """Give the candidate a host name that does not resolve, during the whole run."""
    scene.settings.update(_REMOTE, CANDIDATE_URL="http://candidate.invalid:3000")
    yield


@contextmanager
def comes(scene: Scene) -> Iterator[None]:
    """Start the candidate's server when the fault ends; the fault is that it does not run."""
    yield
    assert scene.candidate is not None  # noqa: S101 - `late` is around
    scene.candidate.start()


@contextmanager
def away(scene: Scene) -> Iterator[None]:
    """Stop the candidate's server, and start it again."""
    assert scene.candidate is not None  # noqa: S101 - `there` is around
    scene.candidate.stop()
    yield
    scene.candidate.start()


def replaced_by(service: str) -> Injection:
    """Replace the candidate's server by `service`; restore it afterwards."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        first = scene.candidate
        assert first is not None  # noqa: S101 - `there` is around
        first.stop()
        other = scene.remote(service, like=first)
        try:
            other.start()
            yield
        finally:
            other.stop()
            first.start()

    return inject


def proxy_fails(fault: faulty_proxy.Fault) -> Injection:
    """Let the proxy in front of the candidate fail."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        assert scene.candidate_proxy is not None  # noqa: S101 - `behind_proxy` is around
        scene.candidate_proxy.fault = fault
        yield
        scene.candidate_proxy.fault = faulty_proxy.Fault.NONE

    return inject
