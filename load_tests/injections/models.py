"""Injections into the models: faults when they are called."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from load_tests.fault import Injection
from load_tests.scene import Scene


@contextmanager
def nothing(_scene: Scene) -> Iterator[None]:
    """Do nothing, because another injection lasts during the whole run."""
    yield


def model_fault(side: str, word: str) -> Injection:
    """Let the models of `side` show the fault that `faulty_service` names `word`."""

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
