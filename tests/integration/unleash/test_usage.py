"""Unleash's page on the usage of a flag counts every answer, also those without its engine."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from openfeature.evaluation_context import EvaluationContext

from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from flags.unleash.provider import FlagServer, UnleashProvider
from tests.support.fakes import eventually

ANSWERS = 7


def usage(unleash: LocalUnleash, flag: str) -> tuple[int, int]:
    """Return how many answers Unleash has been told of: off, and on."""
    url = f"{unleash.url}/api/admin/client-metrics/features/{flag}/raw"
    headers = {"Authorization": unleash.admin_token}
    rows: list[dict[str, Any]] = requests.get(url, headers=headers, timeout=5).json()["data"]
    return sum(row["no"] for row in rows), sum(row["yes"] for row in rows)


def make_counted(unleash: LocalUnleash, flags: dict[str, int]) -> None:
    """Make flags with a rollout, and wait until Unleash would count their usage.

    It throws away what it is told of flags that it does not know, and looks at which there are once
    in ten seconds; a flag that is younger than all of `flags` shows that it has looked.
    """
    youngest = "usage-youngest-v2"
    for flag, percent in [*flags.items(), (youngest, 0)]:
        seed(unleash.admin, flag)
        unleash.admin.set_rollout(flag, percent)

    def is_counted() -> bool:
        tell_of_one_answer(unleash, youngest)
        time.sleep(0.5)
        return usage(unleash, youngest) != (0, 0)

    assert eventually(is_counted, 60)


def tell_of_one_answer(unleash: LocalUnleash, flag: str) -> None:
    """Send what a client sends of one answer that was off."""
    now = datetime.now(UTC)
    bucket = {
        "start": (now - timedelta(seconds=1)).isoformat(),
        "stop": now.isoformat(),
        "toggles": {flag: {"yes": 0, "no": 1}},
    }
    sent = requests.post(
        f"{unleash.sdk_url}/client/metrics",
        headers={"Authorization": unleash.client_token},
        json={"appName": "usage", "instanceId": "usage", "bucket": bucket},
        timeout=10,
    )
    sent.raise_for_status()


@pytest.mark.slow
def test_answers_of_a_flag_that_is_off_for_all_are_counted(unleash: LocalUnleash) -> None:
    """They are given without the engine, which keeps the count."""
    make_counted(unleash, {"usage-0-v2": 0, "usage-100-v2": 100})
    server = FlagServer(
        unleash.sdk_url, unleash.client_token, refresh_interval=1, request_timeout=10
    )
    provider = UnleashProvider(server)
    provider.initialize(EvaluationContext())
    try:
        assert eventually(lambda: answer(provider, "usage-100-v2"))
        for number in range(ANSWERS):
            assert not answer(provider, "usage-0-v2", f"request-{number}")
    finally:
        provider.shutdown()
    seen: list[tuple[int, int]] = []

    def is_told() -> bool:
        time.sleep(0.2)  # Unleash stores what it was told in its own time
        seen.append(usage(unleash, "usage-0-v2"))
        return seen[-1] == (ANSWERS, 0)

    assert eventually(is_told, 60), seen[-1]
    _, on = usage(unleash, "usage-100-v2")
    assert on == 1


def answer(provider: UnleashProvider, flag: str, request_id: str = "request") -> bool:
    """Return what the provider says of a flag."""
    return provider.resolve_boolean_details(flag, False, EvaluationContext(request_id)).value
