"""Injections into the receiver of the pairs and the proxy in front of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from load_tests.fault import Injection
from load_tests.scene import Scene
from tests.support import otlp_proxy
from tests.support.otlp_proxy import OtlpProxy

_SHIPPING: Final = {
    "PAIRS_SHIP_INTERVAL": "0.2",
    "PAIRS_SHIP_MAX_WAIT": "2",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
}


@contextmanager
def ship_directly(scene: Scene) -> Iterator[None]:
    """Ship the pairs to the receiver, during the whole run."""
    receiver = scene.programs.receiver
    receiver.forget()
    scene.settings.update(_SHIPPING, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    yield


@contextmanager
def ship(scene: Scene) -> Iterator[None]:
    """Ship the pairs through a proxy that can fail, during the whole run."""
    receiver = scene.programs.receiver
    receiver.forget()
    with OtlpProxy(receiver.url) as proxy:
        scene.proxy = proxy
        scene.settings.update(_SHIPPING, OTEL_EXPORTER_OTLP_ENDPOINT=proxy.url)
        yield


@contextmanager
def down(scene: Scene) -> Iterator[None]:
    """Stop the receiver, and start it again."""
    scene.programs.receiver.stop()
    yield
    scene.programs.receiver.start()


def proxy_fails(fault: otlp_proxy.Fault) -> Injection:
    """Let the proxy in front of the receiver fail."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        assert scene.proxy is not None  # noqa: S101 - `ship` is around
        if fault is otlp_proxy.Fault.BOMB:
            otlp_proxy.bomb()  # built in advance: that takes seconds
        scene.proxy.fault = fault
        yield
        scene.proxy.fault = otlp_proxy.Fault.NONE

    return inject
