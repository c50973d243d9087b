"""Injections into the workers of the service, and into its callers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from load_tests.fault import Injection
from load_tests.scene import Scene
from tests.support.fakes import eventually

CALLERS: Final = 16
"""Concurrent requests with which the capacity is measured."""


def one_gets(number: signal.Signals) -> Injection:
    """Send a signal to one of the workers, and wait for its replacement."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        before = set(scene.workers())
        os.kill(min(before), number)
        yield
        if not eventually(lambda: set(scene.workers()) - before, pause=0.2):
            raise TimeoutError("no other worker came within a minute")

    return inject


@contextmanager
def restart(scene: Scene) -> Iterator[None]:
    """Stop the service under load, and start it again."""
    scene.serving.stop()
    scene.serving.start()
    yield


@contextmanager
def callers_hang_up(scene: Scene) -> Iterator[None]:
    """Let half of the callers disconnect within a few milliseconds."""
    scene.load.hanging_up = 0.5
    yield
    scene.load.hanging_up = 0.0


@contextmanager
def overload(scene: Scene) -> Iterator[None]:
    """Measure the capacity of the service, then send twice as many requests."""
    rate, scene.load.callers = scene.load.rate, CALLERS
    time.sleep(scene.seconds)
    capacity = scene.load.answered_per_second(scene.seconds / 2)
    scene.load.callers, scene.load.rate = 0, 2 * capacity
    yield
    scene.load.rate = rate
