"""The log lines of a service about its migration when it starts: four lines, and warnings."""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

from flags.export.worker_count import read_counts
from flags.monitoring.worker_state import WorkerFlag
from flags.pairing.reading import Reading
from flags.printable import printable
from flags.serving.http.endpoints import PAGE_PATH
from flags.serving.plan import Plan

logger: Final = logging.getLogger("bentoml.migration")
"""BentoML shows loggers below `bentoml` from INFO on, other loggers only from WARNING on."""

_RECENT: Final = timedelta(minutes=1)
"""A service is running if a worker has written its count within this time."""


def report_start(plan: Plan, service: str, flag: WorkerFlag) -> None:
    """Log the state of the migration; `flag` is the flag as this worker sees it."""
    for line in start_lines(plan, flag):
        logger.info("%s", printable(line))
    for problem in start_problems(plan, service, datetime.now(UTC)):
        logger.warning("%s", printable(problem))


def start_lines(plan: Plan, flag: WorkerFlag) -> tuple[str, str, str, str]:
    """Return four lines: the flag and its source, pairs' folder, live page, recorded inputs."""
    settings = plan.settings
    page = f"{plan.primary.path_prefix or ''}{PAGE_PATH}"
    return (
        f"flag {plan.flag}: {_flag(flag)}",
        f"pairs are written to {settings.pairs_dir.absolute()}",
        f"live page: {page if settings.migration_endpoints else 'off (MIGRATION_ENDPOINTS)'}",
        f"recorded of inputs: {_inputs(each.reading for each in plan.apis.values())}",
    )


def start_problems(plan: Plan, service: str, now: datetime) -> Iterator[str]:
    """Yield warnings about the configuration, except about the flag: its provider logs those."""
    others = _other_services(plan.settings.pairs_dir, service, now)
    if others:
        yield (
            f"{plan.settings.pairs_dir.absolute()} also gets the pairs of {', '.join(others)}: "
            "set PAIRS_DIR, so that each service has a folder of its own"
        )
    readings = {name: each.reading for name, each in plan.apis.items()}
    if not any(reading.reads_answers for reading in readings.values()):
        yield "nothing of the answers is compared: migrate(score=...) says what is"
    for name, reading in readings.items():
        if missing := sorted(reading.without_threshold):
            yield (
                f"{', '.join(missing)} of {name} has no threshold, so no alarm is compared: give "
                f"migrate(threshold=...), or declare Number({missing[0]!r}) if nothing is decided"
            )


def _flag(flag: WorkerFlag) -> str:
    if not flag.shows_flag:
        return f"decided by the provider {flag.provider}"
    where = f", from {flag.source}" if flag.source else ""
    if flag.environment:
        where += f" ({flag.environment})"
    if flag.enabled is None:
        return f"not there{where}: the primary answers"
    rollout = "by several strategies" if flag.rollout is None else f"at {flag.rollout:g} %"
    return f"{'on' if flag.enabled else 'off'}, {rollout}{where}"


def _inputs(readings: Iterable[Reading]) -> str:
    """Return the names of recorded inputs, in the order of the APIs."""
    all_readings = tuple(readings)
    groups = {
        "segments": chain.from_iterable(each.segment_of for each in all_readings),
        "features": chain.from_iterable(each.feature_of for each in all_readings),
        "the prompt of": (
            name
            for each in all_readings
            for name, text in each.texts.items()
            if text.records_prompt
        ),
    }
    lists = {title: ", ".join(dict.fromkeys(names)) for title, names in groups.items()}
    return "; ".join(f"{title} {names}" for title, names in lists.items() if names) or "nothing"


def _other_services(folder: Path, service: str, now: datetime) -> list[str]:
    oldest = (now - _RECENT).timestamp() * 1e9
    return sorted(
        {
            each.service
            for each in read_counts(folder)
            if each.service not in (None, service) and not each.closed and each.at > oldest
        }
    )
