"""Load the fraud detector as its callers would, while the flag moves: `make load`.

    locust -f load_tests/locustfile.py --host http://127.0.0.1:3000 --users 100 --run-time 3m \\
        --flag-plan 0:0,30:10,90:50,150:100,170:off --pairs pairs --headless --html report.html

Besides Locust's own figures it counts answers by side, answers by the wrong side (according to
Unleash's own engine, except while a change of the flag spreads), and, if the pairs are on this
machine, answers without a pair. A wrong side, a missing pair or a failed request gives exit code 1.
"""

import itertools
import json
import logging
import math
import random
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, Final

import gevent
from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from load_tests.flag_plan import Move, PlanError, mover, parse
from load_tests.shapes import NAMES, users_at
from load_tests.side_counts import FlagSeen, SideCounts
from load_tests.traffic import transactions

logger = logging.getLogger("load_tests")

MOVED: Final = "flag-moved"
PAIRS_WITHIN: Final = 10.0
"""Seconds after the last answer within which its pair must be found."""


class State:
    """The data of one Locust process besides Locust's own statistics."""

    def __init__(self) -> None:
        self.begin(FlagSeen("", 0.0))

    def begin(self, seen: FlagSeen) -> None:
        """Reset the data for a new test; several can be started from Locust's page."""
        self.run = uuid.uuid4().hex[:8]
        self.counts = SideCounts()
        self.total = SideCounts()
        self.seen = seen
        self.bodies: list[dict[str, Any]] = []
        self.numbers = itertools.count()
        self.following: gevent.Greenlet | None = None


state = State()


class Shape(LoadTestShape):
    """The shape named by `--shape`, with at most `--users` users, for `--run-time`."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """Return the current number of users and their spawn rate; None at the end."""
        options = self.runner.environment.parsed_options
        duration = float(options.run_time or math.inf)
        now = self.get_run_time()
        if now > duration:
            return None
        users = users_at(options.shape, options.num_users or 1, now / duration)
        return users, options.spawn_rate or users


class Cardholder(FastHttpUser):
    """A user: pays once, sometimes retries with the same request id, seldom sends bad input."""

    wait_time = constant_throughput(1)  # requests per second of each user, at most

    def on_start(self) -> None:
        """Seed this user's random numbers; begin with a retry, so that short runs have one."""
        self.random = random.Random(next(state.numbers))
        self.pay_and_retry()

    @task(95)
    def pay(self) -> None:
        """Send one transaction."""
        self._score(self._new_id(), self.random.choice(state.bodies), "/predict")

    @task(4)
    def pay_and_retry(self) -> None:
        """Send a transaction twice, like after a lost answer; the same side must answer."""
        request_id, body = self._new_id(), self.random.choice(state.bodies)
        begun = time.time()
        first = self._score(request_id, body, "/predict")
        again = self._score(request_id, body, "/predict (retry)")
        # Where the flag was not moved meanwhile, nor just before.
        if first and again and first != again and begun > state.seen.since + state.seen.settles:
            state.counts.wrong.append(f"{request_id}: {again}, {first} the first time")

    @task(1)
    def pay_wrongly(self) -> None:
        """Send an invalid transaction: it must be refused with a message, without a pair."""
        with self.client.post(
            "/predict",
            json={"tx_amount": "much"},
            name="/predict (refused)",
            catch_response=True,
        ) as response:
            if response.status_code == 400:
                response.success()
            else:
                response.failure(f"HTTP {response.status_code}, 400 expected")

    def _new_id(self) -> str:
        return f"{state.run}-{next(state.numbers)}"

    def _score(self, request_id: str, body: dict[str, Any], name: str) -> str | None:
        begun = time.time()
        with self.client.post(
            "/predict",
            json=body,
            headers={"X-Request-Id": request_id},
            name=name,
            catch_response=True,
        ) as response:
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}")
                return None
            served: str | None = response.headers.get("X-Model-Side")
        # A move that was noted while the request was under way makes either side right.
        settled = state.seen.since < begun
        expected = state.seen.expected(request_id, begun) if settled else None
        state.counts.count(request_id, served, expected)
        return served


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Add our options to Locust's, on the command line and on its web page."""
    group = parser.add_argument_group("migration")
    group.add_argument("--shape", choices=NAMES, default="steady", help="how the load goes")
    group.add_argument("--flag", default="fraud-detector-v2", help="key of the flag")
    group.add_argument("--flag-plan", default="", help="0:0,30:10,90:off: seconds and rollouts")
    group.add_argument("--flags-file", default=None, help="move the flag here, not in Unleash")
    group.add_argument(
        "--settles",
        type=float,
        default=4.0,
        help="seconds that a move may take to reach every worker (the rollback promise)",
    )
    group.add_argument("--pairs", default=None, help="folder of the pair files, to match the pairs")
    group.add_argument("--transactions", default=None, help="Parquet table; simulated if not given")
    group.add_argument("--max-failed", type=int, default=0, help="failed requests allowed")
    group.add_argument("--max-p99", type=float, default=None, help="milliseconds, as seen here")


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    """Connect this process's counts with the others', the plan and the page."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        runner.register_message(MOVED, _moved_elsewhere)
    else:
        transactions(_table(environment))  # made once, before the workers of this machine ask
    if environment.web_ui:
        _extend_page(environment)


@events.test_start.add_listener
def begin(environment: Environment, **_: Any) -> None:
    """Load the transactions; the leading process starts to change the flag."""
    options = environment.parsed_options
    state.begin(FlagSeen(options.flag, options.settles))
    if not isinstance(environment.runner, MasterRunner):
        # In a thread: while a greenlet computes, the process misses its heartbeats.
        threads = gevent.get_hub().threadpool
        state.bodies = threads.apply(transactions, (_table(environment),))
    if options.flag_plan and not isinstance(environment.runner, WorkerRunner):
        try:
            moves, move_flag = parse(options.flag_plan), mover(options.flag, options.flags_file)
        except PlanError as error:
            logger.error("%s", error)
            environment.process_exit_code = 2
            environment.runner.quit()
            return
        state.following = gevent.spawn(_follow, environment, moves, move_flag)


@events.test_stop.add_listener
def end(environment: Environment, **_: Any) -> None:
    """Stop changing the flag."""
    del environment
    if state.following is not None:
        state.following.kill(block=False)


@events.report_to_master.add_listener
def report(client_id: str, data: dict[str, Any]) -> None:
    """Send the counts since the last report."""
    del client_id
    data["sides"] = state.counts.taken()


@events.worker_report.add_listener
def take_report(client_id: str, data: dict[str, Any]) -> None:
    """Add the counts of a worker."""
    del client_id
    state.total.add(SideCounts.of(data["sides"]))


@events.quitting.add_listener
def conclude(environment: Environment, **_: Any) -> None:
    """Match the pairs, print our figures, and decide on the exit code."""
    if isinstance(environment.runner, WorkerRunner):
        return
    state.total.add(SideCounts.of(state.counts.taken()))
    options, total = environment.parsed_options, environment.stats.total
    unpaired = _unpaired(options.pairs)
    sides = ", ".join(f"{name} {count:,}" for name, count in sorted(state.total.answers.items()))
    pairs = "not looked at" if unpaired is None else f"{unpaired:,}"
    p99 = total.get_response_time_percentile(0.99) or 0
    print(
        f"\nanswers {sum(state.total.answers.values()):,} ({sides}), failed requests "
        f"{total.num_failures:,}, p99 {p99:.0f} ms\n"
        f"wrong-side answers {len(state.total.wrong):,} of {state.total.judged:,} judged, answers "
        f"without a pair {pairs}"
    )
    for line in state.total.wrong[:10]:
        print(f"  wrong side: {line}")
    too_slow = options.max_p99 is not None and p99 > options.max_p99
    bad = total.num_failures > options.max_failed or too_slow or state.total.wrong or unpaired
    if environment.process_exit_code is None:
        environment.process_exit_code = 1 if bad or not state.total.answers else 0


def _follow(environment: Environment, moves: tuple[Move, ...], move_flag: Any) -> None:
    began = time.time()
    for move in moves:
        gevent.sleep(max(0.0, began + move.at - time.time()))
        try:
            move_flag(move)
        except Exception:
            logger.exception("the flag could not be moved to %s", move)
            environment.process_exit_code = 1
            return
        now = time.time()
        state.seen.moved(move, now)
        if isinstance(environment.runner, MasterRunner):
            environment.runner.send_message(MOVED, {"at": now, "rollout": move.rollout})
        logger.info("the flag is at %s", move)


def _moved_elsewhere(msg: Any, **_: Any) -> None:
    state.seen.moved(Move(0.0, msg.data["rollout"]), msg.data["at"])


def _table(environment: Environment) -> Path | None:
    table = environment.parsed_options.transactions
    return Path(table) if table else None


def _unpaired(folder: str | None) -> int | None:
    """Return the number of answers without a pair; wait for the last pairs to be on disk."""
    if folder is None:
        return None
    from comparison.pairs.reader import load_pairs

    wanted = Counter(state.total.answered)
    deadline = time.monotonic() + PAIRS_WITHIN
    while True:
        missing = (wanted - Counter(load_pairs(folder)["request_id"])).total()
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.5)


def _extend_page(environment: Environment) -> None:
    """Show the counts in a tab of Locust's own page, kept up to date by its own polling."""
    key = "sides"
    page = environment.web_ui
    page.template_args["extended_tabs"] = [{"title": "Sides", "key": key}]
    page.template_args["extended_tables"] = [
        {
            "key": key,
            "structure": [{"key": "what", "title": "What"}, {"key": "count", "title": "Count"}],
        }
    ]

    @page.app.after_request
    def with_sides(response: Any) -> Any:
        from flask import request

        if request.path == "/stats/requests":
            content = json.loads(response.get_data())
            content["extended_stats"] = [{"key": key, "data": _rows(environment)}]
            response.set_data(json.dumps(content))
        return response


def _rows(environment: Environment) -> list[dict[str, Any]]:
    merged = SideCounts()
    merged.add(state.total)
    if not isinstance(environment.runner, MasterRunner):
        merged.add(state.counts)
    rows = [
        {"what": f"answers by the {name}", "count": count}
        for name, count in sorted(merged.answers.items())
    ]
    rows.append({"what": "answers judged", "count": merged.judged})
    rows.append({"what": "wrong-side answers", "count": len(merged.wrong)})
    flag = "unknown" if state.seen.move is None else str(state.seen.move)
    return [{"what": "the flag is at", "count": flag}, *rows]
