"""Shadows within a budget, and the primary as a lazy insurance, over real HTTP."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.pair_files import one_by_one, spans_on
from tests.support.paths import ROOT

FLAG = "claims-v2"


class Sampled:
    """A running service whose shadows may take very little processor time."""

    def __init__(self, client: httpx.Client, folder: Path) -> None:
        self._client, self._folder = client, folder
        self._numbers = count()

    def ask(self, amount: float) -> tuple[str, str]:
        """Send one request; return its id and the side that answered."""
        request_id = f"asked-{next(self._numbers)}"
        headers = {"X-Request-Id": request_id}
        response = self._client.post("/judge", json={"amount": amount}, headers=headers)
        response.raise_for_status()
        return request_id, response.headers["X-Model-Side"]

    def assign(self, side: str) -> None:
        """Make `side` active, and wait until it answers."""
        write_flags_file(self._folder / "flags.json", FLAG, 100 if side == "candidate" else 0)
        assert eventually(lambda: self.ask(10.0)[1] == side, pause=0.1)

    def pair(self, request_id: str) -> dict[str, Any]:
        """Return the attributes of a request's pair, once it is there."""
        assert eventually(lambda: request_id in self._pairs(), pause=0.05)
        return self._pairs()[request_id]

    def _pairs(self) -> dict[str, dict[str, Any]]:
        found = {}
        for file in (self._folder / "pairs").glob("*.jsonl"):
            for line in one_by_one(file):
                [span] = spans_on(line)
                held = {
                    each["key"]: next(iter(each["value"].values())) for each in span["attributes"]
                }
                if "migration.request.id" in held:
                    found[held["migration.request.id"]] = held
        return found


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampled]:
    folder = tmp_path_factory.mktemp("sampled")
    write_flags_file(folder / "flags.json", FLAG, 0)
    env = environment(
        folder / "home",
        PLACEMENT="embedded",
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        CALLED=str(folder / "called.jsonl"),
        INSURANCE="lazy",
        SHADOW_MAX_SHARE="0.00001",
        CANDIDATE_TIMEOUT="30",
        SHADOW_TIMEOUT="30",
    )
    target = "tests.support.services.batched:Claims"
    with (
        Serving(target, environment=env, log=folder / "log", folder=ROOT) as serving,
        httpx.Client(base_url=serving.url, timeout=60) as client,
    ):
        yield Sampled(client, folder)


def test_beyond_the_budget_shadows_are_skipped_and_say_so(sampled: Sampled) -> None:
    pairs: list[dict[str, Any]] = []

    def is_skipped() -> bool:
        pairs.append(sampled.pair(sampled.ask(10.0)[0]))
        return pairs[-1]["migration.candidate.status"] == "skipped"

    assert eventually(is_skipped, pause=0.2)
    first, last = pairs[0], pairs[-1]
    assert (first["migration.candidate.status"], first["migration.shadow.share"]) == ("ok", 1)
    assert last["migration.shadow.skipped"] == "budget"
    assert 0 < last["migration.shadow.share"] < 1
    assert last["migration.served"] == "primary"


def test_a_lazy_insurance_stands_in_for_a_candidate_that_fails(sampled: Sampled) -> None:
    sampled.assign("candidate")

    answered, side = sampled.ask(10.0)
    failed, stood_in = sampled.ask(-1.0)

    assert (side, stood_in) == ("candidate", "primary")
    pair = sampled.pair(failed)
    assert pair["migration.fallback"] is True
    assert (pair["migration.primary.status"], pair["migration.candidate.status"]) == ("ok", "error")
    assert sampled.pair(answered)["migration.primary.status"] in ("ok", "skipped")
