"""Measure the effect of a candidate that is a deployment of its own on the answers, in one run.

The reference service with the primary active is compared with the bare primary, while the candidate
answers, takes half a second, hangs, or is down. With the candidate active, it is compared with
direct calls of the candidate. A migration whose candidate is in the worker is measured too: its
difference from the bare primary is the cost of flag, middleware and record, wherever the candidate
runs. Rounds alternate; ratios and differences are computed within a round, and their medians are
quoted.

At 40 requests per second, each request has 25 ms of both processors for itself and its shadow, so
that the median contains no waiting in a queue. Above 100 requests per second, callers, service and
candidate would compete for two processors.

    python load_tests/bench_remote.py
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from flags.unleash.flags_file import write_flags_file  # noqa: E402 - needs the line above
from load_tests.bench_overhead import FLAG, home_of_its_own, train_models  # noqa: E402
from load_tests.load import Load, System, quantile  # noqa: E402
from service.serving import Serving, free_port  # noqa: E402

CANDIDATES: Final = {"answers": 0.0, "slow": 0.5, "hangs": 60.0}
"""Seconds that each candidate takes for an answer."""
CONDUCTS: Final = (*CANDIDATES, "away")
INSIDE: Final = "inside"
"""Name of the migration whose candidate is in the worker."""


@contextlib.contextmanager
def systems(folder: Path) -> Iterator[dict[str, System]]:
    """Start every system; yield them by name."""
    with contextlib.ExitStack() as stack:

        def served(name: str, target: str, **environment: str) -> System:
            home = home_of_its_own(folder / f"home-{name}")
            serving = Serving(
                target,
                environment={"BENTOML_HOME": str(home), **environment},
                log=folder / f"{name}.log",
                folder=ROOT,
            )
            stack.enter_context(serving)
            return System(serving.url, (serving.pid,))

        def migrated(name: str, candidate: str | None, rollout: int) -> System:
            write_flags_file(folder / f"{name}.json", FLAG, rollout)
            where = {"PLACEMENT": "embedded"}
            if candidate is not None:
                where = {"PLACEMENT": "remote", "CANDIDATE_URL": candidate}
            return served(
                name,
                "service.app:FraudDetector",
                FLAGS_FILE=str(folder / f"{name}.json"),
                PAIRS_DIR=str(folder / f"pairs-{name}"),
                **where,
            )

        candidates = {
            name: served(f"v2-{name}", "load_tests.remote_candidate:LateV2", CANDIDATE_TAKES=str(s))
            for name, s in CANDIDATES.items()
        }
        addresses = {name: each.url for name, each in candidates.items()}
        addresses["away"] = f"http://127.0.0.1:{free_port()}"
        yield {
            "bare": served("bare", "service.runners:FraudV1"),
            INSIDE: migrated(INSIDE, None, 0),
            **{name: migrated(name, addresses[name], 0) for name in CONDUCTS},
            "candidate": candidates["answers"],
            "active": migrated("active", addresses["answers"], 100),
        }


async def rounds(
    load: Load, started: Mapping[str, System], count: int, seconds: float
) -> list[dict[str, float]]:
    """Return the p50 of each system by round; the first round warms up."""
    found, names = [], list(started)
    for number in range(1 + count):
        turned = names[number % len(names) :] + names[: number % len(names)]
        p50 = {}
        for name in turned:
            durations = await load.durations(started[name], seconds)
            answered = sorted(each for each in durations if each is not None)
            if len(answered) < len(durations):
                raise RuntimeError(f"{name}: {len(durations) - len(answered)} requests failed")
            p50[name] = quantile(answered, 0.5)
        if number:
            found.append(p50)
            shown = ", ".join(f"{name} {p50[name]:.2f}" for name in names)
            print(f"round {number} (p50, ms): {shown}", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_remote.py")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each system, per round")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")  # before BentoML is imported
        load = Load(train_models(), rate=options.rate, concurrency=2)
        with systems(folder) as started:
            measured = asyncio.run(rounds(load, started, options.rounds, options.seconds))
    of_bare = {
        name: statistics.median(each[name] / each["bare"] for each in measured)
        for name in (INSIDE, *CONDUCTS)
    }
    inside = of_bare.pop(INSIDE)
    longer = statistics.median(each["active"] - each["candidate"] for each in measured)
    said = ", ".join(f"{name} {ratio:.2f}x" for name, ratio in of_bare.items())
    print(
        f"remote: active primary p50 {max(of_bare.values()):.2f}x of bare at most ({said}; "
        f"a pair in the worker {inside:.2f}x); "
        f"active candidate its own latency {longer:+.1f} ms"
    )


if __name__ == "__main__":
    main()
