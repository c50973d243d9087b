"""Injections into the receiver of the pairs, and the way there."""

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
def down(scene: Scene) -> Iterator[None]:
    """Stop the receiver, and start it again."""
    scene.programs.receiver.stop()
    yield
    scene.programs.receiver.start()


def proxy_fails(fault: otlp_proxy.Fault) -> Injection:
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
