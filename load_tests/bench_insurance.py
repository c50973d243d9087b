"""Measure costs and savings of a lazy insurance against an eager one, in alternating rounds.

The candidate answers every request. One request in ten fails after the 20 ms that each model takes,
and the primary answers instead. The waiting time of callers is printed for both kinds of requests.

    python load_tests/bench_insurance.py
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import requests

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from flags.unleash.flags_file import write_flags_file  # noqa: E402 - needs the line above
from service.serving import Serving  # noqa: E402

KINDS: Final = ("eager", "lazy")
ONE_IN: Final = 10


def waited(session: requests.Session, url: str, amount: float, side: str) -> float:
    """Return the milliseconds that a caller waits for an answer of `side`."""
    began = time.perf_counter()
    response = session.post(f"{url}/predict", json={"amount": amount}, timeout=30)
    elapsed = (time.perf_counter() - began) * 1e3
    response.raise_for_status()
    found = response.headers["X-Model-Side"]
    if found != side:
        raise RuntimeError(f"the {found} answered instead of the {side}")
    return elapsed


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_insurance.py")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=20, help="of each kind, per round")
    options = parser.parse_args(arguments)
    taken: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        write_flags_file(folder / "flags.json", "insured", 100)
        services = {
            kind: stack.enter_context(
                Serving(
                    "load_tests.insured:Pair",
                    environment={
                        "BENTOML_HOME": str(folder / f"home-{kind}"),
                        "FLAGS_FILE": str(folder / "flags.json"),
                        "PAIRS_DIR": str(folder / kind),
                        "INSURANCE": kind,
                        "CANDIDATE_TIMEOUT": "10",
                    },
                    log=folder / f"{kind}.log",
                    folder=ROOT,
                )
            )
            for kind in KINDS
        }
        session = stack.enter_context(requests.Session())
        for number in range(1 + options.rounds):
            for kind in KINDS if number % 2 else KINDS[::-1]:
                for each in range(options.requests):
                    fails = each % ONE_IN == 0
                    side = "primary" if fails else "candidate"
                    amount = -1.0 if fails else 5.0
                    milliseconds = waited(session, services[kind].url, amount, side)
                    if number:  # the first round warms up
                        taken.setdefault((kind, side), []).append(milliseconds)
    median = {key: statistics.median(each) for key, each in taken.items()}
    for (kind, side), milliseconds in sorted(median.items()):
        print(f"{kind:6} answered by the {side:10} p50 {milliseconds:6.1f} ms")
    answered = median["lazy", "candidate"] / median["eager", "candidate"]
    failed = median["lazy", "primary"] - median["eager", "primary"]
    print(
        f"lazy insurance: an answer takes {answered:.2f}x of eager's, one in place of a failure "
        f"{failed:+.1f} ms"
    )


if __name__ == "__main__":
    os.environ.pop("INSURANCE", None)
    main()
