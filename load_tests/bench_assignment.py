"""Measure the cost of an assignment and of the bare Unleash client, in one run.

An assignment evaluates the flag and its shadow switch, both as `bentoml migration init` creates
them, by OpenFeature and our provider. The bare client evaluates one variant of the same flag. The
processor time of the thread is measured. Rounds of both alternate, so that other load on the
machine affects both; medians are compared.

    python -m load_tests.bench_assignment
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from openfeature import api

from flags.pairing.assignment import DOMAIN, SHADOW_SUFFIX, FlagAssignment
from flags.unleash.flags_file import write_flags_file
from flags.unleash.provider import FlagFile, UnleashProvider
from tests.support.unleash.bare_client import bare_client

FLAG = "fraud-detector-v2"
ROLLOUT = 10
WARM_UP = 2


def microseconds(call: Callable[[str, dict[str, str]], object], calls: int) -> float:
    """Return the mean processor time of a call; each has a request id of its own."""
    identities = [(f"request-{number}", {"userId": f"user-{number}"}) for number in range(calls)]
    began = time.thread_time()
    for request_id, attributes in identities:
        call(request_id, attributes)
    return (time.thread_time() - began) / calls * 1e6


def measure(folder: Path, rounds: int, calls: int) -> tuple[float, float]:
    """Return the medians of an assignment and of a bare `get_variant`, in microseconds."""
    flags = folder / "flags.json"
    write_flags_file(flags, FLAG + SHADOW_SUFFIX, 100)
    write_flags_file(flags, FLAG, ROLLOUT)
    api.set_provider_and_wait(UnleashProvider(FlagFile(flags)), domain=DOMAIN)
    bare = bare_client(flags)
    assign = FlagAssignment(FLAG)

    def raw(request_id: str, attributes: dict[str, str]) -> object:
        return bare.get_variant(FLAG, {"requestId": request_id, **attributes})

    try:
        ours, theirs = [], []
        for number in range(WARM_UP + rounds):
            pair = microseconds(assign, calls), microseconds(raw, calls)
            if number >= WARM_UP:
                ours.append(pair[0])
                theirs.append(pair[1])
                print(f"round {number - WARM_UP + 1}: assignment {pair[0]:.1f}, raw {pair[1]:.1f}")
    finally:
        bare.destroy()
        api.clear_providers()
    return statistics.median(ours), statistics.median(theirs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python -m load_tests.bench_assignment")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--calls", type=int, default=2000, help="of each, per round")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = measure(Path(folder), options.rounds, options.calls)
    print(f"assignment {ours:.1f} us, raw {theirs:.1f} us, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
