"""The on-call engineer's way: log in to Unleash, move the slider, flip the switch."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.following import following
from tests.support.screenshots import picture

FLAG = "claims-v2"


@pytest.fixture
def service(unleash: LocalUnleash, tmp_path: Path) -> Iterator[Serving]:
    seed(unleash.admin, FLAG)
    unleash.admin.set_rollout(FLAG, 0)
    unleash.admin.turn_on(FLAG)
    claims = "tests.support.services.varied:Claims"
    with following(
        unleash, FLAG, tmp_path, service=claims, workers=1, PLACEMENT="embedded"
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
    picture(page, "slider", full_page=False)
    page.get_by_test_id("STRATEGY_FORM_SUBMIT_ID").click()
    expect(page.get_by_test_id("STRATEGY_FORM_SUBMIT_ID")).to_have_count(0)

    # The promise: the server refreshes every second, the worker looks every second.
    assert eventually(lambda: candidate_answers(service, 40) > 0, 6)
    assert 5 <= candidate_answers(service) <= 40  # 10 % of 200, and these ids never change
    page.goto(unleash.admin.flag_url(FLAG))
    page.get_by_text("1 strategy added").click()
    expect(page.get_by_text("10%").first).to_be_visible()
    picture(page, "flag-at-10", full_page=False)

    page.get_by_role("switch", name="development").click()
    expect(page.get_by_role("switch", name="development")).not_to_be_checked()
    assert eventually(lambda: not unleash.admin.state(FLAG).enabled, 5)
    time.sleep(3)  # the rollback promise
    assert candidate_answers(service) == 0
    picture(page, "flag-off", full_page=False)
