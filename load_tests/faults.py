"""Inject faults into real `bentoml serve` processes under steady load, and count their damage.

    python load_tests/faults.py
    python load_tests/faults.py --only "candidate hangs" --only receiver --seconds 30

Each fault is injected into a service of its own with two workers, of which the candidate answers
half of the requests. The answers, as callers saw them, are compared with the pairs, as `comparison`
reads them. Exit code 1: an answer failed without an excuse or came from the wrong side, a lost pair
was not counted, or a fault left no sign.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from yggdrasil_engine.engine import UnleashEngine  # noqa: E402 - needs the line above

from comparison.pairs.reader import read_pairs  # noqa: E402
from flags.export import attributes  # noqa: E402
from load_tests.fault import Fault  # noqa: E402
from load_tests.faults_table import FAULTS  # noqa: E402
from load_tests.injections.folder import may_mount  # noqa: E402
from load_tests.scene import Programs, Scene  # noqa: E402
from load_tests.steady_load import SteadyLoad  # noqa: E402
from load_tests.tally import Run, Tally  # noqa: E402
from load_tests.verdict import FLAG  # noqa: E402

CALM: Final = 2.0
"""Seconds of load before the fault, and after the candidate has answered again."""
BACK_WITHIN: Final = 150.0
"""Seconds; BentoML restarts a process that dies repeatedly only after up to a minute."""
SHIPPED_WITHIN: Final = 60.0

COLUMNS: Final = (
    ("fault", 48),
    ("placement", 9),
    ("sent", 5),
    ("failed", 6),
    ("excused", 7),
    ("wrong side", 10),
    ("pairs expected", 14),
    ("found", 5),
    ("lost", 4),
    ("uncounted", 9),
    ("drops", 5),
    ("back s", 6),
    ("sign", 24),
)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one fault in one placement: its tally, or the reason why there is none."""

    fault: Fault
    placement: str
    tally: Tally | None
    error: str = ""
    left_out: bool = False

    @property
    def is_as_promised(self) -> bool:
        """Say whether no answer and no pair was lost, and the fault really happened."""
        tally = self.tally
        if tally is None:
            return self.left_out
        return (
            tally.failed == tally.wrong == tally.uncounted == 0
            and tally.signs[self.fault.sign] > 0
            and (tally.back_after is not None or not self.fault.recovers)
        )

    @property
    def row(self) -> str:
        """Return a row of the table."""
        named = [self.fault.name, self.placement]
        if self.tally is None:
            return _row([*named, self.error.partition("\n")[0]])
        tally = self.tally
        figures = [tally.sent, tally.failed, tally.excused, tally.wrong, tally.expected]
        figures += [tally.found, tally.lost, tally.uncounted, tally.dropped]
        back = "-" if tally.back_after is None else f"{tally.back_after:.1f}"
        sign = f"{self.fault.sign}: {tally.signs[self.fault.sign]}"
        return _row([*named, *map(str, figures), back, sign])


def perform(fault: Fault, scene: Scene, rate: float) -> Tally:
    """Serve, send load, inject the fault, end it, stop, and count."""
    assigned = _assigned_by(scene.flags, flagless=fault.flagless)
    scene.settings.update(fault.settings)
    with ExitStack() as around:
        for injection in fault.around:
            around.enter_context(injection(scene))
        with scene.serving as serving:
            with SteadyLoad(f"{serving.url}/judge", amount, rate=rate) as load:
                scene.load = load
                time.sleep(CALM)
                began = time.time()
                with fault.inject(scene):
                    time.sleep(scene.seconds)
                ended = time.time()
                back_after = _back(load, ended) if fault.recovers else None
                time.sleep(CALM)
            shipped = list(_shipped(scene, load) if fault.ships else ())
            counted = scene.counted()
        ids = frozenset(request_id for request_id, _ in shipped)
        return Tally.of(
            Run(
                load.replies,
                read_pairs(scene.record),
                began,
                ended,
                assigned,
                excuse=fault.excuse,
                counted=counted,
                shipped=ids if fault.ships else None,
                shipped_twice=len(shipped) - len(ids),
                log=scene.log,
                back_after=back_after,
            )
        )


def run(faults: Sequence[Fault], *, seconds: float, rate: float) -> Iterator[Result]:
    """Inject the faults one after the other; yield the results."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        programs = Programs(folder)
        stack.callback(programs.close)
        mounts = may_mount(folder)
        for number, fault in enumerate(faults):
            for placement in fault.placements:
                if fault.needs_mount and not mounts:
                    why = "left out: only root may mount, and make files immutable"
                    yield Result(fault, placement, None, why, left_out=True)
                    continue
                scene = Scene(folder / f"{number}-{placement}", programs, placement, seconds)
                try:
                    yield Result(fault, placement, perform(fault, scene, rate))
                except Exception as error:  # go on with the other faults
                    yield Result(fault, placement, None, f"{type(error).__name__}: {error}")


def amount(number: int) -> dict[str, float]:
    """Return the body of a request."""
    return {"amount": number % 97 / 97}


def _assigned_by(flags: Path, *, flagless: bool) -> Callable[[str], str]:
    """Return a function that assigns a side to a request id, by Unleash's own engine."""
    if flagless:
        return lambda _: "primary"
    engine = UnleashEngine()
    engine.take_state(flags.read_text())
    assert json.loads(flags.read_text())["features"]  # noqa: S101 - else all are off

    def assigned(request_id: str) -> str:
        context = {"properties": {"requestId": request_id}}
        return "candidate" if engine.check_enabled(FLAG, context).is_enabled else "primary"

    return assigned


def _back(load: SteadyLoad, since: float) -> float | None:
    """Wait until the candidate has answered a request; return the seconds that it took."""
    deadline = time.monotonic() + BACK_WITHIN
    while time.monotonic() < deadline:
        answered = [reply.ended for reply in load.since(since) if reply.side == "candidate"]
        if answered:
            return min(answered) - since
        time.sleep(0.1)
    return None


def _shipped(scene: Scene, load: SteadyLoad) -> Iterator[tuple[str, str]]:
    """Wait until the receiver has every pair; yield the request and span id of each."""
    wanted = {reply.request_id for reply in load.replies if reply.status in (200, 500)}

    def of_pairs(spans: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
        return [
            (span["attributes"][attributes.REQUEST_ID], span["spanId"])
            for span in spans
            if span["name"] == attributes.PAIR_SPAN
        ]

    spans = scene.programs.receiver.received(
        lambda spans: wanted <= {request_id for request_id, _ in of_pairs(spans)},
        within=SHIPPED_WITHIN,
    )
    yield from of_pairs(spans)


def _row(cells: Sequence[str]) -> str:
    padded = (
        cell.ljust(width)
        if index in (0, 1, len(COLUMNS) - 1) or not cell[:1].isdigit()
        else cell.rjust(width)
        for index, (cell, (_, width)) in enumerate(zip(cells, COLUMNS, strict=False))
    )
    return f"| {' | '.join(padded)} |"


def print_head() -> None:
    """Print the head of the table, which is Markdown."""
    print(_row([name for name, _ in COLUMNS]))
    print(f"|{'|'.join('-' * (width + 2) for _, width in COLUMNS)}|", flush=True)


def conclusion(results: Sequence[Result]) -> str:
    """Return the last line, and further remarks before it."""
    tallies = [result.tally for result in results if result.tally is not None]
    kinds = {result.fault.name for result in results if result.tally is not None}
    excused = sum(tally.excused for tally in tallies)
    wrong = sum(tally.wrong for tally in tallies)
    failed = sum(tally.failed for tally in tallies)
    lost = sum(tally.lost for tally in tallies)
    uncounted = sum(tally.uncounted for tally in tallies)
    return (
        f"{len(tallies)} runs, wrong side {wrong}, excused {excused} "
        "(the primary failed, or the worker was killed or restarted)\n"
        f"faults {len(kinds)}, failed answers {failed}, lost pairs {lost} (uncounted {uncounted})"
    )


def chosen(names: Sequence[str]) -> list[Fault]:
    """Return the faults whose name contains one of `names`; all if `names` is empty."""
    return [fault for fault in FAULTS if not names or any(each in fault.name for each in names)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Inject and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/faults.py")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="part of a name"
    )
    parser.add_argument("--list", action="store_true", help="print the names, and do nothing")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each fault lasts")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second")
    options = parser.parse_args(arguments)
    faults = chosen(options.only)
    if not faults:
        parser.error(f"no fault is named {' or '.join(options.only)}")
    if options.list:
        for fault in faults:
            print(f"{fault.name} ({', '.join(fault.placements)})")
        return 0
    print_head()
    results = []
    for result in run(faults, seconds=options.seconds, rate=options.rate):
        results.append(result)
        print(result.row, flush=True)
    print()
    for result in results:
        if not result.is_as_promised:
            print(f"not as promised: {result.fault.name} ({result.placement}) {result.error}")
            if result.tally is not None:
                print(f"    {dict(result.tally.signs)}")
    print(conclusion(results))
    return 0 if all(result.is_as_promised for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
