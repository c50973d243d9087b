"""Injections into the models: what they do when they are called."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from load_tests.fault import Injection
from load_tests.scene import Scene


@contextmanager
def nothing(_scene: Scene) -> Iterator[None]:
    """Do nothing: the fault is around the whole run."""
    yield


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
