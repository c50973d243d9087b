"""Serve for half an hour under steady load, and check that no process grows.

    python load_tests/soak.py
    python load_tests/soak.py --placement isolated --minutes 60

The reference service runs with two workers, its real models and a flag that gives half of the
requests to the candidate. Its capacity is measured first; the load is 70 % of that, or less where
service and callers together would take more than half of the machine. Exit code 1: a process has
grown beyond the bounds below or was replaced, an answer failed, or a pair is missing.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

import psutil  # noqa: E402 - needs the line above
from scipy.stats import theilslopes  # noqa: E402

from comparison.pairs.reader import read_pairs  # noqa: E402
from flags.unleash.flags_file import write_flags_file  # noqa: E402
from load_tests.bench_overhead import FLAG, PLACEMENTS, train_models  # noqa: E402
from load_tests.load import System  # noqa: E402
from load_tests.steady_load import SteadyLoad  # noqa: E402
from service.serving import Serving  # noqa: E402

MEMORY_BOUND: Final = 10.0
"""MB per hour by which the resident memory of a process may grow."""
COUNT_BOUND: Final = 5
"""Additional file handles or threads of a process at the end; requests in progress have some."""

SHARE: Final = 0.7
"""Share of the capacity that is the load."""
MACHINE_SHARE: Final = 0.5
"""Maximum share of the processors' time, for service and callers together."""
WORKERS: Final = 2
ROLLOUT: Final = 50
CALLERS: Final = 16

_SAMPLES: Final = 360
_WARM_UP: Final = 0.2
"""Share of the run in which caches fill, which is left out."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The resources of one process at one time."""

    hours: float
    megabytes: float
    """Resident memory."""
    handles: int
    threads: int


@dataclass(slots=True)
class Watched:
    """One process, and its samples."""

    role: str
    pid: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def warm(self) -> list[Sample]:
        """Return the samples after the warm-up."""
        begin = _WARM_UP * self.samples[-1].hours
        return [each for each in self.samples if each.hours >= begin]

    @property
    def slope(self) -> float:
        """Return the growth of the memory in MB per hour by the Theil-Sen estimator: the median of
        the slopes between all samples, on which single jumps have little influence.
        """
        hours = [each.hours for each in self.warm]
        return float(theilslopes([each.megabytes for each in self.warm], hours).slope)

    def more(self, figure: str) -> float:
        """Return the difference of the medians of the last and the first quarter."""
        values = [getattr(each, figure) for each in self.warm]
        quarter = max(1, len(values) // 4)
        return statistics.median(values[-quarter:]) - statistics.median(values[:quarter])

    @property
    def is_flat(self) -> bool:
        """Say whether the process is within the bounds."""
        return (
            self.slope <= MEMORY_BOUND
            and self.more("handles") <= COUNT_BOUND
            and self.more("threads") <= COUNT_BOUND
        )


class Watch:
    """The processes of a service, sampled from time to time."""

    def __init__(self, root: int) -> None:
        self._root = psutil.Process(root)
        self._began = time.monotonic()
        self.processes = [Watched(role, process.pid) for role, process in self._running()]
        self._ids = {each.pid for each in self.processes}
        self.replaced = False
        """Whether a process has ended or started since the beginning."""

    def sample(self) -> None:
        """Take a sample of each process."""
        running = {process.pid: process for _, process in self._running()}
        self.replaced |= running.keys() != self._ids
        for watched in self.processes:
            if watched.pid in running:
                process = running[watched.pid]
                with process.oneshot():
                    watched.samples.append(
                        Sample(
                            (time.monotonic() - self._began) / 3600,
                            process.memory_info().rss / 1e6,
                            process.num_fds(),
                            process.num_threads(),
                        )
                    )

    def _running(self) -> Iterator[tuple[str, psutil.Process]]:
        yield "supervisor", self._root
        for process in self._root.children(recursive=True):
            yield _role(process), process


def _role(process: psutil.Process) -> str:
    command, parent = " ".join(process.cmdline()), process.parent()
    if "resource_tracker" in command:
        return "resource tracker"
    if "forkserver" in command:
        of_server = parent is not None and "forkserver" in " ".join(parent.cmdline())
        return "candidate" if of_server else "fork server"
    return "worker"


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of a service, and its processor time."""

    per_second: float
    cpu: float
    """Milliseconds of processor time per request, of service and callers together."""

    @property
    def rate(self) -> float:
        """Return the soak's rate: a share of the capacity that leaves half the machine idle."""
        half = MACHINE_SHARE * (os.cpu_count() or 1) * 1e3 / self.cpu
        return min(SHARE * self.per_second, half)


def measured(load: SteadyLoad, roots: Sequence[int], seconds: float) -> Capacity:
    """Send as many requests as are answered, and return the capacity; then stop sending."""
    system = System(load.url, tuple(roots))
    load.callers = CALLERS
    time.sleep(2)  # warm-up of the models
    load.taken()
    spent, began = system.cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    answered = sum(reply.status == 200 for reply in load.taken())
    elapsed, spent = time.perf_counter() - began, system.cpu_seconds() - spent
    load.callers = 0
    return Capacity(answered / elapsed, spent / answered * 1e3)


@dataclass(slots=True)
class Answers:
    """The counts of answers."""

    sent: int = 0
    failed: Counter[int] = field(default_factory=Counter)
    """By HTTP status; 0 if the connection broke or the caller gave up."""
    late: list[float] = field(default_factory=list)
    """Milliseconds of each answer."""

    def count(self, load: SteadyLoad) -> None:
        """Count the replies since the last time."""
        for reply in load.taken():
            self.sent += 1
            if reply.status != 200:
                self.failed[reply.status] += 1
            self.late.append((reply.ended - reply.began) * 1e3)


def print_processes(watched: Sequence[Watched]) -> None:
    """Print a table with a row for each process; figures of counts are medians of a quarter."""
    print(
        "| process          | pid     | MB at first | at the end | MB/h  | handles    | threads  |"
    )
    print(
        "|------------------|---------|-------------|------------|-------|------------|----------|"
    )
    for each in watched:
        first, last = each.warm[0], each.warm[-1]
        print(
            f"| {each.role:16} | {each.pid:7} | {first.megabytes:11.1f} | {last.megabytes:10.1f} "
            f"| {each.slope:+5.1f} | {first.handles:3} {each.more('handles'):+4.0f}   "
            f"| {first.threads:3} {each.more('threads'):+4.0f} |"
        )


def soak(folder: Path, placement: str, minutes: float, bodies: Sequence[Any]) -> bool:
    """Serve under load and print the result; return whether all promises were kept."""
    flags, pairs = folder / "flags.json", folder / "pairs"
    write_flags_file(flags, FLAG, ROLLOUT)
    settings = {
        "BENTOML_HOME": os.environ["BENTOML_HOME"],
        "PLACEMENT": placement,
        "API_WORKERS": str(WORKERS),
        "FLAGS_FILE": str(flags),
        "PAIRS_DIR": str(pairs),
    }
    serving = Serving(
        "service.app:FraudDetector", environment=settings, log=folder / "log", folder=ROOT
    )
    answers = Answers()
    with serving:
        url = f"{serving.url}/predict"
        with SteadyLoad(url, lambda number: bodies[number % len(bodies)], rate=1.0) as load:
            capacity = measured(load, (serving.pid, os.getpid()), min(15.0, 60 * minutes / 4))
            load.rate = capacity.rate
            print(
                f"{placement}, {WORKERS} workers: {capacity.per_second:.0f} answers/s at most, "
                f"{capacity.cpu:.1f} ms of CPU each with its caller's; the load is "
                f"{capacity.rate:.0f} requests/s",
                flush=True,
            )
            watch = Watch(serving.pid)
            pause = 60 * minutes / _SAMPLES
            for number in range(_SAMPLES):
                time.sleep(pause)
                watch.sample()
                answers.count(load)
                if number % (_SAMPLES // 6) == _SAMPLES // 6 - 1:
                    taken = sum(each.samples[-1].megabytes for each in watch.processes)
                    print(f"{(number + 1) * pause / 60:.0f} min: {taken:.0f} MB", flush=True)
        answers.count(load)
    accounting = read_pairs(pairs).accounting
    print()
    print_processes(watch.processes)
    late = sorted(answers.late)
    print(
        f"{answers.sent} requests, failed by status {dict(answers.failed) or 'none'}, "
        f"p50 {late[len(late) // 2]:.1f} ms, p99 {late[len(late) * 99 // 100]:.1f} ms; "
        f"pairs found {accounting.found} of {accounting.expected}"
    )
    flat = all(each.is_flat for each in watch.processes) and not watch.replaced
    failed = answers.failed.total()
    complete = failed == 0 and accounting.completeness == 1
    steepest = max(each.slope for each in watch.processes)
    handles = max(each.more("handles") for each in watch.processes)
    threads = max(each.more("threads") for each in watch.processes)
    verdict = "processes were replaced" if watch.replaced else "flat" if flat else "GROWS"
    if not complete:
        verdict += ", BUT NOT EVERY ANSWER AND PAIR IS THERE"
    print(
        f"soak {placement} {minutes:g} min at {capacity.rate:.0f} requests/s: memory "
        f"{steepest:+.1f} MB/h at most (bound {MEMORY_BOUND:g}), handles {handles:+.0f}, threads "
        f"{threads:+.0f} (bound {COUNT_BOUND}), failed answers {failed}: {verdict}",
        flush=True,
    )
    return flat and complete


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak each placement in turn; the last line is the verdict of the last."""
    parser = argparse.ArgumentParser(prog="python load_tests/soak.py")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--placement", nargs="+", choices=PLACEMENTS, default=["embedded"], dest="placements"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")  # set before BentoML is imported
        bodies = train_models()
        good = []
        for placement in options.placements:
            own = folder / placement
            own.mkdir()
            good.append(soak(own, placement, options.minutes, bodies))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
