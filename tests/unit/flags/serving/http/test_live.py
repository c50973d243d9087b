"""The data of the live page, which has no secrets."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from comparison.judgement.judgement import Judgement
from comparison.report.verdict_document import VerdictDocument
from flags.gate import decide
from flags.gate.checks.operational import NAME
from flags.monitoring.recent_counts import AlarmCounts, Recent, Slot, recent_path
from flags.monitoring.rollouts_taken import RolloutsTaken
from flags.monitoring.verdict_place import verdict_path
from flags.monitoring.worker_state import WORKERS_PATH, WorkerFlag, WorkerRegistry
from flags.playbook.model import Playbook
from flags.serving.http.endpoints import LIVE_PATH, PAGE_PATH, endpoints
from flags.serving.http.live import LiveSource, flag_link
from flags.serving.settings import Settings
from tests.support.evidence import evidence
from tests.support.worker_states import worker_flag, worker_state

FLAG = "fraud-detector-v2"
TOKEN = "*:production.4a83b0secret"  # noqa: S105 - of no server
NOW = datetime.now(UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        unleash_url="https://ada:hunter2@unleash.example.com/api",
        unleash_api_token=SecretStr(TOKEN),
        pairs_dir=tmp_path,
    )


@pytest.fixture
def registry(tmp_path: Path) -> WorkerRegistry:
    return WorkerRegistry(tmp_path, "FraudDetector")


def place(folder: Path) -> Path:
    path = verdict_path(folder, FLAG)
    path.parent.mkdir(exist_ok=True)
    return path


class Client:
    """Ask the application itself, without a server."""

    def __init__(self, source: LiveSource) -> None:
        self._source = source

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            # A new application each time: one answers the same for half a second.
            transport = httpx.ASGITransport(endpoints(self._source))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asker:
                return await asker.get(path)

        return asyncio.run(ask())


@pytest.fixture
def client(settings: Settings, registry: WorkerRegistry) -> Client:
    return Client(LiveSource(registry, "FraudDetector", FLAG, settings))


def publish(registry: WorkerRegistry, worker: str, seen: WorkerFlag, **others: Any) -> None:
    registry.publish(worker_state(worker, flag=seen, heartbeat=datetime.now(UTC), **others))


def live(client: Client) -> dict[str, Any]:
    response = client.get(LIVE_PATH)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    found = response.json()
    assert isinstance(found, dict)
    return found


def test_workers_of_another_flag_in_the_same_folder_are_left_out(
    client: Client, registry: WorkerRegistry, settings: Settings
) -> None:
    other = WorkerRegistry(settings.pairs_dir, "FraudDetector")
    publish(other, "w2", worker_flag(key="fraud-detector-v3", rollout=100.0))
    publish(registry, "w1", worker_flag())
    seen = live(client)
    assert [each["worker"] for each in seen["workers"]] == ["w1"]
    assert (seen["agreed"], seen["rollout"]) == (True, 10.0)
    listed = client.get(WORKERS_PATH).json()["workers"]
    assert [each["worker"] for each in listed] == ["w1"]


def test_workers_that_agree_give_one_stage_and_the_earliest_time(
    client: Client, registry: WorkerRegistry
) -> None:
    seen = worker_flag(since=NOW - timedelta(hours=2), project="default")
    publish(registry, "w1", replace(seen, since=NOW - timedelta(hours=1)))
    publish(registry, "w2", seen)
    found = live(client)
    assert (found["service"], found["flag"], found["agreed"]) == ("FraudDetector", FLAG, True)
    assert (found["stage"], found["rollout"], found["enabled"]) == ("canary", 10.0, True)
    assert datetime.fromisoformat(found["since"]) == NOW - timedelta(hours=2)
    assert found["link"] == f"https://unleash.example.com/projects/default/features/{FLAG}"
    assert [(each["worker"], each["sees"]) for each in found["workers"]] == [
        ("w1", "10 %"),
        ("w2", "10 %"),
    ]
    assert [each["answers_this"] for each in found["workers"]] == [False, True]
    assert found["verdict"] is None


def test_workers_that_differ_are_shown_each_for_itself(
    client: Client, registry: WorkerRegistry
) -> None:
    publish(registry, "w1", worker_flag(since=NOW))
    publish(registry, "w2", worker_flag(since=NOW, enabled=False))
    found = live(client)
    assert (found["agreed"], found["stage"], found["since"]) == (False, None, None)
    assert [each["sees"] for each in found["workers"]] == ["10 %, requestId", "off"]
    assert [each["stage"] for each in found["workers"]] == ["canary", "off"]


def test_the_counts_of_all_workers_are_added_up(
    client: Client, registry: WorkerRegistry, tmp_path: Path
) -> None:
    slot = Slot(int(datetime.now(UTC).timestamp()) // 10 * 10, pairs=4, fallbacks=1)
    slot.candidate.answers, slot.primary.answers = 1, 3
    slot.alarms["score"] = AlarmCounts(4, 1, 3)
    for worker in ("w1", "w2"):
        publish(registry, worker, worker_flag())
        counted = Recent([slot], {"candidate": f"v2:{worker}"})
        recent_path(tmp_path, worker).write_bytes(orjson.dumps(counted))
    minutes = live(client)["minutes"]
    assert (sum(minutes["primary"]), sum(minutes["candidate"])) == (6, 2)
    assert (minutes["pairs"], minutes["fallbacks"]) == (8, 2)
    assert minutes["alarms"] == {"score": {"pairs": 8, "primary": 2, "candidate": 6}}
    assert minutes["models"] == {"primary": [], "candidate": ["v2:w1", "v2:w2"]}


def test_the_last_verdict_is_the_one_that_lies_beside_the_pairs(
    client: Client, tmp_path: Path
) -> None:
    path = place(tmp_path)
    verdict = {"flag": FLAG, "step": "canary, 10 %", "decision": "HOLD", "reasons": ["too few"]}
    path.write_bytes(orjson.dumps({**verdict, "checks": [{"name": "x"}], "evidence": {}}))
    found = live(client)["verdict"]
    assert {name: found[name] for name in verdict} == verdict
    assert abs(datetime.fromisoformat(found["at"]) - datetime.now(UTC)) < timedelta(minutes=5)
    for broken in (b"", b"{", b"[]", orjson.dumps({**verdict, "flag": "another"})):
        path.write_bytes(broken)
        assert live(client)["verdict"] is None


def test_firing_alarms_and_the_next_step_are_those_of_the_last_verdict(
    client: Client, tmp_path: Path
) -> None:
    def check(outcome: str, name: str = NAME) -> dict[str, Any]:
        return {"name": name, "outcome": outcome, "reason": f"it {outcome}s", "subject": "queue"}

    coming = {"name": "ramp, 50 %", "rollout": 50, "not_before": NOW, "needs_approval": True}
    verdict = {"flag": FLAG, "step": "canary, 10 %", "decision": "HOLD", "reasons": []}
    checks = [check("pass"), check("fail"), check("inconclusive"), check("fail", "pairs")]
    path = place(tmp_path)
    path.write_bytes(orjson.dumps({**verdict, "checks": checks, "next_step": coming}))
    found = live(client)["verdict"]
    assert found["firing"] == [
        {"name": "queue", "reason": "it fails", "is_known": True},
        {"name": "queue", "reason": "it inconclusives", "is_known": False},
    ]
    assert (found["next_step"]["name"], found["next_step"]["needs_approval"]) == (
        "ramp, 50 %",
        True,
    )
    assert datetime.fromisoformat(found["next_step"]["not_before"]) == NOW
    assert "checks" not in found


def test_what_the_gate_writes_is_what_the_page_reads(client: Client, tmp_path: Path) -> None:
    plan = Playbook.model_validate(
        {"flag": FLAG, "alarms": {"freeze": {"webhook": "https://change.example"}}}
    )
    step, taken = plan.steps_at(10)[0], evidence(rollout=10)
    judgement = Judgement(plan, step, decide(taken, plan, step))
    place(tmp_path).write_bytes(VerdictDocument.of(taken, judgement).json())
    found = live(client)["verdict"]
    assert [each["name"] for each in found["firing"]] == ["freeze"]
    assert found["next_step"]["name"] == "ramp, 50 %"


def test_no_answer_holds_a_secret(client: Client, registry: WorkerRegistry) -> None:
    publish(registry, "w1", worker_flag(project="default"))
    for path in (PAGE_PATH, LIVE_PATH, WORKERS_PATH):
        response = client.get(path)
        told = response.text + str(response.headers)
        for secret in (TOKEN, "4a83b0secret", "hunter2", "ada:"):
            assert secret not in told


def test_the_page_takes_nothing_from_anybody(client: Client, registry: WorkerRegistry) -> None:
    """Its text is the same whatever the service holds; the rest comes as JSON, set as text."""
    empty = client.get(PAGE_PATH)
    publish(registry, "w1", worker_flag(), host="<script>alert(1)</script>")
    assert client.get(PAGE_PATH).text == empty.text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", empty.text)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", empty.text)


def test_the_browser_is_told_to_run_nothing_else(client: Client) -> None:
    headers = client.get(PAGE_PATH).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("url", "dashboard", "project", "link"),
    [
        ("http://u:4242/api", None, "default", "http://u:4242/projects/default/features/a%2Fb"),
        ("http://u/x/api/", None, "p q", "http://u/x/projects/p%20q/features/a%2Fb"),
        ("http://u/api", "https://flags/", "p", "https://flags/projects/p/features/a%2Fb"),
        ("http://me:pw@u/api", None, "p", "http://u/projects/p/features/a%2Fb"),
        ("http://u/api", "javascript:alert(1)", "p", None),
        ("http://u/api", None, None, None),
        (None, None, "p", None),
    ],
)
def test_the_link_leads_to_the_flag(
    url: str | None, dashboard: str | None, project: str | None, link: str | None
) -> None:
    settings = Settings(
        unleash_url=url,
        unleash_api_token=SecretStr("t") if url else None,
        unleash_dashboard_url=dashboard,
    )
    assert flag_link(settings, project, "a/b") == link


def test_the_stage_at_a_rollout_that_the_gate_has_judged_is_the_gates(
    client: Client, registry: WorkerRegistry, tmp_path: Path
) -> None:
    publish(registry, "w1", worker_flag(rollout=100.0))
    assert live(client)["stage"] == "ramp"
    verdict = {"flag": FLAG, "step": "deprecation, 100 %", "decision": "HOLD"}
    verdict |= {"stage": "deprecation", "rollout": 100}
    place(tmp_path).write_bytes(orjson.dumps(verdict))
    assert live(client)["stage"] == "deprecation"
    publish(registry, "w1", worker_flag(rollout=100.0, enabled=False))
    assert live(client)["stage"] == "off"
    publish(registry, "w1", worker_flag(rollout=10.0))
    assert live(client)["stage"] == "canary"


def test_the_steps_are_the_playbooks_and_those_taken_are_what_was_seen(
    client: Client, registry: WorkerRegistry, tmp_path: Path
) -> None:
    publish(registry, "w1", worker_flag())
    assert (live(client)["taken"], live(client)["verdict"]) == ([], None)
    taken = RolloutsTaken(tmp_path, FLAG)
    for rollout in (0.0, 10.0, 10.0):
        taken.note(True, rollout)
        RolloutsTaken(tmp_path, FLAG).note(True, rollout)
    taken.note(False, 50.0)
    RolloutsTaken(tmp_path, "another-flag").note(True, 50.0)
    assert live(client)["taken"] == [0.0, 10.0]
    playbook = Playbook(flag=FLAG)
    taken_evidence = evidence(rollout=10)
    step = next(each for each in playbook.steps if each.rollout == 10)
    judgement = Judgement(playbook, step, decide(taken_evidence, playbook, step))
    place(tmp_path).write_bytes(VerdictDocument.of(taken_evidence, judgement).json())
    assert live(client)["verdict"]["steps"] == [
        {"stage": each.stage, "rollout": each.rollout} for each in playbook.steps
    ]


def test_alarms_of_less_than_ten_minutes_say_since_when_the_flag_is_so(
    client: Client, registry: WorkerRegistry
) -> None:
    changed = datetime.now(UTC) - timedelta(minutes=2)
    publish(registry, "w1", worker_flag(since=changed - timedelta(seconds=1)))
    publish(registry, "w2", worker_flag(since=changed))
    assert datetime.fromisoformat(live(client)["alarms_since"]) == changed
    for worker in ("w1", "w2"):
        publish(registry, worker, worker_flag(since=NOW - timedelta(hours=1)))
    assert live(client)["alarms_since"] is None
