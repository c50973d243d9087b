"""The processes of a test run share one Unleash, which ends with the last of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

USER = """
import sys
from pathlib import Path
from tests.support.unleash.server import shared_unleash
with shared_unleash(Path(sys.argv[1])) as unleash:
    unleash.admin.check()
    print(unleash.url, unleash.server.pid, flush=True)
    sys.stdin.readline()
"""


class User:
    """A process that uses the server until it is told to leave."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            cwd=ROOT,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def told(self) -> tuple[str, str]:
        """Return the url of the server, and its process id if this process has started it."""
        assert self.process.stdout is not None
        url, pid = self.process.stdout.readline().split()
        return url, pid

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.fixture
def users(dashboard_extra: None, tmp_path: Path) -> Iterator[tuple[User, User]]:
    """Two processes: one starts the server, the other finds it."""
    with ExitStack() as ended:
        both = [User(tmp_path) for _ in range(2)]
        for user in both:
            ended.enter_context(user.process)
            ended.callback(user.process.kill)
        yield both[0], both[1]


def running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_one_that_started_it_stops_it_once_the_others_have_left(
    users: tuple[User, User],
) -> None:
    (url, first), (same, second) = (user.told() for user in users)
    assert url == same
    (pid,) = (int(each) for each in (first, second) if each != "None")
    starter, other = users if second == "None" else reversed(users)
    starter.leave()
    with pytest.raises(subprocess.TimeoutExpired):
        starter.process.wait(1)
    assert running(pid)
    other.leave()
    assert (other.process.wait(60), starter.process.wait(60)) == (0, 0)
    assert not running(pid)


def test_it_does_not_outlive_a_run_that_is_killed(users: tuple[User, User]) -> None:
    told = [user.told()[1] for user in users]
    (pid,) = (int(each) for each in told if each != "None")
    for user in users:
        os.kill(user.process.pid, signal.SIGKILL)
    assert eventually(lambda: not running(pid), 60)
