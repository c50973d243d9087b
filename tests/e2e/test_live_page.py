"""The live page in a browser, beside a real Unleash and a service with two workers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

from flags.monitoring.recent_counts import AlarmCounts, Recent, Slot, recent_path
from flags.monitoring.verdict_place import verdict_path
from flags.monitoring.worker_state import FOLDER
from flags.operate.watch import running_workers
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.following import following
from tests.support.screenshots import picture
from tests.support.worker_states import worker_flag, worker_state

pytest_plugins = ("tests.support.unleash.server",)

FLAG = "live-page-v2"
MAX_WAIT = 30_000
"""Milliseconds in which the page has to show what has happened: it asks every two seconds."""

STEPS = [
    {"stage": stage, "rollout": rollout}
    for stage, rollout in (("shadow", 0), ("ramp", 50), ("ramp", 100), ("deprecation", 100))
]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


class Served:
    """A running service, and the folder of its pairs."""

    def __init__(self, serving: Serving, pairs: Path) -> None:
        self.serving = serving
        self.url = serving.url
        self.pairs = pairs

    def ask(self, *amounts: float) -> None:
        """Ask once for each; the candidate fails beyond 1,000, and alarms twice as early."""
        for amount in amounts:
            httpx.post(f"{self.url}/judge", json={"amount": amount}, timeout=30).raise_for_status()


@pytest.fixture(scope="module")
def served(unleash: LocalUnleash, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("live-page")
    seed(unleash.admin, FLAG)
    with following(unleash, FLAG, folder) as serving:
        yield Served(serving, folder / "pairs")


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """Open the live page; whatever the browser complains of fails the test."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(MAX_WAIT)
    complaints: list[str] = []
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{served.url}/migration")
    expect(page.locator("main")).to_have_attribute("aria-busy", "false", timeout=MAX_WAIT)
    yield page
    page.close()
    assert complaints == []


def shows(page: Page, selector: str, text: str) -> None:
    expect(page.locator(selector)).to_contain_text(text, timeout=MAX_WAIT)


def fits(page: Page) -> bool:
    """Say whether nothing has to be scrolled sideways."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return wide <= 0


@pytest.mark.slow
def test_the_page_follows_the_flag_and_the_traffic_by_itself(
    unleash: LocalUnleash, served: Served, page: Page
) -> None:
    shows(page, "#share", "0 %")
    shows(page, "#stage", "shadow")
    shows(page, "#decision", "no verdict yet")
    expect(page.locator("#link")).to_have_attribute("href", unleash.admin.flag_url(FLAG))
    unleash.admin.set_rollout(FLAG, 100, expected=0)
    shows(page, "#share", "100 %")
    shows(page, "#stage", "ramp")
    shows(page, ".track .here", "100 %")
    assert eventually(
        lambda: {w.flag.rollout for w in running_workers(served.url).workers} == {100.0}, 30
    )
    served.ask(*[30] * 12, *[60] * 4, 5_000, 5_000)
    shows(page, "#answers-candidate", "16")
    shows(page, "#answers-primary", "2")
    shows(page, "#fallbacks", "2")
    shows(page, "#failed-candidate", "2")
    shows(page, "#failed-primary", "0")
    shows(page, "#alarms", "4.00x the primary's, n = 16")
    shows(page, "#alarms", "25.0 %")
    shows(page, "#alarms", "100.0 %")
    for cell in ("p50-primary", "p95-primary", "p50-candidate", "p95-candidate"):
        expect(page.locator(f"#{cell}")).to_have_text(re.compile(r"^\d+(\.\d+)? (µs|ms)$"))
    shows(page, "#alarms-since", "since the flag changed ")
    expect(page.locator("#workers .pill.pass")).to_have_count(2)
    expect(page.locator("#workers .soft")).to_have_text(" this one")
    assert "live-page-v2" in page.title()
    verdict = {"flag": FLAG, "step": "ramp, 50 %", "decision": "HOLD", "reasons": ["too few"]}
    fires = {"name": "operational_alarm", "outcome": "fail", "reason": "the queue is full"}
    verdict |= {"stage": "deprecation", "rollout": 100, "steps": STEPS}
    coming = {"name": "ramp, 100 %", "not_before": datetime.now(UTC), "needs_approval": True}
    verdict_path(served.pairs, FLAG).parent.mkdir(exist_ok=True)
    verdict_path(served.pairs, FLAG).write_bytes(
        orjson.dumps({**verdict, "checks": [fires], "next_step": coming})
    )
    shows(page, "#firing .fires", "Firing: the queue is full")
    shows(page, "#stage", "deprecation")
    expect(page.locator("#track li")).to_have_text(
        ["0 %shadow, taken", "50 %ramp, not taken", "100 %ramp, taken", "100 %deprecation, now"]
    )
    shows(page, "#next", "Next: ramp, 100 %, with approval, not before ")
    verdict = {"flag": FLAG, "step": "ramp, 100 %", "decision": "ROLLBACK", "reasons": ["4.00x"]}
    verdict_path(served.pairs, FLAG).write_bytes(orjson.dumps(verdict))
    expect(page.locator("#firing")).to_be_hidden(timeout=MAX_WAIT)
    shows(page, "#decision", "ROLLBACK")
    shows(page, "#reasons", "4.00x")
    expect(page.locator("#track li")).to_have_text(["0 %, taken", "100 %ramp, now"])
    picture(page, "live-desktop")
    unleash.admin.turn_off(FLAG)
    shows(page, "#share", "off")
    shows(page, "#stage", "the primary answers everything")
    verdict_path(served.pairs, FLAG).write_bytes(
        orjson.dumps({**verdict, "rollout": 100, "decision": "HOLD", "next_step": coming})
    )
    shows(page, "#judged", "before the flag was changed")
    shows(page, "#decision", "HOLD")
    expect(page.locator("#next")).to_have_text("")
    expect(page.locator(".track .here")).to_have_count(0)
    picture(page, "live-off")
    verdict_path(served.pairs, FLAG).write_bytes(
        orjson.dumps({**verdict, "step": "shadow, 0 %", "rollout": 0, "decision": "HOLD"})
    )
    shows(page, "#step", "shadow, 0 %")
    expect(page.locator("#judged")).not_to_contain_text("before the flag was changed")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_its_colours(
    browser: Browser, served: Served, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 740}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{served.url}/migration")
    expect(page.locator("main")).to_have_attribute("aria-busy", "false", timeout=MAX_WAIT)
    assert fits(page)
    assert page.locator(".scroll").evaluate("node => node.scrollWidth <= node.clientWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(244, 245, 247)", "dark": "rgb(14, 18, 24)"}[scheme]
    picture(page, f"live-phone-{scheme}")
    page.close()


def test_what_comes_from_elsewhere_is_text_and_never_markup(served: Served, page: Page) -> None:
    now = datetime.now(UTC)
    worker, folder = "7" * 8 + HOSTILE.replace("/", ""), served.pairs
    state = worker_state(
        worker,
        service="Things",
        host=HOSTILE,
        started=now,
        heartbeat=now,
        flag=worker_flag(key=FLAG, stickiness=HOSTILE, error=HOSTILE, warnings=(HOSTILE,)),
    )
    slot = Slot(int(now.timestamp()) // 10 * 10, alarms={HOSTILE: AlarmCounts(4, 1, 2)})
    counted = Recent([slot], {"primary": HOSTILE, "candidate": HOSTILE})
    check = {"name": "operational_alarm", "outcome": "fail", "reason": HOSTILE, "subject": HOSTILE}
    coming = {"name": HOSTILE, "not_before": datetime.now(UTC)}
    verdict = {"flag": FLAG, "step": HOSTILE, "decision": HOSTILE, "reasons": [HOSTILE]}
    verdict |= {"checks": [check], "next_step": coming}
    planted = [
        folder / FOLDER / f"{worker}.json",
        recent_path(folder, worker),
        verdict_path(folder, FLAG),
    ]
    for path, content in zip(planted, (state, counted, verdict), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(orjson.dumps(content))
    try:
        shows(page, "#workers", HOSTILE)
        shows(page, "#alarms", HOSTILE)
        shows(page, "#models", HOSTILE)
        shows(page, "#step", HOSTILE)
        shows(page, "#decision", HOSTILE)
        shows(page, "#reasons", HOSTILE)
        expect(page.locator("#differ")).to_be_visible()
        assert page.locator("main img, main script").count() == 0
        assert "owned" not in page.title()
        page.set_viewport_size({"width": 320, "height": 740})
        assert fits(page)
        picture(page, "live-hostile")
    finally:
        for path in planted:
            path.unlink()


def test_a_service_that_stops_answering_is_said_and_forgiven(
    browser: Browser, served: Served
) -> None:
    page = browser.new_page()
    page.goto(f"{served.url}/migration")
    expect(page.locator("main")).to_have_attribute("aria-busy", "false", timeout=MAX_WAIT)
    page.route("**/migration/live", lambda route: route.abort())
    shows(page, "#silence", "The service does not answer")
    shows(page, "#silence", "Last seen")
    expect(page.locator("main")).to_have_class("stale")
    page.unroute("**/migration/live")
    expect(page.locator("#silence")).to_be_hidden(timeout=MAX_WAIT)
    page.close()


def test_neither_token_is_in_what_the_browser_gets(
    unleash: LocalUnleash, browser: Browser, served: Served
) -> None:
    page = browser.new_page()
    with page.expect_response("**/migration/live", timeout=MAX_WAIT) as told:
        page.goto(f"{served.url}/migration")
    everything = page.content() + told.value.text()
    assert FLAG in everything
    for token in (unleash.admin_token, unleash.client_token):
        assert token not in everything
    page.close()


def test_it_can_be_used_by_keyboard_alone(served: Served, page: Page) -> None:
    """What can be followed or scrolled is reached by Tab, and shown to be reached."""
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.role"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    assert reached == ["link", "region"]
