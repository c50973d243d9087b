"""The migrated service answers like the primary's service alone, in every placement."""

import asyncio
import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
from PIL import Image

from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

FLAG = "same"
MODULE = "tests.support.services.same"
ADDED = {"x-request-id", "x-model-side", "x-model-tag"}
LEFT_OUT = {"date", "x-bentoml-request-id", "x-bentoml-trace-id"}

KINDS = (
    "json",
    "error",
    "redirect",
    "empty",
    "cookies",
    "stream",
    "file",
    "bytes",
    "task",
    "value",
)

AMOUNT = {"Cents": 250, "hidden": 1}

CALLS: list[tuple[str, str, Any]] = [
    *(("POST", "/returned", {"kind": kind}) for kind in KINDS),
    ("POST", "/returned_later", {"status": 404}),
    ("POST", "/text", {"name": "Ada"}),
    ("POST", "/raw", {"name": "Ada"}),
    ("POST", "/from_thread", {"name": "Ada"}),
    *(("POST", "/by_context", {"status": status}) for status in (200, 201, 404, 503)),
    ("POST", "/typed", {}),
    ("POST", "/both", {}),
    ("POST", "/request?a=1&b=%20x", {}),
    ("POST", "/%72equest", {}),
    ("POST", "/long_headers", {"size": 60_000}),
    ("POST", "/refuses", {"kind": "value"}),
    ("POST", "/named/route", {"items": [{"id": 1, "name": "a"}]}),
    ("POST", "/named/route", {"items": [{"id": "x"}]}),
    ("POST", "/text", {}),
    ("GET", "/text", None),
    ("GET", "/nowhere", None),
    ("POST", "/words", {"n": 3}),
    ("POST", "/words", {"n": 0}),
    ("POST", "/rows", {"n": 2}),
    ("POST", "/anything", {"n": 2}),
    ("POST", "/events", {"n": 2}),
    ("POST", "/amounts", {"first": AMOUNT, "text": "at", "page": {"items": [AMOUNT]}, "Times": 1}),
    ("POST", "/amounts", {"first": AMOUNT, "text": "at", "page": {"items": []}}),
    ("POST", "/amount", AMOUNT),
    ("POST", "/page", {"items": [AMOUNT]}),
    ("POST", "/amounts_in_turn", {"page": {"items": [AMOUNT, AMOUNT]}}),
    *(("POST", "/tags", tags) for tags in ({"a": 1}, {"root": 1}, {})),
    ("GET", "/livez", None),
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/slow/status", None),
    ("GET", "/slow/get?task_id=none", None),
]
OF_THE_PRIMARY: list[tuple[str, str, Any]] = [
    *(
        ("POST", "/fails", {"kind": kind})
        for kind in ("invalid", "unavailable", "forbidden", "own", "validation", "other")
    ),
    ("POST", "/refuses", {"kind": "invalid"}),
    ("POST", "/amount", {"Cents": "x"}),
    ("POST", "/refuses", {"kind": "validation"}),
    ("POST", "/rows", {"n": 0}),
    ("GET", "/more/hello?name=Ada", None),
    ("POST", "/more/echo", {"id": 1, "name": "a"}),
    ("POST", "/more/echo", {"id": "x"}),
    ("GET", "/more/depends", None),
    ("GET", "/more/routed", None),
    ("GET", "/more/missing", None),
    ("GET", "/docs.json", None),
    ("GET", "/schema.json", None),
]


class Running:
    """A served service."""

    def __init__(self, target: str, folder: Path, rollout: int, placement: str = "") -> None:
        self.notes, self.flags, self.placement = folder / "notes", folder / "flags.json", placement
        write_flags_file(self.flags, FLAG, rollout)
        same = {"SECOND_SETTING": "one"} if placement == "embedded" else {}
        self.serving = Serving(
            f"{MODULE}:{target}",
            environment=environment(
                folder / "bentoml",
                FLAGS_FILE=str(self.flags),
                PAIRS_DIR=str(folder / "pairs"),
                NOTES_DIR=str(self.notes),
                **({"PLACEMENT": placement} if placement else {"PLACEMENT": "isolated"}),
                **same,
            ),
            log=folder / "log",
            folder=ROOT,
            ready="/v1/readyz" if target.startswith("P") else "/readyz",
        )
        self.client = httpx.Client(base_url=self.serving.url, timeout=30, cookies={"c": "1"})

    def lines(self, name: str) -> list[str]:
        place = self.notes / name
        return place.read_text().splitlines() if place.exists() else []

    def until(self, name: str, line: str) -> None:
        assert eventually(lambda: line in self.lines(name)), f"no {line!r} in {self.lines(name)}"

    def answer(
        self, method: str, path: str, body: Any = None, **given: Any
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        got = self.client.request(method, path, **(given or {"json": body}))
        left_out = ADDED | LEFT_OUT
        headers = sorted(
            (name, value.replace(str(self.notes), "").replace(str(self.serving.port), "PORT"))
            for name, value in got.headers.multi_items()
            if name not in left_out and name not in ("last-modified", "etag")
        )
        port = str(self.serving.port).encode()
        return got.status_code, headers, got.content.replace(port, b"PORT")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Running]]:
    made = {
        0: Running("SameV1", tmp_path_factory.mktemp("bare-1"), 0),
        100: Running("SameV2", tmp_path_factory.mktemp("bare-2"), 0),
    }
    with made[0].serving, made[100].serving, made[0].client, made[100].client:
        yield made


@pytest.fixture(scope="module", params=["isolated", "embedded", "runners"])
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    running = Running("M", tmp_path_factory.mktemp(request.param), 0, request.param)
    with running.serving, running.client:
        yield running
    with contextlib.suppress(AssertionError):
        running.until("shutdown_async", "candidate")
    for hook in ("shutdown", "shutdown_async"):
        assert sorted(running.lines(hook)) == ["candidate", "primary"]


def turn(running: Running, rollout: int, route: str = "/text", body: Any = None) -> None:
    write_flags_file(running.flags, FLAG, rollout)
    side = "candidate" if rollout else "primary"
    deadline = time.monotonic() + 20
    while running.client.post(route, json=body or {"name": ""}).headers["X-Model-Side"] != side:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("rollout", [0, 100])
def test_every_call_is_answered_as_by_the_bare_service(
    bare: dict[int, Running], migrated: Running, rollout: int
) -> None:
    turn(migrated, rollout)
    calls = CALLS + (OF_THE_PRIMARY if rollout == 0 else [])
    different = []
    for call in calls:
        expected, got = bare[rollout].answer(*call), migrated.answer(*call)
        if rollout:  # the header `server` names the primary
            expected, got = (
                (status, [each for each in headers if each[0] != "server"], body)
                for status, headers, body in (expected, got)
            )
        if expected != got:
            different.append(f"{call}: {expected} / {got}")
    assert not different, "\n".join(different)


def test_hooks_of_both_services_run_once_and_those_of_the_deployment_first(
    migrated: Running,
) -> None:
    prepared = migrated.lines("deployment")
    if migrated.placement == "runners":  # in BentoML's own order
        prepared = sorted(prepared, reverse=True)
    assert prepared == ["primary", "candidate"]
    migrated.until("startup_async", "candidate")
    for hook in ("startup", "startup_async"):
        assert sorted(migrated.lines(hook)) == ["candidate", "primary"]


@pytest.mark.parametrize(("mark", "path"), [("dead", "/livez"), ("unready", "/readyz")])
def test_what_the_primary_says_of_its_health_is_what_probes_get(
    bare: dict[int, Running], migrated: Running, mark: str, path: str
) -> None:
    for running in (bare[0], migrated):
        running.notes.mkdir(exist_ok=True)
        (running.notes / mark).touch()
    try:
        expected, got = bare[0].client.get(path), migrated.client.get(path)
        assert (got.status_code, got.text) == (503, expected.text)
        if mark == "dead":
            assert migrated.client.get("/healthz").status_code == 503
    finally:
        for running in (bare[0], migrated):
            (running.notes / mark).unlink()
    assert migrated.client.get(path).status_code == 200


def test_metrics_are_as_the_primary_writes_them(migrated: Running) -> None:
    text = migrated.client.get("/metrics").text
    assert text.endswith("# of the primary\n")
    assert text.count("# of the primary") == 1


def test_background_tasks_of_the_served_side_run_and_those_of_a_shadow_do_not(
    migrated: Running,
) -> None:
    turn(migrated, 0)
    migrated.client.post("/leaves", json={"x": 1})
    migrated.client.post("/returned", json={"kind": "task"})
    migrated.client.post("/events", json={"n": 2})
    migrated.client.post("/fails", json={"kind": "other"})
    migrated.until("left", "1 primary")
    migrated.until("failed", "other primary")
    migrated.until("shadow", "candidate true")
    turn(migrated, 100)
    streamed = len(migrated.lines("streamed"))
    migrated.client.post("/leaves", json={"x": 2})
    migrated.client.post("/returned", json={"kind": "task"})
    migrated.client.post("/events", json={"n": 2})
    migrated.until("left", "2 candidate")
    migrated.until("returned", "candidate")
    assert eventually(lambda: "candidate" in migrated.lines("streamed")[streamed:])
    assert migrated.lines("left") == ["1 primary", "2 candidate"]
    kinds = ("invalid", "unavailable", "forbidden", "own", "validation", "other")
    assert set(migrated.lines("failed")) <= {f"{kind} primary" for kind in kinds}


def test_a_shadow_call_says_so_to_a_candidate_that_nobody_waits_for(migrated: Running) -> None:
    for rollout, said in ((0, "candidate true"), (100, "candidate None")):
        turn(migrated, rollout)
        before = len(migrated.lines("shadow"))
        migrated.client.post("/leaves", json={"x": 3})
        assert eventually(lambda n=before: len(migrated.lines("shadow")) >= n + 2)
        assert sorted(migrated.lines("shadow")[before:]) == [said, "primary None"]


def test_each_side_has_the_environment_of_its_own_service(migrated: Running) -> None:
    for rollout, setting in ((0, "one"), (100, "two")):
        turn(migrated, rollout)
        answer = migrated.client.post("/side", json={"x": 1}).json()
        expected = "one" if migrated.placement == "embedded" else setting
        assert answer == {"x": 1 if rollout == 0 else 2, "setting": expected}


async def talk(running: Running, name: str) -> list[Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{running.serving.url}/more/talk", max_msg_size=0) as socket,
    ):
        await socket.send_str(name)
        said = [await socket.receive()]
        while said[-1].data is not None and said[-1].type is not aiohttp.WSMsgType.CLOSE:
            said.append(await socket.receive())
        return [*said, socket.close_code]


@pytest.mark.parametrize("name", ["Ada", "nobody", "5000000"])
def test_a_websocket_of_a_mounted_application_says_and_ends_as_the_primarys(
    bare: dict[int, Running], migrated: Running, name: str
) -> None:
    assert asyncio.run(talk(migrated, name)) == asyncio.run(talk(bare[0], name))


def test_a_task_keeps_its_request_id_from_submission_to_retry(migrated: Running) -> None:
    turn(migrated, 0)
    client, own = migrated.client, {"X-Request-Id": "task-1"}
    submitted = client.post("/slow/submit", json={"x": 3}, headers=own)
    assert submitted.headers["X-Request-Id"] == "task-1"
    task = {"task_id": submitted.json()["task_id"]}
    deadline = time.monotonic() + 10
    while (got := client.get("/slow/get", params=task)).status_code != 200:
        assert time.monotonic() < deadline, got.text
        time.sleep(0.05)
    assert got.json() == 3
    answers = [
        got,
        client.get("/slow/status", params=task),
        client.post("/slow/retry", params=task),
        client.put("/slow/cancel", params=task),
    ]
    assert [each.headers["X-Request-Id"] for each in answers] == ["task-1"] * 4
    other = client.get("/slow/status", params=task, headers={"X-Request-Id": "mine"})
    assert other.headers["X-Request-Id"] == "mine"
    made = client.post("/slow/submit", json={"x": 4})
    task = {"task_id": made.json()["task_id"]}
    assert (
        client.get("/slow/status", params=task).headers["X-Request-Id"]
        == (made.headers["X-Request-Id"])
    )
    pairs = migrated.flags.parent / "pairs"
    deadline = time.monotonic() + 10
    while sum(f.read_text().count('"task-1"') for f in pairs.glob("*.jsonl")) < 2:
        assert time.monotonic() < deadline, "submission and retry are a pair each"
        time.sleep(0.1)


@pytest.mark.parametrize("placement", ["isolated", "runners"])
def test_a_service_that_depends_on_the_migrated_one_calls_it_as_the_primary(
    tmp_path: Path, placement: str
) -> None:
    running = Running("FrontOfM", tmp_path, 0, placement)
    with running.serving, running.client as client:
        assert client.post("/plus_one", json={"x": 1}).json() == 2
        assert client.post("/plus_one_async", json={"x": 1}).json() == 2
        assert client.post("/joined", json={"n": 3}).text == "0,1,2,"
        assert client.post("/joined_async", json={"n": 3}).text == "0,1,2,"
        assert client.post("/counted", json={"n": 1}).json() == [0]


@pytest.mark.parametrize("placement", ["isolated", "runners"])
def test_the_id_of_a_gateways_caller_is_that_of_both_migrations_behind_it(
    tmp_path: Path, placement: str
) -> None:
    running = Running("Gateway", tmp_path, 50, placement)
    with running.serving, running.client as client:
        seen = set()
        for number in range(12):
            own = {"X-Request-Id": f"id-{number}"}
            answers = {
                tuple(client.post(route, json={"x": 1}, headers=own).json())
                for route in ("/ask", "/ask_async", "/ask", "/ask_async")
            }
            assert len(answers) == 1
            (answer,) = answers
            assert answer[0] == answer[1]
            seen.add(answer)
    assert len(seen) == 2


def noise(kind: str) -> bytes:
    """Return an image that another encoding of the same kind changes, if the kind loses any."""
    written = io.BytesIO()
    pixels = np.random.default_rng(5).integers(0, 255, (9, 7, 3), np.uint8)
    Image.fromarray(pixels).save(written, kind)
    return written.getvalue()


def animation(kind: str) -> bytes:
    written = io.BytesIO()
    first, second = (Image.new("RGB", (4, 4), each) for each in ("red", "blue"))
    first.save(written, kind, save_all=True, append_images=[second])
    return written.getvalue()


JPEG, PNG, GIF, WEBP = noise("JPEG"), noise("PNG"), animation("GIF"), animation("WEBP")

PREFIXED: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/wait", {"json": {"seconds": 0}}),
    ("POST", "/v1/wait", {"json": {"seconds": 3}}),
    ("POST", "/wait", {"json": {"seconds": 0}}),
    ("POST", "/v1/echoed", {"files": {"file": ("a.bin", b"abc", "application/octet-stream")}}),
    ("POST", "/v1/picture", {"json": {"size": 2}}),
    ("POST", "/v1/sound", {"json": {"size": 2}}),
    ("POST", "/v1/parts", {"json": {"size": 3}}),
    ("POST", "/v1/any", {"json": {"args": [1, 2]}}),
    ("POST", "/v1/defaulted", {"json": {}}),
    ("POST", "/v1/defaulted", {"json": {"item": {"id": 4, "name": "x"}, "times": 3}}),
    ("POST", "/v1/array", {"json": {"rows": [[1.5, 2.5]]}}),
    ("POST", "/v1/array", {"json": {"rows": "no"}}),
    ("POST", "/v1/in_place", {"json": {"rows": [[1.5, 2.5]], "more": [2.0, 1.0]}}),
    (
        "POST",
        "/v1/ending",
        {
            "files": [
                ("file", ("ä b.xlsx", b"1")),
                ("files", ("c.csv", b"2")),
                ("files", ("d", b"")),
            ]
        },
    ),
    ("POST", "/v1/only_ending", {"files": {"file": ("a.csv", b"1", "text/csv")}}),
    ("POST", "/v1/only_ending", {"content": b"1", "headers": {"Content-Type": "text/csv"}}),
    (
        "POST",
        "/v1/pixels",
        {
            "files": [
                ("image", ("a.jpg", JPEG, "image/jpeg")),
                ("images", ("b.png", PNG, "image/png")),
                ("images", ("c.jpg", JPEG, "image/jpeg")),
                ("images", ("d.gif", GIF, "image/gif")),
                ("images", ("e.webp", WEBP, "image/webp")),
            ]
        },
    ),
    ("POST", "/v1/only_pixels", {"content": JPEG, "headers": {"Content-Type": "image/jpeg"}}),
    ("POST", "/v1/only_pixels", {"content": GIF, "headers": {"Content-Type": "image/gif"}}),
    ("POST", "/v1/defaulted", {"json": {}, "headers": {"Origin": "http://a.example"}}),
    (
        "OPTIONS",
        "/v1/defaulted",
        {"headers": {"Origin": "http://a.example", "Access-Control-Request-Method": "POST"}},
    ),
    ("PATCH", "/v1/raw-app/deep/er?a=b%20c", {}),
    ("POST", "/v1/more/whole?x=1", {"content": b"x" * 100_000}),
    ("GET", "/v1/more/whole", {}),
    ("GET", "/wsgi", {}),
    ("GET", "/wsgi/", {}),
    ("GET", "/v1/livez", {}),
    ("GET", "/v1/readyz", {}),
    ("GET", "/livez", {}),
    ("GET", "/v1/docs.json", {}),
    ("GET", "/schema.json", {}),
]


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Return the bare service, and the migrated one in every placement."""
    placements = ("isolated", "embedded", "runners")
    made = [
        Running("PrefixedV1", tmp_path_factory.mktemp("bare"), 0),
        *(Running("P", tmp_path_factory.mktemp(each), 0, each) for each in placements),
    ]
    with contextlib.ExitStack() as stack:
        for each in made:
            stack.enter_context(each.serving)
            stack.enter_context(each.client)
        yield made


@pytest.mark.parametrize("call", PREFIXED, ids=lambda call: f"{call[0]}-{call[1]}")
def test_prefix_limits_cors_files_and_mounted_applications_are_the_primarys(
    prefixed: list[Running], call: tuple[str, str, dict[str, Any]]
) -> None:
    bare, *migrated = prefixed
    method, path, given = call
    expected = bare.answer(method, path, **given)
    for each in migrated:
        assert each.answer(method, path, **given) == expected, each.placement


def test_a_mounted_application_starts_once(prefixed: list[Running]) -> None:
    assert [each.lines("lifespan") for each in prefixed[:3]] == [["PrefixedV1"]] * 3
    assert sorted(prefixed[3].lines("lifespan")) == ["PrefixedV1", "PrefixedV2"]
