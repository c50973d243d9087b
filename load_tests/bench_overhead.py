"""Measure what the pair costs, side by side in one run: bare, each placement, nginx.

All systems serve the same two scikit-learn models through real `bentoml serve` processes, started
before the first round. In each round each system gets the same load in turn: transactions at a
steady rate, for latency and CPU per request, then as many as it can take, for its throughput.
CPU is that of the whole process tree. Ratios are taken within a round; medians are compared.

    python load_tests/bench_overhead.py

nginx is Debian's (`apt-get install nginx-light`); without it, its part is left out.
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
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from flags.flags_file import write_flags_file  # noqa: E402 - needs the line above
from load_tests.load import Load, Measured, System  # noqa: E402
from load_tests.nginx import Nginx, is_installed  # noqa: E402
from service.replay import bodies  # noqa: E402
from service.serving import Serving  # noqa: E402

FLAG: Final = "fraud-detector-v2"
PLACEMENTS: Final = ("embedded", "isolated", "runners")
CUSTOMERS, TERMINALS, REQUESTS = 1_000, 2_000, 2_000


def train_models() -> list[dict[str, Any]]:
    """Train v1 and v2 into BentoML's store; return the bodies of requests."""
    from service.simulator import simulate
    from service.training import production, save, train

    transactions = simulate(CUSTOMERS, TERMINALS, seed=0)
    save(train(transactions), "simulated, seed 0")
    return bodies(production(transactions).sample(REQUESTS, random_state=0))


@contextlib.contextmanager
def systems(folder: Path, placements: Sequence[str], rollout: int) -> Iterator[dict[str, System]]:
    """Start every system; yield them by name."""
    flags = folder / "flags.json"
    write_flags_file(flags, FLAG, rollout)
    with contextlib.ExitStack() as stack:

        def served(name: str, target: str, **environment: str) -> Serving:
            environment = {"BENTOML_HOME": os.environ["BENTOML_HOME"], **environment}
            log = folder / f"{name}.log"
            serving = Serving(target, environment=environment, log=log, folder=ROOT)
            return stack.enter_context(serving)

        bare = served("bare", "service.runners:FraudV1")
        started = {"bare": System(bare.url, (bare.pid,))}
        for placement in placements:
            pair = served(
                placement,
                "service.app:FraudDetector",
                PLACEMENT=placement,
                FLAGS_FILE=str(flags),
                PAIRS_DIR=str(folder / placement),
            )
            started[placement] = System(pair.url, (pair.pid,))
        if is_installed():
            other = served("other", "service.runners:FraudV2")
            nginx = stack.enter_context(
                Nginx(folder, primary=bare.port, candidate=other.port, rollout=rollout)
            )
            started["nginx"] = System(nginx.url, (nginx.pid, bare.pid, other.pid))
        yield started


async def rounds(
    load: Load, started: Mapping[str, System], *, count: int, steady: float, full: float
) -> list[dict[str, Measured]]:
    """Return what each system came to in each round, the first (to warm up) left out."""
    measured = []
    for number in range(count + 1):
        names = list(started)
        turned = names[number % len(names) :] + names[: number % len(names)]
        result = {
            name: await load.measure(started[name], steady=steady, full=full) for name in turned
        }
        if number:
            measured.append(result)
            print(f"round {number}: " + ", ".join(f"{n} {result[n].p50:.2f} ms" for n in names))
    return measured


def print_table(measured: Sequence[Mapping[str, Measured]]) -> None:
    """Print the median of each figure."""
    print(f"\n{'':10}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10}{'req/s':>10}{'failed':>10}")
    for name in measured[0]:
        results = [each[name] for each in measured]
        row = [statistics.median(getattr(r, f) for r in results) for f in ("p50", "p99", "cpu")]
        rate = statistics.median(r.throughput for r in results)
        failed = sum(r.failed for r in results)
        print(f"{name:10}" + "".join(f"{x:10.2f}" for x in row) + f"{rate:10.0f}{failed:10}")


def ratio(measured: Sequence[Mapping[str, Measured]], name: str, to: str, figure: str) -> str:
    """Return the median over the rounds of one system's figure, as a multiple of another's."""
    if name not in measured[0] or to not in measured[0]:
        return "-"
    ratios = [getattr(each[name], figure) / getattr(each[to], figure) for each in measured]
    return f"{statistics.median(ratios):.2f}x"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_overhead.py")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steady", type=float, default=10.0, help="seconds at the rate, per round")
    parser.add_argument("--full", type=float, default=4.0, help="seconds of full load, per round")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second")
    parser.add_argument("--concurrency", type=int, default=8, help="callers at full load")
    parser.add_argument("--rollout", type=int, default=0, help="percent answered by the candidate")
    parser.add_argument("--placements", nargs="+", choices=PLACEMENTS, default=PLACEMENTS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")  # before BentoML is imported
        load = Load(train_models(), rate=options.rate, concurrency=options.concurrency)
        if not is_installed():
            print("nginx is not installed (apt-get install nginx-light): its part is left out")
        with systems(folder, options.placements, options.rollout) as started:
            measured = asyncio.run(
                rounds(
                    load,
                    started,
                    count=options.rounds,
                    steady=options.steady,
                    full=options.full,
                )
            )
    print_table(measured)

    def of(name: str, figure: str, to: str = "bare") -> str:
        return ratio(measured, name, to, figure)

    print(
        f"embedded p50 {of('embedded', 'p50')} cpu {of('embedded', 'cpu')} of bare, "
        f"p50 {of('embedded', 'p50', 'nginx')} cpu {of('embedded', 'cpu', 'nginx')} of nginx; "
        f"isolated cpu {of('isolated', 'cpu')}; runners cpu {of('runners', 'cpu')}"
    )


if __name__ == "__main__":
    main()
