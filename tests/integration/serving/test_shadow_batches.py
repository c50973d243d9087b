"""Gathered shadows in one call of the candidate, in every placement, over real HTTP."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT
from tests.support.remote_candidate import candidate_for

TARGET = "tests.support.services.batched"
FLAG = "claims-v2"
SINGLE = 0.2


class Batched:
    """A running service, its candidate's calls and its pairs."""

    def __init__(self, serving: Serving, folder: Path, placement: str) -> None:
        self.serving, self.folder, self.placement = serving, folder, placement
        self.client = httpx.Client(base_url=serving.url, timeout=60)
        self._numbers = count()

    def ask(self, route: str, bodies: list[Any]) -> list[str]:
        """Send all requests at once; return their ids."""
        ids = [f"asked-{next(self._numbers)}" for _ in bodies]

        def one(request_id: str, body: Any) -> int:
            headers = {"X-Request-Id": request_id}
            return self.client.post(route, json=body, headers=headers).status_code

        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(one, ids, bodies)) == {200}
        return ids

    def called(self, method: str) -> list[list[float]]:
        """Return the amounts of each call of the candidate's method."""
        calls = map(json.loads, _lines(self.folder / "called.jsonl"))
        return [amounts for name, amounts in calls if name == method]

    def pairs(self, ids: list[str]) -> list[dict[str, Any]]:
        """Return the attributes of the pairs of these requests, once they are all there."""
        wanted = set(ids)
        assert eventually(lambda: wanted <= {each["migration.request.id"] for each in self._all()})
        return [each for each in self._all() if each["migration.request.id"] in wanted]

    def is_logged(self, words: str) -> bool:
        """Say whether the service has logged `words`."""
        return words in self.serving.log.read_text()

    def _all(self) -> list[dict[str, Any]]:
        return list(_spans(self.folder / "pairs"))


def _lines(file: Path) -> list[bytes]:
    """Return the complete lines."""
    content = file.read_bytes() if file.exists() else b""
    return content[: content.rfind(b"\n") + 1].splitlines()


def _spans(folder: Path) -> Iterator[dict[str, Any]]:
    for file in folder.glob("*.jsonl"):
        for line in _lines(file):
            [resource] = json.loads(line)["resourceSpans"]
            for span in resource["scopeSpans"][0]["spans"]:
                if span["name"] == "migration.pair":
                    yield {
                        each["key"]: next(iter(each["value"].values()))
                        for each in span["attributes"]
                    }


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        "isolated",
        pytest.param("runners", marks=pytest.mark.slow),
        pytest.param("remote", marks=pytest.mark.slow),
        pytest.param("own_environment", marks=pytest.mark.slow),
    ],
)
def batched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Batched]:
    folder = tmp_path_factory.mktemp(request.param)
    write_flags_file(folder / "flags.json", FLAG, 0)
    called = str(folder / "called.jsonl")
    with (
        candidate_for(
            request.param, "tests.support.services.batched_candidate:Many", folder, CALLED=called
        ) as leading,
        Serving(
            f"{TARGET}:Claims",
            environment=environment(
                folder / "home",
                PLACEMENT=request.param,
                FLAGS_FILE=str(folder / "flags.json"),
                PAIRS_DIR=str(folder / "pairs"),
                CALLED=called,
                SHADOW_SINGLE=str(SINGLE),
                # A machine with little time for this sheds nothing, and gives nothing up.
                SHADOW_CONCURRENCY="256",
                SHADOW_TIMEOUT="30",
                CANDIDATE_TIMEOUT="30",
                **leading,
            ),
            log=folder / "service.log",
            folder=ROOT,
        ) as serving,
    ):
        service = Batched(serving, folder, request.param)
        with service.client:
            yield service


def test_gathered_shadows_are_scored_in_calls_for_many(batched: Batched) -> None:
    amounts = [float(each) for each in range(1, 61)]

    pairs = batched.pairs(batched.ask("/judge", [{"amount": each} for each in amounts]))

    assert all(each["migration.candidate.status"] == "ok" for each in pairs)
    for each in pairs:  # each got its own row's answer
        scores = [float(each[f"migration.{side}.score.score"]) for side in ("primary", "candidate")]
        assert scores[1] == pytest.approx(2 * scores[0])
    assert not [each for each in pairs if "migration.shadow.batch_error" in each]
    many, one = batched.called("judge_many"), batched.called("judge")
    together = [amount for call in many for amount in call]
    assert len(together) == len(set(together)), "a shadow was in two calls"
    assert len(many) < len(together) / 2
    assert {amount for call in many + one for amount in call} >= set(amounts)


def test_only_a_drawn_share_has_durations_and_both_ways_agree(batched: Batched) -> None:
    pairs = batched.pairs(batched.ask("/judge", [{"amount": 20.0}] * 120))

    timed = [each for each in pairs if "migration.candidate.duration" in each]
    both = [each for each in pairs if "migration.shadow.batch_agrees" in each]
    assert 5 <= len(timed) <= 50  # of 120 a fifth, drawn by the request's id
    assert {each["migration.shadow.batch_agrees"] for each in both} == {True}
    assert len(timed) >= len(both) > 0
    assert all(int(each["migration.shadow.batch"]) >= 1 for each in pairs)


def test_a_batch_that_fails_is_scored_singly_and_the_one_at_fault_is_named(
    batched: Batched,
) -> None:
    ids = batched.ask("/judge", [{"amount": 10.0}] * 20 + [{"amount": -1.0}])

    pairs = batched.pairs(ids)

    failed = [each for each in pairs if each["migration.candidate.status"] == "error"]
    assert [each["migration.request.id"] for each in failed] == ids[-1:]
    [size] = [each["migration.shadow.batch"] for each in failed]
    assert size == "1" or batched.is_logged(f"request {ids[-1]} fails by itself too")


def test_parameters_make_a_row_without_the_context(batched: Batched) -> None:
    bodies = [{"amount": float(each), "country": "x" * (each % 3)} for each in range(40)]

    pairs = batched.pairs(batched.ask("/rate", bodies))

    for each in pairs:
        primary, candidate = (
            float(each[f"migration.{side}.score.rate"]) for side in ("primary", "candidate")
        )
        length = round(2 * primary - candidate)  # of a / 100 + n and a / 50 + n
        assert candidate - length == pytest.approx(2 * (primary - length))
    together = [amount for call in batched.called("rate_many") for amount in call]
    assert len(together) > len(batched.called("rate_many"))


def test_a_batchable_api_takes_its_inputs_joined(batched: Batched) -> None:
    bodies = [{"amounts": [float(each)] * (1 + each % 3)} for each in range(40)]

    pairs = batched.pairs(batched.ask("/halve", bodies))

    assert {each["migration.candidate.status"] for each in pairs} == {"ok"}
    for each in pairs:
        assert each["migration.primary.score.sum"] == each["migration.candidate.score.sum"]
    assert max(map(len, batched.called("halve"))) > 3
    assert max(int(each["migration.shadow.batch"]) for each in pairs) > 3
