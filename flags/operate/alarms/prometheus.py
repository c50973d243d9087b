"""Prometheus as a source of operational alarms: an instant query of its HTTP API."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from flags.bounded_http import Answer
from flags.errors import AlarmUnknownError
from flags.gate.alarm_states import AlarmReading, SeriesValue
from flags.operate.alarms.server import AlarmServer, quoted
from flags.playbook.operational import OperationalAlarmRule

PATH: Final = "/api/v1/query"

_MAX_FLOAT: Final = 1.7976931348623157e308
"""Stored instead of infinity, which JSON does not have."""


def read_prometheus(
    server: AlarmServer, name: str, alarm: OperationalAlarmRule, now: datetime
) -> AlarmReading:
    """Return the current result of the query. Raises AlarmUnknownError.

    Of several series, the lowest and the highest value are kept. NaN values and warnings of the
    server are added to the reading as its problem.
    """
    parameters = {"query": alarm.prometheus}
    answer = server.get(PATH, parameters, alarm.timeout.total_seconds())
    if answer.status in (400, 422, 503) and (error := _error(answer)):
        raise AlarmUnknownError(f"{server.name} refuses the query: {error}")
    document = server.json(answer)
    try:
        if document["status"] != "success":
            raise AlarmUnknownError(f"{server.name} says {quoted(document.get('error'))}")
        values = _values(document["data"])
        warnings = document.get("warnings") or []
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise AlarmUnknownError(
            f"{server.name} answers JSON that is not Prometheus's to an instant query"
        ) from None
    known = sorted(
        (each for each in values if not math.isnan(each.value)), key=lambda each: each.value
    )
    problem = None
    if len(known) < len(values):
        problem = f"{len(values) - len(known)} of {len(values)} values are not a number (NaN)"
    if warnings:
        problem = f"{server.name} warns: {quoted(warnings[0])}"
    return AlarmReading(
        name,
        alarm.source,
        now,
        lowest=known[0] if known else None,
        highest=known[-1] if known else None,
        problem=problem,
    )


def _values(data: Mapping[str, Any]) -> Sequence[SeriesValue]:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return [SeriesValue(_number(result[1]), "")]
    if kind == "vector":
        return [SeriesValue(_number(each["value"][1]), _labels(each["metric"])) for each in result]
    raise AlarmUnknownError(
        f"the query yields a {quoted(kind)}: an instant vector or a scalar is needed"
    )


def _number(text: str) -> float:
    value = float(text)
    return value if math.isnan(value) else min(max(value, -_MAX_FLOAT), _MAX_FLOAT)


def _labels(metric: Mapping[str, str]) -> str:
    """Return labels in PromQL's notation, without the metric's name, which is in the query."""
    named = [f'{key}="{value}"' for key, value in sorted(metric.items()) if key != "__name__"]
    return quoted(f"{{{', '.join(named)}}}") if named else ""


def _error(answer: Answer) -> str:
    """Return Prometheus's error message; "" if the answer is not Prometheus's."""
    try:
        return quoted(answer.json()["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
