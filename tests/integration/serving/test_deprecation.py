"""The deprecation: the dashboard reduces the primary's shadows; rollback is still instant."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from comparison.pairs.reader import load_pairs
from flags.cli import migration
from flags.unleash.admin import seed
from flags.unleash.admin.seed import shadow_key
from flags.unleash.local import LocalUnleash
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.following import following

pytest_plugins = ("tests.support.unleash.server",)

FLAG = "deprecation-v2"
ASKED = 600
NEITHER, BOTH, FAILS = 10, 60, 5_000
"""Amounts: no alarm of either side, an alarm of both, and what the candidate fails at."""
PLAYBOOK = f"""
flag: {FLAG}
labels: none
warm_up: 0
gate:
  advance: {{alarm_ratio: 1.5, shed_rate: 0.1, latency_p50: 50, latency_p99: 50}}
  rollback: {{alarm_ratio: 2, latency_p50: 100, latency_p99: 100}}
steps:
  - {{stage: ramp, rollout: 100, hold: 0s, min_pairs: 300}}
  - {{stage: deprecation, rollout: 100, hold: 0s, min_pairs: 300}}
"""


class Deprecated:
    """A service at 100 %, its flag, its shadow switch, its pairs."""

    def __init__(self, unleash: LocalUnleash, serving: Serving, folder: Path) -> None:
        self.unleash = unleash
        self.url = serving.url
        self.pairs = folder / "pairs"
        self.playbook = folder / "playbook.yaml"
        self.playbook.write_text(PLAYBOOK)
        self._asked: Counter[str] = Counter()

    def ask(self, name: str, count: int, *amounts: float) -> pd.DataFrame:
        """Send requests with ids that begin with `name`; return the pairs by request id."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            for number, amount in zip(range(count), cycle(amounts), strict=False):
                named = {"X-Request-Id": f"{name}-{number}"}
                reply = client.post("/judge", json={"amount": amount}, headers=named)
                assert reply.status_code == 200
        self._asked[name] += count
        assert eventually(lambda: len(self._named(name)) >= self._asked[name], 60)
        return self._named(name)

    def _named(self, name: str) -> pd.DataFrame:
        found = load_pairs(self.pairs)
        return found[found["request_id"].str.startswith(f"{name}-")].set_index("request_id")

    def sample_shadows(self, percent: int) -> None:
        """Move the slider of the shadow switch, and wait until the service has followed."""
        self.unleash.admin.set_rollout(shadow_key(FLAG), percent)
        probes = iter(range(1_000))

        def followed() -> bool:
            seen = self.ask(f"probe-{percent}-{next(probes)}", 12, NEITHER)
            return 0 < percent < 100 or set(seen["primary_status"]) == {
                "ok" if percent else "skipped"
            }

        assert eventually(followed, 60)

    def run(self, command: str, *arguments: str) -> Result:
        variables = {
            "UNLEASH_URL": self.unleash.url,
            "UNLEASH_ADMIN_TOKEN": self.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": self.unleash.environment,
            "MIGRATION_AUDIT": str(self.pairs.parent / "audit.jsonl"),
        }
        return CliRunner(env=variables).invoke(migration, [command, *arguments])

    def gate(self, *options: str) -> tuple[Result, dict]:
        """Judge the deprecation; return what was printed, and the document."""
        document = self.pairs.parent / "verdict.json"
        arguments = [str(self.pairs), "--playbook", str(self.playbook), "--step", "deprecation"]
        shown = self.run("gate", *arguments, "--json", str(document), *options)
        return shown, json.loads(document.read_bytes())


@pytest.fixture(scope="module")
def deprecated(
    unleash: LocalUnleash, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deprecated]:
    folder = tmp_path_factory.mktemp("deprecation")
    seed(unleash.admin, FLAG)
    unleash.admin.set_rollout(FLAG, 100)
    with following(unleash, FLAG, folder, workers=1) as serving:
        yield Deprecated(unleash, serving, folder)


def test_a_share_of_the_shadows_is_enough_for_the_gate(deprecated: Deprecated) -> None:
    deprecated.sample_shadows(100)
    every = deprecated.ask("every", 20, NEITHER)
    assert set(every["primary_status"]) == {"ok"}

    deprecated.unleash.admin.set_rollout(shadow_key(FLAG), 25)
    probes = iter(range(1_000))
    assert eventually(
        lambda: (
            "skipped" in set(deprecated.ask(f"wait-{next(probes)}", 10, NEITHER)["primary_status"])
        ),
        60,
    )
    share = deprecated.ask("share", ASKED, NEITHER, BOTH)
    scored = share["primary_status"] == "ok"
    assert set(share["primary_status"]) == {"ok", "skipped"}
    assert 0.16 < scored.mean() < 0.34  # five standard deviations
    assert share["primary_score"].notna().equals(scored)
    assert set(share["candidate_status"]) == {"ok"}
    assert set(share["served"]) == {"candidate"}
    assert not share["fallback"].any()

    twice = deprecated.ask("share", 60, NEITHER, BOTH).groupby(level=0)["primary_status"]
    assert list(twice.nunique().unique()) == [1], "the same ids are sampled"

    shown, document = deprecated.gate()
    assert shown.exit_code == 0, shown.output
    statuses = document["evidence"]["health"]["statuses"]["primary"]
    assert statuses["skipped"] > ASKED / 2
    assert set(statuses) == {"ok", "skipped"}
    assert document["evidence"]["health"]["primary_served"]["count"] == 0
    assert document["evidence"]["outputs"][0]["paired"] == statuses["ok"]


def test_without_any_shadow_there_is_nothing_to_judge_and_the_primary_is_there_all_the_same(
    deprecated: Deprecated,
) -> None:
    deprecated.sample_shadows(0)
    since = pd.Timestamp.now("UTC").isoformat()
    none = deprecated.ask("none", 320, NEITHER, BOTH)
    assert set(none["primary_status"]) == {"skipped"}
    shown, document = deprecated.gate("--since", since)
    assert (shown.exit_code, document["decision"]) == (10, "HOLD"), shown.output

    failed = deprecated.ask("fails", 3, FAILS)
    assert set(failed["candidate_status"]) == {"error"}
    assert set(failed["primary_status"]) == {"ok"}, "called because it was needed"
    assert set(failed["served"]) == {"primary"}
    assert failed["fallback"].all()

    done = deprecated.run("rollback", "it fails", "--flag", FLAG, "--service", deprecated.url)
    assert done.exit_code == 0, done.output
    assert "1 worker followed within " in done.output
    back = deprecated.ask("back", 20, NEITHER, BOTH)
    assert set(back["served"]) == {"primary"}
    assert not back["fallback"].any()
