"""A running service follows the flag in the real Unleash, whatever is changed there."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from scipy.stats import binom
from UnleashClient import UnleashClient
from UnleashClient.cache import FileCache
from UnleashClient.utils import InstanceAllowType

from flags.export import attributes
from flags.unleash.admin import UnleashAdmin, seed
from flags.unleash.local import LocalUnleash
from tests.support.fakes import eventually
from tests.support.flagged_service import AMOUNT, FlaggedService, Reply, has, served
from tests.support.services.flagged import THRESHOLD

FLAG = "scores-v2"
IDS = [f"request-{number}" for number in range(600)]
ALPHA = 1e-6
"""Probability that a correct rollout would be refused; as the ids are fixed, it is so once."""

THRESHOLD_OF_CANDIDATE = attributes.side("candidate", attributes.THRESHOLD, "score")


@pytest.fixture(scope="module")
def admin(unleash: LocalUnleash) -> UnleashAdmin:
    seed(unleash.admin, FLAG)
    return unleash.admin


@pytest.fixture(scope="module")
def service(
    admin: UnleashAdmin, unleash: LocalUnleash, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FlaggedService]:
    with served(tmp_path_factory.mktemp("routing"), unleash, FLAG) as service:
        yield service


@pytest.fixture
def bare(unleash: LocalUnleash, admin: UnleashAdmin, tmp_path: Any) -> Iterator[UnleashClient]:
    """Unleash's own client on the same server, without anything of ours."""
    client = UnleashClient(
        unleash.sdk_url,
        "bare",
        custom_headers={"Authorization": unleash.client_token},
        cache=FileCache("bare", directory=str(tmp_path)),
        refresh_interval=1,
        disable_metrics=True,
        disable_registration=True,
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )
    client.initialize_client()
    yield client
    client.destroy()


def set_strategy(unleash: LocalUnleash, path: str, value: Any) -> None:
    """Change the rollout strategy as the dashboard does where `UnleashAdmin` has no word for it."""
    features = f"{unleash.url}/api/admin/projects/default/features/{FLAG}"
    strategies = f"{features}/environments/{unleash.environment}/strategies"
    headers = {"Authorization": unleash.admin_token}
    (strategy,) = requests.get(strategies, headers=headers, timeout=5).json()
    patch = [{"op": "replace", "path": path, "value": value}]
    requests.patch(
        f"{strategies}/{strategy['id']}", json=patch, headers=headers, timeout=5
    ).raise_for_status()


def candidates(replies: list[Reply]) -> set[str]:
    """Return the ids that the candidate answered; every request must have an answer."""
    assert {reply.status for reply in replies} == {200}
    return {reply.request_id for reply in replies if reply.side == "candidate"}


@pytest.mark.slow
def test_each_rollout_is_followed_exactly_and_only_ever_adds_ids(
    service: FlaggedService, admin: UnleashAdmin, bare: UnleashClient
) -> None:
    """Shares within binomial limits, the same ids as Unleash's own engine, none ever taken back."""
    before: set[str] = set()
    for rollout in (0, 1, 5, 10, 50, 100):
        admin.set_rollout(FLAG, rollout)
        service.follows(has(attributes.ROLLOUT, rollout))
        replies = service.ask(IDS)
        chosen = candidates(replies)
        low, high = binom.interval(1 - ALPHA, len(IDS), rollout / 100)
        assert low <= len(chosen) <= high
        assert chosen == {each for each in IDS if bare.is_enabled(FLAG, {"requestId": each})}
        assert chosen >= before
        assert len({reply.worker for reply in replies}) == 2
        before = chosen
    assert before == set(IDS)


def test_off_leaves_the_primary_whatever_the_rollout(
    service: FlaggedService, admin: UnleashAdmin
) -> None:
    admin.set_rollout(FLAG, 100)
    admin.turn_off(FLAG)
    service.follows(has(attributes.FLAG_REASON, "disabled"))
    assert candidates(service.ask(IDS[:200])) == set()
    admin.turn_on(FLAG)
    service.follows(has(attributes.ROLLOUT, 100))
    assert candidates(service.ask(IDS[:200])) == set(IDS[:200])


def test_another_sticky_field_takes_effect_without_a_restart(
    service: FlaggedService, admin: UnleashAdmin, unleash: LocalUnleash
) -> None:
    """By request id, a user's requests are split; by user id, they stay together."""
    users = [f"user-{number}" for number in range(20)]

    def sides_of(user: str) -> set[bool]:
        replies = service.ask((f"{user}-{number}" for number in range(12)), {"X-User-Id": user})
        chosen = candidates(replies)
        return {reply.request_id in chosen for reply in replies}

    admin.set_rollout(FLAG, 50)
    service.follows(has(attributes.ROLLOUT, 50))
    workers = {reply.worker for reply in service.ask(IDS[:50])}
    assert all(sides_of(user) == {True, False} for user in users[:5])

    set_strategy(unleash, "/parameters/stickiness", "userId")
    try:
        # Requests without a user are nobody's: off at any rollout.
        assert eventually(lambda: not candidates(service.ask(IDS[:50])), within=10)
        sides = [sides_of(user) for user in users]
        assert all(len(each) == 1 for each in sides)
        assert {True, False} == set.union(*sides)
        assert {reply.worker for reply in service.ask(IDS[:50])} == workers
    finally:
        set_strategy(unleash, "/parameters/stickiness", "requestId")


@pytest.mark.parametrize("rollout", [0, 100])
def test_the_candidate_s_threshold_is_tuned_from_the_dashboard(
    service: FlaggedService, admin: UnleashAdmin, rollout: int
) -> None:
    """In shadow too: at 0 % the payload is on no answer, yet the candidate is judged by it."""
    admin.set_rollout(FLAG, rollout)
    for threshold, alarm in ((0.9, False), (0.6, True)):
        admin.set_variant_payload(FLAG, {"threshold": threshold})
        service.follows(has(THRESHOLD_OF_CANDIDATE, threshold))
        pairs = service.pairs_of(service.ask(f"{rollout}-{threshold}-{i}" for i in range(40)))
        assert set(pairs["candidate_threshold"]) == {threshold}
        assert set(pairs["candidate_score"]) == {AMOUNT}
        assert set(pairs["candidate_decision"]) == {alarm}
        assert set(pairs["primary_threshold"]) == {THRESHOLD}
        assert set(pairs["served"]) == {"candidate" if rollout else "primary"}
    admin.set_variant_payload(FLAG, None)
    service.follows(has(THRESHOLD_OF_CANDIDATE, THRESHOLD))


def test_a_payload_that_is_not_a_threshold_is_refused_and_the_configured_one_stays(
    service: FlaggedService, admin: UnleashAdmin
) -> None:
    refused = "the flag's payload is refused, the configured threshold stays"
    assert service.told(refused) == []
    admin.set_rollout(FLAG, 100)
    admin.set_variant_payload(FLAG, {"threshold": "high"})
    service.follows(has(attributes.FLAG_VARIANT, "candidate"))
    pairs = service.pairs_of(service.ask(f"refused-{number}" for number in range(100)))
    assert set(pairs["candidate_threshold"]) == {THRESHOLD}
    assert set(pairs["candidate_decision"]) == {True}
    assert len(service.told(refused)) == 2  # one line per worker, none per request
    assert "the threshold of score is 'high', not a number" in service.told(refused)[0]
