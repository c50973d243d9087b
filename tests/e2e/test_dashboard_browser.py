"""The on-call engineer's way: log in to Unleash, move the slider, flip the switch."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from flags.admin import seed
from flags.local import LocalUnleash
from service.serving import Serving
from tests.integration.fraud_store import ROOT, environment

FLAG = "claims-v2"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for pictures of what the test saw; none are taken without it."""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: install Debian's package chromium (make tools)"
)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def service(unleash: LocalUnleash, tmp_path: Path) -> Iterator[Serving]:
    seed(unleash.admin, FLAG)
    unleash.admin.set_rollout(FLAG, 0)
    unleash.admin.turn_on(FLAG)
    settings = environment(
        tmp_path / "bentoml",
        PLACEMENT="embedded",
        PAIRS_DIR=str(tmp_path / "pairs"),
        UNLEASH_URL=unleash.sdk_url,
        UNLEASH_API_TOKEN=unleash.client_token,
        FLAGS_REFRESH_INTERVAL="1",
    )
    with Serving(
        "tests.integration.services.varied:Claims",
        environment=settings,
        log=tmp_path / "service.log",
        folder=ROOT,
    ) as serving:
        yield serving


def candidate_answers(service: Serving, requests: int = 200) -> int:
    """Return how many of the same `requests` ids the candidate answers now."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        sides = [
            client.post("/judge", json={"amount": 1}, headers={"X-Request-Id": f"id-{number}"})
            .raise_for_status()
            .headers["X-Model-Side"]
            for number in range(requests)
        ]
    return sides.count("candidate")


def wait_for(condition: object, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.2)
    return False


def picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


@pytest.mark.slow
def test_the_slider_and_the_switch_of_the_dashboard_move_the_service(
    unleash: LocalUnleash, service: Serving, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(f"{unleash.url}/login")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(unleash.data.credentials().admin_password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    assert candidate_answers(service) == 0

    page.goto(unleash.admin.flag_url(FLAG))
    page.get_by_text("1 strategy added").click()
    page.get_by_test_id("STRATEGY_EDIT-flexibleRollout").click()
    slider = page.locator("input[type=range]")
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    expect(slider).to_have_value("10")
    picture(page, "slider")
    page.get_by_test_id("STRATEGY_FORM_SUBMIT_ID").click()
    expect(page.get_by_test_id("STRATEGY_FORM_SUBMIT_ID")).to_have_count(0)

    # The promise: the server refreshes every second, the worker looks every second.
    assert wait_for(lambda: candidate_answers(service, 40) > 0, within=6)
    assert 5 <= candidate_answers(service) <= 40  # 10 % of 200, and these ids never change
    page.goto(unleash.admin.flag_url(FLAG))
    page.get_by_text("1 strategy added").click()
    expect(page.get_by_text("10%").first).to_be_visible()
    picture(page, "flag-at-10")

    page.get_by_role("switch", name="development").click()
    expect(page.get_by_role("switch", name="development")).not_to_be_checked()
    assert wait_for(lambda: not unleash.admin.state(FLAG).enabled, within=5)
    time.sleep(3)  # the rollback promise
    assert candidate_answers(service) == 0
    picture(page, "flag-off")
