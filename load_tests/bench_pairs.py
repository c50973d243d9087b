"""Measure the cost of recording a pair, per request.

It consists of building and ending the span of a pair (like the reference service's), encoding it as
a line, and queueing the line. All of this runs on the event loop, whose processor time is measured;
the thread that writes to the disk runs at the same time, as it does in a service.

    python -m load_tests.bench_pairs
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from opentelemetry import trace

from flags.export.pair_files import FileLimits, PairFiles
from flags.export.spans import PairSpans
from flags.pairing.assignment import Assignment, Side
from flags.pairing.observation import Observation, Pair, Status

WARM_UP = 2
OUTPUT = "fraud_probability"
GOAL = 100.0
"""Microseconds."""


def pair(number: int) -> Pair:
    """Return a pair of the fraud detector: both sides answered, segments and features recorded."""
    random = Random(number)
    began = 1_763_880_000_000_000_000 + number * 10_000_000
    parent = trace.SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736 + number, number + 1, True)
    active = Side.CANDIDATE if random.random() < 0.1 else Side.PRIMARY
    return Pair(
        request_id=f"request-{number}",
        api="predict",
        started=began,
        ended=began + 2_000_000,
        assignment=Assignment(
            active,
            "fraud-detector-v2",
            "split",
            variant="candidate",
            provider="unleash",
            rollout=10.0,
        ),
        primary=observation("fraud-v1:k3jx5c7q2wha", random),
        candidate=observation("fraud-v2:q2whak3jx5c7", random),
        served=active,
        segments={
            "channel": random.choice(("online", "pos", "phone")),
            "country": random.choice(("NL", "NL", "BE", "DE", "FR")),
            "weekday": "Tuesday",
        },
        features={
            "amount": round(500 * random.random() ** 3, 2),
            "transactions_7d": float(random.randrange(20)),
            "terminal_risk": random.random() / 50,
        },
        parent=trace.set_span_in_context(trace.NonRecordingSpan(parent)),
    )


def observation(model: str, random: Random) -> Observation:
    """Return an observation of one side."""
    score = random.random() ** 8
    return Observation(
        Status.OK,
        scores={OUTPUT: score},
        thresholds={OUTPUT: 0.7},
        decisions={OUTPUT: score >= 0.7},
        duration=0.002 + random.random() / 1000,
        model=model,
    )


def measure(folder: Path, rounds: int, pairs: int) -> float:
    """Return the median over rounds of the mean cost of a pair, in microseconds."""
    files = PairFiles(folder, "bench", FileLimits())
    spans = PairSpans(files, service="FraudDetector", version="1", worker="bench")
    costs = []
    for number in range(WARM_UP + rounds):
        made = [pair(each) for each in range(pairs)]
        began = time.thread_time()
        for each in made:
            spans.record(each)
        cost = (time.thread_time() - began) / pairs * 1e6
        if number >= WARM_UP:
            costs.append(cost)
            print(f"round {number - WARM_UP + 1}: {cost:.1f} us")
        while files.waiting:
            time.sleep(0.01)
    spans.close()
    assert not files.dropped  # noqa: S101 - a pair that is dropped costs less
    return statistics.median(costs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python -m load_tests.bench_pairs")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--pairs", type=int, default=2000, help="per round")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        cost = measure(Path(folder), options.rounds, options.pairs)
    print(f"goal: at most {GOAL:.0f} us")
    print(f"pair {cost:.1f} us")


if __name__ == "__main__":
    main()
