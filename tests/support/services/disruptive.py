"""A candidate that does to its process whatever a request names; the primary tells of its own."""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import bentoml
from pydantic import BaseModel

from flags import migrate

FOREVER = ["sleep", "600"]


class Opinion(BaseModel):
    score: float
    process: str
    """What a model could have spoilt for the process that answers."""


def process_facts() -> str:
    mask = os.umask(0)
    os.umask(mask)
    handles = [os.path.exists(f"/proc/self/fd/{number}") for number in range(3)]
    return repr(
        (
            os.getpid(),
            Path.cwd(),
            mask,
            os.environ.get("MARK"),
            os.nice(0),
            resource.getrlimit(resource.RLIMIT_NOFILE),
            resource.getrlimit(resource.RLIMIT_CPU),
            signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN,
            handles,
        )
    )


def note(*pids: int) -> None:
    """Remember processes that must not outlive the service."""
    with Path(os.environ["STARTED"]).open("a") as file:
        file.writelines(f"{pid}\n" for pid in pids)


def fork() -> None:
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    note(child)


def fork_a_daemon() -> None:
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon == 0:
            os.execvp(FOREVER[0], FOREVER)  # noqa: S606 - a program as a model runs it
        os.write(tell, str(daemon).encode())
        os._exit(0)
    note(int(os.read(told, 20)))


def run_many() -> None:
    note(*(subprocess.Popen(FOREVER).pid for _ in range(50)))


def ignore_all_signals() -> None:
    libc = ctypes.CDLL(None)
    for number in range(1, 32):
        libc.signal(number, ctypes.c_void_p(1))


def begin_endless_threads() -> None:
    for _ in range(30):
        threading.Thread(target=threading.Event().wait).start()


def flood() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.write(("x" * 1023 + "\n") * 2048)
        stream.flush()


def scribble() -> None:
    """Write to every handle that is a socket, the pipe to the worker among them."""
    for number in range(3, 100):
        if "socket" in os.path.realpath(f"/proc/self/fd/{number}"):
            os.write(number, os.urandom(64))


def kill(pid: int, number: int) -> Callable[[], None]:
    return lambda: os.kill(pid, number)


def limit(what: int, to: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(what, (to, to))


def work() -> None:
    until = time.process_time() + 3
    while time.process_time() < until:
        pass


CONDUCTS: dict[str, Callable[[], object]] = {
    "signals its process group": kill(0, signal.SIGTERM),
    "kills its process group": kill(0, signal.SIGKILL),
    "stops itself": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "signals its parent": lambda: os.kill(os.getppid(), signal.SIGTERM),
    "kills its parent": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "aborts": os.abort,
    "exits": lambda: os._exit(3),
    "raises SystemExit": lambda: sys.exit(3),
    "closes every handle": lambda: os.closerange(0, 1024),
    "scribbles into its pipe": scribble,
    "changes its folder": lambda: os.chdir("/"),
    "changes its umask": lambda: os.umask(0o777),
    "clears its environment": os.environ.clear,
    "lowers its priority": lambda: os.nice(19),
    "allows itself no further file": limit(resource.RLIMIT_NOFILE, 0),
    "allows itself no time": lambda: (limit(resource.RLIMIT_CPU, 1)(), work()),
    "ignores all signals": ignore_all_signals,
    "begins endless threads": begin_endless_threads,
    "floods its output": flood,
    "forks": fork,
    "forks a daemon": fork_a_daemon,
    "runs fifty programs": run_many,
}


@bentoml.service(traffic={"timeout": 60})
class DisruptiveV1:
    @bentoml.api
    def judge(self, amount: float, conduct: str = "") -> Opinion:
        return Opinion(score=amount, process=process_facts())


@bentoml.service(traffic={"timeout": 60})
class DisruptiveV2:
    @bentoml.api
    def judge(self, ctx: bentoml.Context, amount: float, conduct: str = "") -> Opinion:
        folder = Path(ctx.temp_dir)
        if conduct == "removes its temporary folder":
            shutil.rmtree(folder.parent)
        elif conduct:
            CONDUCTS[conduct]()
        return Opinion(score=amount, process="")


Disruptive = migrate(
    primary=DisruptiveV1,
    candidate=DisruptiveV2,
    flag="disruptive-v2",
    score="score",
    placement="isolated",
    name="Disruptive",
)
