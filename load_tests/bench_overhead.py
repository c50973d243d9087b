"""Measure the overhead of pairs in one run: bare model, each placement, nginx mirror.

All systems serve the same two scikit-learn models by real `bentoml serve` processes, started before
the first round. There are many short rounds; in each, every system in turn gets the same load, and
each round begins with another system: transactions at a steady rate, for latency and CPU per
request, then as many as possible, for the throughput. CPU is that of the whole process tree. Ratios
are computed within a round, so that longer disturbances of the machine affect both sides. The
medians of the ratios are quoted, with the middle half of the rounds as their spread.

    python load_tests/bench_overhead.py

nginx is Debian's (`apt-get install nginx-light`, or its package unpacked and on PATH); without it,
its part is left out.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import requests
from prometheus_client.parser import text_string_to_metric_families

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from flags.monitoring.metrics import OBSERVATIONS  # noqa: E402
from flags.unleash.flags_file import write_flags_file  # noqa: E402 - needs the line above
from load_tests.load import Load, Measured, System, quantile  # noqa: E402
from load_tests.nginx import Nginx, is_installed  # noqa: E402
from service.replay import bodies  # noqa: E402
from service.serving import Serving  # noqa: E402

FLAG: Final = "fraud-detector-v2"
PLACEMENTS: Final = ("embedded", "embedded+batch", "isolated", "isolated+batch", "runners")
"""With `+batch`, gathered shadows are scored in one call."""
CUSTOMERS, TERMINALS, REQUESTS = 1_000, 2_000, 2_000
WARM_UP: Final = 1
"""Rounds."""
ALONE: Final = 4.0
"""Seconds for which a model is called by itself."""
SETTLES: Final = 10.0
"""Seconds in which the counters of a service come up to date."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A system, and a function that counts the scores of its candidate, if it has one."""

    system: System
    scored: Callable[[], float] | None = None


def train_models() -> list[dict[str, Any]]:
    """Train v1 and v2 into BentoML's store; return the bodies of requests."""
    from service.simulator import simulate
    from service.training import production, save, train

    transactions = simulate(CUSTOMERS, TERMINALS, seed=0)
    save(train(transactions), "simulated, seed 0")
    return bodies(production(transactions).sample(REQUESTS, random_state=0))


def scoring_alone(sent: Sequence[Mapping[str, Any]], rate: float) -> float:
    """Return the milliseconds of processor time of one score of v2, called at a rate.

    Called without a pause it takes less: its code and data stay in the caches.
    """
    import bentoml

    from service.model import V2, FraudModel
    from service.schema import Transaction

    model = FraudModel.load(bentoml.models.get(f"{V2}:latest"))
    times = []
    for body in sent[: round(ALONE * rate)]:
        transaction = Transaction(**body)
        time.sleep(1 / rate)
        began = time.thread_time()
        model.decide(transaction)
        times.append(time.thread_time() - began)
    return statistics.median(times) * 1e3


def counted(url: str, series: str, **labels: str) -> float:
    """Return the sum of a counter on /metrics, over the series with these labels."""
    families = text_string_to_metric_families(requests.get(f"{url}/metrics", timeout=10).text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == series and labels.items() <= sample.labels.items()
    )


def predicted(service: Serving) -> float:
    """Return the number of predictions of a bare service."""
    return counted(
        service.url,
        "bentoml_service_request_total",
        endpoint="/predict",
        http_response_code="200",
    )


def observed(service: Serving) -> float:
    """Return the number of successful calls of the candidate in a migrated service."""
    return counted(service.url, OBSERVATIONS, side="candidate", status="ok")


def home_of_its_own(home: Path) -> Path:
    """Create a BENTOML_HOME with the common models; a service clears the metrics in its home."""
    home.mkdir()
    (home / "models").symlink_to(Path(os.environ["BENTOML_HOME"]) / "models")
    return home


@contextlib.contextmanager
def contestants(
    folder: Path, placements: Sequence[str], rollout: int
) -> Iterator[dict[str, Contestant]]:
    """Start every system; yield them by name."""
    flags = folder / "flags.json"
    write_flags_file(flags, FLAG, rollout)
    with contextlib.ExitStack() as stack:

        def served(name: str, target: str, **environment: str) -> Serving:
            environment = {
                "BENTOML_HOME": str(home_of_its_own(folder / f"home-{name}")),
                **environment,
            }
            log = folder / f"{name}.log"
            serving = Serving(target, environment=environment, log=log, folder=ROOT)
            return stack.enter_context(serving)

        bare = served("bare", "service.runners:FraudV1")
        started = {"bare": Contestant(System(bare.url, (bare.pid,)))}
        for placement in placements:
            where, _, batched = placement.partition("+")
            pair = served(
                placement,
                "service.app:FraudDetector",
                PLACEMENT=where,
                SHADOW_BATCH=str(int(bool(batched))),
                FLAGS_FILE=str(flags),
                PAIRS_DIR=str(folder / placement),
            )
            system = System(pair.url, (pair.pid,))
            started[placement] = Contestant(system, partial(observed, pair))
        if is_installed():
            other = served("other", "service.runners:FraudV2")
            nginx = stack.enter_context(
                Nginx(folder, primary=bare.port, candidate=other.port, rollout=rollout)
            )
            system = System(nginx.url, (nginx.pid, bare.pid, other.pid))
            started["nginx"] = Contestant(system, partial(predicted, other))
        yield started


async def rounds(
    load: Load, started: Mapping[str, Contestant], *, count: int, steady: float, full: float
) -> list[dict[str, Measured]]:
    """Return the measurements of each system in each round, without the warm-up."""
    measured = []
    names = list(started)
    for number in range(WARM_UP + count):
        turned = names[number % len(names) :] + names[: number % len(names)]
        result = {
            name: await load.measure(started[name].system, steady=steady, full=full)
            for name in turned
        }
        if number >= WARM_UP:
            measured.append(result)
            shown = ", ".join(f"{n} {result[n].p50:.2f} ms {result[n].cpu:.2f} ms" for n in names)
            print(f"round {number - WARM_UP + 1} (p50, CPU): {shown}", flush=True)
    return measured


def scored_too(load: Load, contestant: Contestant) -> str:
    """Return the share of requests that the candidate has scored, when the counters are final."""
    if contestant.scored is None:
        return "-"
    sent, deadline = load.sent[contestant.system.url], time.monotonic() + SETTLES
    while (share := contestant.scored() / sent) < 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    return f"{share:.1%}"


def print_table(measured: Sequence[Mapping[str, Measured]], scored: Mapping[str, str]) -> None:
    """Print the medians of the rounds, and p99 of all of them together."""
    heads = ("p50 ms", "p99 ms", "CPU ms", "req/s", "CPU full", "failed", "v2 scored")
    print(f"\n{'':16}" + "".join(f"{head:>10}" for head in heads))
    for name in measured[0]:
        results = [each[name] for each in measured]
        together = sorted(itertools.chain.from_iterable(each.durations for each in results))
        cpu = statistics.median(each.cpu for each in results)
        print(
            f"{name:16}{statistics.median(each.p50 for each in results):10.2f}"
            f"{quantile(together, 0.99):10.2f}{cpu:10.2f}"
            f"{statistics.median(each.throughput for each in results):10.0f}"
            f"{statistics.median(each.cpu_at_full_load for each in results):10.2f}"
            f"{sum(each.failed for each in results):10}{scored[name]:>10}"
        )


def print_spread(measured: Sequence[Mapping[str, Measured]]) -> None:
    """Print each ratio with the middle half of the rounds."""
    print(
        f"\n{'':16}{'p50 of bare':>22}{'CPU of bare':>22}{'p50 of nginx':>22}{'CPU of nginx':>22}"
    )
    for name in measured[0]:
        cells = [
            spread(ratios(measured, name, to, figure))
            for to in ("bare", "nginx")
            for figure in ("p50", "cpu")
        ]
        print(f"{name:16}" + "".join(f"{cell:>22}" for cell in cells))


def spread(figures: Sequence[float]) -> str:
    """Return the median and the middle half of some figures, `-` if there are none."""
    if not figures:
        return "-"
    low, middle, high = statistics.quantiles(figures, n=4) if len(figures) > 1 else [figures[0]] * 3
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def ratios(
    measured: Sequence[Mapping[str, Measured]], name: str, to: str, figure: str
) -> list[float]:
    """Return a system's figure as a multiple of another's, by round; nothing if one is missing."""
    if name not in measured[0] or to not in measured[0]:
        return []
    return [getattr(each[name], figure) / getattr(each[to], figure) for each in measured]


def result(measured: Sequence[Mapping[str, Measured]]) -> str:
    """Return the last line: medians of the ratios."""

    def of(name: str, figure: str, to: str = "bare") -> str:
        each = ratios(measured, name, to, figure)
        return f"{statistics.median(each):.2f}x" if each else "-"

    return (
        f"embedded p50 {of('embedded', 'p50')} cpu {of('embedded', 'cpu')} of bare, "
        f"p50 {of('embedded', 'p50', 'nginx')} cpu {of('embedded', 'cpu', 'nginx')} of nginx; "
        f"isolated cpu {of('isolated', 'cpu')}; runners cpu {of('runners', 'cpu')}"
    )


def batched_result(
    measured: Sequence[Mapping[str, Measured]], scored: Mapping[str, str], alone: float
) -> str:
    """Return the line on batches; bare+v2 is the bare service and v2 called by itself."""

    def of(name: str, figure: str, to: str = "bare") -> str:
        each = ratios(measured, name, to, figure)
        return f"{statistics.median(each):.2f}x" if each else "-"

    both = [
        each["embedded"].cpu / (each["bare"].cpu + alone) for each in measured if "embedded" in each
    ]
    single = f"{statistics.median(both):.2f}x" if both else "-"
    return (
        f"batched embedded cpu {of('embedded+batch', 'cpu')} "
        f"isolated cpu {of('isolated+batch', 'cpu')} of bare, "
        f"embedded cpu {of('embedded+batch', 'cpu', 'nginx')} of nginx; "
        f"full load: answers {of('embedded+batch', 'throughput')} of bare, "
        f"v2 scored {scored.get('embedded+batch', '-')}; "
        f"single embedded cpu {single} of bare+v2"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_overhead.py")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--steady", type=float, default=3.0, help="seconds at the rate, per round")
    parser.add_argument("--full", type=float, default=1.0, help="seconds of full load, per round")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second")
    parser.add_argument("--concurrency", type=int, default=8, help="callers at full load")
    parser.add_argument("--rollout", type=int, default=0, help="percent answered by the candidate")
    parser.add_argument("--placements", nargs="+", choices=PLACEMENTS, default=PLACEMENTS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")  # before BentoML is imported
        sent = train_models()
        alone = scoring_alone(sent, options.rate)
        load = Load(sent, rate=options.rate, concurrency=options.concurrency)
        if not is_installed():
            print("nginx is not installed (apt-get install nginx-light): its part is left out")
        with contestants(folder, options.placements, options.rollout) as started:
            measured = asyncio.run(
                rounds(
                    load, started, count=options.rounds, steady=options.steady, full=options.full
                )
            )
            scored = {name: scored_too(load, each) for name, each in started.items()}
    print_table(measured, scored)
    print_spread(measured)
    bare = statistics.median(each["bare"].cpu for each in measured)
    print(
        f"\nv2 alone takes {alone:.2f} ms of processor time for a score: answered by v1 and scored "
        f"by v2, a request takes at least {(bare + alone) / bare:.2f}x of bare"
    )
    print(f"\n{result(measured)}")
    print(batched_result(measured, scored, alone))


if __name__ == "__main__":
    main()
