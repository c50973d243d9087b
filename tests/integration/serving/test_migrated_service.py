"""A migrated service over HTTP, in every placement, as callers see it."""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from comparison.pairs.reader import load_pairs, read_pairs
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fraud_store import environment
from tests.support.paths import ROOT
from tests.support.remote_candidate import PLACEMENTS, candidate_for

FLAG = "claims-v2"


class Running:
    """A served service, its flag and its pairs."""

    def __init__(self, url: str, flags: Path, pairs: Path, log: Path, placement: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30)
        self.flags, self.pairs, self.log, self.placement = flags, pairs, log, placement
        self._numbers = iter(range(10**6))

    def answer_by(self, side: str) -> None:
        """Make `side` active and wait until the worker has seen it."""
        write_flags_file(self.flags, FLAG, 100 if side == "candidate" else 0)
        deadline = time.monotonic() + 60  # a candidate's process may have to come up again
        while self.post("/judge", {"amount": 1}).headers["X-Model-Side"] != side:
            assert time.monotonic() < deadline, f"the {side} does not answer"
            time.sleep(0.1)

    def post(self, route: str, body: Any, **headers: str) -> httpx.Response:
        """Post `body` as JSON under a request id of its own."""
        named = {"X-Request-Id": f"{route}-{next(self._numbers)}", **headers}
        return self.client.post(route, json=body, headers=named)

    def pair(self, response: httpx.Response) -> pd.Series:
        """Return the pair of a request, once it is on disk."""
        request_id = response.headers["X-Request-Id"]
        deadline = time.monotonic() + 60
        while True:
            frame = load_pairs(self.pairs) if any(self.pairs.glob("*.jsonl")) else pd.DataFrame()
            found = frame[frame["request_id"] == request_id] if len(frame) else frame
            if len(found):
                assert len(found) == 1
                return found.iloc[0]
            assert time.monotonic() < deadline, f"no pair of {request_id}"
            time.sleep(0.1)


@pytest.fixture(scope="module", params=PLACEMENTS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(request.param)
    flags, pairs, log = folder / "flags.json", folder / "pairs", folder / "service.log"
    write_flags_file(flags, FLAG, 0)
    settings = environment(
        folder / "bentoml",
        PLACEMENT=request.param,
        FLAGS_FILE=str(flags),
        PAIRS_DIR=str(pairs),
        CONTEXT_HEADERS=json.dumps({"X-Tenant": "tenantId"}),
    )
    target = "tests.support.services.varied"
    with (
        candidate_for(request.param, f"{target}:ClaimsV2", folder) as link,
        Serving(
            f"{target}:Claims", environment={**settings, **link}, log=log, folder=ROOT
        ) as serving,
    ):
        running = Running(serving.url, flags, pairs, log, request.param)
        with running.client:
            yield running


@pytest.fixture(params=["primary", "candidate"])
def side(request: pytest.FixtureRequest, running: Running) -> str:
    running.answer_by(request.param)
    return str(request.param)


def expected(side: str) -> tuple[str, float]:
    return ("v1", 1.0) if side == "primary" else ("v2", 2.0)


def test_a_model_in_and_out_reaches_the_active_side_and_both_see_the_same_input(
    running: Running, side: str
) -> None:
    name, factor = expected(side)
    response = running.post("/judge", {"amount": 10, "tags": ["a"]})
    assert response.status_code == 200
    assert response.json() == {"score": factor / 10, "by": f"a,{name}"}
    assert response.headers["X-Model-Side"] == side
    pair = running.pair(response)
    assert (pair["active"], pair["served"], pair["fallback"]) == (side, side, False)
    assert (pair["primary_score"], pair["candidate_score"]) == (0.1, 0.2)
    assert pair["segment.size"] == "small"


def test_several_arguments_and_a_route_of_its_own(running: Running, side: str) -> None:
    name, factor = expected(side)
    response = running.post("/judge/slowly", {"claim": {"amount": 10}, "weight": 3})
    assert response.json() == {"score": pytest.approx(3 * factor / 10), "by": name}
    assert running.pair(response)["api"] == "judge_slowly"


def test_numpy_in_and_out(running: Running, side: str) -> None:
    _, factor = expected(side)
    response = running.post("/scale", {"vector": [1.0, 2.0, 3.0]})
    assert response.json() == [2 * factor, 4 * factor, 6 * factor]
    pair = running.pair(response)
    assert (pair["primary_score"], pair["candidate_score"]) == (2.0, 4.0)


def test_pandas_in_and_out(running: Running, side: str) -> None:
    name, _ = expected(side)
    response = running.post("/annotate", {"claims": [{"amount": 1}, {"amount": 2}]})
    assert response.json() == [{"amount": 1, "by": name}, {"amount": 2, "by": name}]
    assert running.pair(response)["candidate_status"] == "ok"


def test_the_context_carries_headers_and_status_of_the_served_side_alone(
    running: Running, side: str
) -> None:
    name, factor = expected(side)
    response = running.post("/greet", {"name": "Ada"}, **{"X-Tenant": "acme"})
    assert response.text == f"{name} greets Ada of acme"
    assert response.headers["X-Greeted-By"] == name
    assert response.status_code == (201 if factor == 1 else 202)


@pytest.mark.parametrize(("amount", "status"), [(13, 400), (14, 500)])
def test_the_error_of_an_active_primary_reaches_the_caller(
    running: Running, amount: int, status: int
) -> None:
    running.answer_by("primary")
    response = running.post("/judge", {"amount": amount})
    assert response.status_code == status
    assert "secret" not in response.text
    if status == 400:
        assert response.json() == [{"error": "13 is refused"}]
    pair = running.pair(response)
    assert pair["primary_status"] == "error"
    assert pair["candidate_status"] == "ok"
    assert pd.isna(pair["served"])


@pytest.mark.parametrize(
    ("amount", "status", "error"),
    [
        (667, "error", None),
        (668, "error", "NonFiniteScoreError"),
        (669, "error", None),
    ],
)
def test_a_failing_candidate_never_costs_an_answer(
    running: Running, amount: int, status: str, error: str | None
) -> None:
    running.answer_by("candidate")
    response = running.post("/judge", {"amount": amount})
    assert response.status_code == 200
    assert response.json() == {"score": amount / 100, "by": "v1"}
    assert response.headers["X-Model-Side"] == "primary"
    pair = running.pair(response)
    assert (pair["served"], pair["fallback"]) == ("primary", True)
    assert pair["candidate_status"] == status
    if error and running.placement != "remote":  # BentoML writes NaN as null, in JSON
        assert pair["candidate_error"] == error


def test_a_dead_candidate_process_leaves_the_primary_answering_and_ready(running: Running) -> None:
    if running.placement == "embedded":
        pytest.skip("an embedded candidate that ends the process takes its worker with it")
    running.answer_by("candidate")
    response = running.post("/judge", {"amount": 670})
    assert response.json() == {"score": 6.7, "by": "v1"}
    assert running.client.get("/readyz").status_code == 200
    assert running.post("/judge", {"amount": 1}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"amount": ', 400, "Invalid JSON"),
        (b"{}", 400, "Field required"),
        (b'{"amount": "much"}', 400, "valid number"),
        (b'{"amount": NaN}', 400, "finite number"),
        (b'{"amount": Infinity}', 400, "finite number"),
        (b"[]", 400, "object"),
        (b'{"amount": 1, "tags": ["' + b"x" * 10_000_000 + b'"]}', 413, "100000 bytes"),
    ],
)
def test_bad_input_is_refused_in_words_and_leaves_no_pair(
    running: Running, body: bytes, status: int, words: str
) -> None:
    request_id = f"bad-{time.monotonic_ns()}"
    headers = {"X-Request-Id": request_id, "Content-Type": "application/json"}
    response = running.client.post("/judge", content=body, headers=headers)
    assert response.status_code == status
    assert words in response.text
    assert response.headers["X-Request-Id"] == request_id
    good = running.post("/judge", {"amount": 1})
    assert good.status_code == 200
    running.pair(good)  # by now the pair of the refused request would be there
    assert request_id not in set(load_pairs(running.pairs)["request_id"])


def test_a_chunked_body_is_bounded_too(running: Running) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"amount": 1, "tags": ["'
        for _ in range(200):
            yield b"x" * 1_000

    headers = {"Content-Type": "application/json"}
    response = running.client.post("/judge", content=chunks(), headers=headers)
    assert response.status_code == 413
    assert "100000 bytes" in response.text


@pytest.mark.parametrize("request_id", ["", "x" * 129, "tab\tinside"])
def test_a_malformed_request_id_is_replaced(running: Running, request_id: str) -> None:
    response = running.client.post(
        "/judge", json={"amount": 1}, headers={"X-Request-Id": request_id}
    )
    assert response.status_code == 200
    assert uuid.UUID(response.headers["X-Request-Id"])


def test_without_a_request_id_the_trace_id_identifies_the_request(running: Running) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = httpx.post(  # on a connection of its own
        running.client.base_url.join("/judge"),
        json={"amount": 1},
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    assert response.headers["X-Request-Id"] == trace
    assert running.pair(response)["trace_id"] == trace
    assert len(running.client.post("/judge", json={"amount": 1}).headers["X-Request-Id"]) == 36


def test_routes_schemas_and_docs_are_the_primarys(running: Running) -> None:
    from tests.support.services.varied import ClaimsV1

    served = running.client.get("/schema.json").json()
    assert served["routes"] == json.loads(json.dumps(ClaimsV1.schema()["routes"]))
    assert served["description"] == "Judge claims."
    docs = running.client.get("/docs.json").json()
    assert docs["paths"]["/judge"]["post"]["description"] == "Judge one claim."


def test_shadows_that_wait_in_line_for_their_whole_limit_are_not_failures(
    running: Running,
) -> None:
    if running.placement in ("runners", "remote"):
        pytest.skip("a model that is reached over HTTP does not say whether it has begun")
    running.answer_by("candidate")  # its process may have to come up again
    running.answer_by("primary")
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: running.post("/judge", {"amount": 6}), range(8)))
    assert {response.json()["by"] for response in responses} == {"v1"}
    pairs = pd.DataFrame([running.pair(response) for response in responses])
    shed = pairs[pairs["candidate_status"] == "shed"]
    assert set(pairs["candidate_status"]) <= {"ok", "timeout", "shed"}
    assert "SideBusyError" in set(shed["candidate_error"])
    assert shed["candidate_duration"].isna().all()


def test_a_hanging_candidate_costs_its_time_limit_and_no_answer(running: Running) -> None:
    running.answer_by("candidate")
    response = running.post("/judge", {"amount": 666})
    assert response.json() == {"score": 6.66, "by": "v1"}
    assert running.pair(response)["candidate_status"] == "timeout"
    if running.placement == "embedded":
        # Its only thread hangs: the next request does not wait for it in vain.
        after = running.post("/judge", {"amount": 1})
        assert after.json()["by"] == "v1"
        assert running.pair(after)["candidate_status"] == "shed"


def test_no_pair_was_lost(running: Running) -> None:
    """Sequence numbers without a gap, though candidates raised, hung and died."""
    assert read_pairs(running.pairs).accounting.completeness == 1
