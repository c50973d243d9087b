"""Measure p99 of answers during activities that should not affect it, in alternating rounds.

- 100 requests a second of `/migration/live`, like from many open pages; for comparison, as many of
  `/livez`, which does no work.
- 5,000 flags in the flags file, one of which Unleash's engine refuses: unchanged, and while another
  team edits one of them every two seconds.

One service with one flag and one with 5,000 are started before the first round. In each of many
short rounds, every case in turn gets the same load, and each round begins with another case. The
ratio is that of p99 over all rounds; its 95 % interval comes from a bootstrap of the rounds.

    python load_tests/bench_disturbed.py
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

import aiohttp  # noqa: E402 - needs the line above

from flags.serving.http.endpoints import LIVE_PATH  # noqa: E402
from flags.unleash.flags_file import write_flags_file  # noqa: E402
from load_tests.bench_overhead import FLAG, home_of_its_own, train_models  # noqa: E402
from load_tests.load import Load, System, quantile  # noqa: E402
from service.serving import Serving  # noqa: E402

FLAGS: Final = 5_000
ASKED: Final = 100
"""Requests per second of a page."""
EDITED_EVERY: Final = 2.0
WARM_UP: Final = 1
"""Rounds."""
DRAWN: Final = 2_000
"""Samples of the bootstrap."""

CALM: Final = "nothing"

_EDITED: Final = "not edited yet"


@dataclass(frozen=True, slots=True)
class Case:
    """A system, and the activity during its load."""

    system: System
    beside: Callable[[], AbstractContextManager[None]]


@dataclass(slots=True)
class Found:
    """The measurements of one case."""

    rounds: list[list[float]] = field(default_factory=list)
    """Milliseconds of the successful answers, by round."""
    failed: int = 0

    def p99(self, chosen: Sequence[int] | None = None) -> float:
        """Return the 99th percentile over all rounds, or over the chosen ones."""
        rounds = self.rounds if chosen is None else [self.rounds[number] for number in chosen]
        return quantile(sorted(itertools.chain.from_iterable(rounds)), 0.99)


def many_flags(path: Path) -> None:
    """Fill the flags file up to `FLAGS` flags of other teams; one is refused by the engine."""
    write_flags_file(path, FLAG, 0)
    document = json.loads(path.read_text())
    others = [_flag(f"team-{number % 40}.flag-{number}", "50") for number in range(FLAGS - 1)]
    others[0]["strategies"][0]["parameters"]["rollout"] = (
        50  # a number, where the engine needs a string
    )
    others[1]["description"] = _EDITED
    path.write_text(json.dumps({**document, "features": document["features"] + others}))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _flag(name: str, rollout: str) -> dict[str, Any]:
    names = ("region", "customerGroup", "appVersion")
    constraints = [
        {"contextName": each, "operator": "IN", "values": [f"{each}-{n}" for n in range(5)]}
        for each in names
    ]
    parameters = {"rollout": rollout, "stickiness": "default", "groupId": name}
    strategy = {"name": "flexibleRollout", "parameters": parameters, "constraints": constraints}
    return {"name": name, "type": "release", "enabled": True, "strategies": [strategy]}


@contextlib.contextmanager
def asking(url: str) -> Iterator[None]:
    """Request a page `ASKED` times a second, from a separate process."""
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    process = context.Process(target=_ask, args=(url, ended))
    process.start()
    try:
        yield
    finally:
        ended.set()
        process.join()


def _ask(url: str, ended: Event) -> None:
    async def one(session: aiohttp.ClientSession) -> None:
        async with session.get(url) as response:
            await response.read()
            assert response.status == 200, response.status  # noqa: S101 - else nothing is asked

    async def ask() -> None:
        began = asyncio.get_running_loop().time
        start, tasks = began(), set()
        async with aiohttp.ClientSession() as session:
            for number in itertools.count():
                if ended.is_set():
                    break
                await asyncio.sleep(start + number / ASKED - began())
                task = asyncio.create_task(one(session))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

    asyncio.run(ask())


@contextlib.contextmanager
def editing(path: Path) -> Iterator[None]:
    """Edit one of many flags repeatedly."""
    before, after = path.read_text().split(_EDITED)
    ended = threading.Event()

    def edit() -> None:
        for number in itertools.count(1):
            if ended.wait(EDITED_EVERY):
                break
            _replace(path, f"{before}edited {number} times{after}")  # no JSON: it takes the lock
        _replace(path, before + _EDITED + after)

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def cases(folder: Path, placement: str) -> Iterator[dict[str, Case]]:
    """Start both services; yield the cases by name."""
    few, many = folder / "few.json", folder / "many.json"
    write_flags_file(few, FLAG, 0)
    many_flags(many)
    with contextlib.ExitStack() as stack:

        def served(flags: Path) -> Serving:
            home = home_of_its_own(folder / f"home-{flags.stem}")
            environment = {
                "BENTOML_HOME": str(home),
                "PLACEMENT": placement,
                "FLAGS_FILE": str(flags),
                "PAIRS_DIR": str(folder / f"pairs-{flags.stem}"),
            }
            log = folder / f"{flags.stem}.log"
            target = "service.app:FraudDetector"
            return stack.enter_context(
                Serving(target, environment=environment, log=log, folder=ROOT)
            )

        one, other = served(few), served(many)
        calm = System(one.url, (one.pid,))
        full = System(other.url, (other.pid,))
        yield {
            CALM: Case(calm, contextlib.nullcontext),
            f"{ASKED} /livez a second": Case(calm, lambda: asking(f"{one.url}/livez")),
            f"{ASKED} {LIVE_PATH} a second": Case(calm, lambda: asking(one.url + LIVE_PATH)),
            f"{FLAGS:,} flags": Case(full, contextlib.nullcontext),
            f"{FLAGS:,} flags, edited": Case(full, lambda: editing(many)),
        }


def measure(
    load: Load, started: Mapping[str, Case], *, rounds: int, seconds: float
) -> dict[str, Found]:
    """Return the measurements of each case, without the warm-up."""
    found = {name: Found() for name in started}
    names = list(started)
    for number in range(WARM_UP + rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            case = started[name]
            with case.beside():
                durations = asyncio.run(load.durations(case.system, seconds))
            if number >= WARM_UP:
                good = [each for each in durations if each is not None]
                found[name].rounds.append(good)
                found[name].failed += len(durations) - len(good)
        if number >= WARM_UP:
            shown = ", ".join(
                f"{name} {quantile(sorted(found[name].rounds[-1]), 0.99):.1f}" for name in names
            )
            print(f"round {number - WARM_UP + 1} (p99, ms): {shown}", flush=True)
    return found


def ratio(found: Found, calm: Found) -> tuple[float, float, float]:
    """Return the ratio of p99 to that of the calm case, and the bounds of its interval."""
    draw = random.Random(0)
    numbers = range(len(calm.rounds))
    drawn = sorted(
        found.p99(chosen) / calm.p99(chosen)
        for chosen in (draw.choices(numbers, k=len(numbers)) for _ in range(DRAWN))
    )
    low, high = (quantile(drawn, share) for share in (0.025, 0.975))
    return found.p99() / calm.p99(), low, high


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_disturbed.py")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each case, per round")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second")
    parser.add_argument("--placement", default="isolated")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")  # before BentoML is imported
        load = Load(train_models(), rate=options.rate, concurrency=4)
        with cases(folder, options.placement) as started:
            found = measure(load, started, rounds=options.rounds, seconds=options.seconds)
    print(f"\n{'beside':30}{'p50 ms':>10}{'p99 ms':>10}{'failed':>10}{'p99 of calm':>24}")
    results = []
    for name, each in found.items():
        whole, low, high = ratio(each, found[CALM])
        p50 = quantile(sorted(itertools.chain.from_iterable(each.rounds)), 0.5)
        interval = f"{whole:.2f} ({low:.2f}-{high:.2f})"
        print(f"{name:30}{p50:10.2f}{each.p99():10.2f}{each.failed:10}{interval:>24}")
        results += [] if name == CALM else [f"{name} {whole:.2f}x"]
    print(f"\np99 beside {', '.join(results)}")


if __name__ == "__main__":
    main()
