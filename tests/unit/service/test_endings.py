"""A program that asyncio runs in ends in order, however early its signal comes."""

import signal
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

PROGRAM = """
import asyncio, os, signal, sys
from service.endings import Endings

number, moment = int(sys.argv[1]), sys.argv[2]

class Early(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        if moment == "before":
            signal.raise_signal(number)
        return super().new_event_loop()

async def work():
    try:
        if moment == "during":
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), number)
        if moment == "after":
            signal.raise_signal(number)
            return
        await asyncio.sleep(60)
    finally:
        print("cleaned up")

asyncio.set_event_loop_policy(Early())
endings = Endings()
endings.install()
try:
    endings.run(work())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_signal_ends_the_work_in_order(number: signal.Signals, moment: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(int(number)), moment],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert run.stdout == "cleaned up\ninterrupted\n"
    assert run.stderr == ""
