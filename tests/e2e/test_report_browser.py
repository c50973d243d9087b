"""The page of a verdict in a real browser: on a desk, on a phone, in the dark, on paper."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from comparison.judgement.judgement import Judgement
from comparison.report.html.page import render
from flags.gate import decide
from flags.gate.evidence import (
    AlarmPeriod,
    AlarmState,
    Drift,
    Evidence,
    OperationalAlarmHistory,
    OutcomeCell,
    OutcomeMetric,
)
from flags.playbook.model import Playbook
from tests.support.answer_windows import answer_windows
from tests.support.screenshots import picture
from tests.support.simulated_evidence import FLAG, SINCE, WINDOWS, Scores, evidence, output

LARGEST = 2_000_000
PHONE, SMALL_PHONE, DESK = 375, 320, 1280
TALLEST = 8_000
"""Pixels of a page on a desk, as it opens."""


def many() -> Evidence:
    """Ten outputs, thirty segments each, a dozen metrics, alarms, features and notes."""
    scores = Scores.fraud(3_000)
    shops = {f"shop-{number}": ("x", "y", "z", None) for number in range(10)}
    outputs = tuple(output(scores, name=f"class_{n}", segments=shops) for n in range(10))
    window = evidence(3_000, outputs)
    hour = timedelta(hours=1)
    firing = tuple(
        AlarmPeriod(AlarmState.HOLD, SINCE + n * hour, SINCE + n * hour, 1, 3.0, 2.0, "3 > 2")
        for n in range(5)
    )
    cells = (OutcomeCell(False, 0.1, True, 1.0, 1.0, 90), OutcomeCell(True, 0.1, True, 1.0, 1.0, 9))
    return replace(
        window,
        operational_alarms=tuple(
            OperationalAlarmHistory(f"queue_{n}", "webhook: x", firing) for n in range(12)
        ),
        outcomes=tuple(OutcomeMetric(f"complaint_{n}", "request", cells) for n in range(12)),
        drift=tuple(Drift(f"amount_{n}", 3_000, 0, 0.02, 0.02, "fraud:2") for n in range(40)),
        notes=tuple(f"something was noticed on worker {n}" for n in range(40)),
    )


def test_the_table_of_contents_stays(browser: Browser, pages: dict[str, Path]) -> None:
    for width in (DESK, SMALL_PHONE):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(pages["realistic"].as_uri())
        page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
        assert page.evaluate("document.querySelector('nav').getBoundingClientRect().top") == 0
        page.get_by_role("navigation").get_by_text("Health").click()
        top = page.evaluate("document.querySelector('#health').getBoundingClientRect().top")
        below = page.evaluate("document.querySelector('nav').getBoundingClientRect().bottom")
        assert top < 60
        assert width == DESK or top >= below, "the heading is not behind the table of contents"
        page.close()


def test_the_first_screen_says_what_why_what_next_and_since_when(
    browser: Browser, pages: dict[str, Path]
) -> None:
    page = browser.new_page(viewport={"width": DESK, "height": 900})
    page.goto(pages["realistic"].as_uri())
    for text in ("ROLLBACK", "Why", "What happens next", "Since when", "Alarms in common"):
        place = page.locator("main").get_by_text(text).first.bounding_box()
        assert place is not None
        assert place["y"] + place["height"] < 600, text
    page.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the page of each window, of ten outputs with many of everything, and of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(10)[0]
    written = {}
    for name, window in {**WINDOWS, "many": many}.items():
        found = window()
        written[name] = folder / f"{name.replace(' ', '-')}.html"
        verdict = decide(found, playbook, step)
        written[name].write_text(render(found, Judgement(playbook, step, verdict)), "utf-8")
    for name, judged in answer_windows(folder).items():
        written[name] = folder / f"{name}.html"
        written[name].write_text(render(*judged), "utf-8")
    return written


@pytest.mark.parametrize(
    ("width", "scheme"), [(DESK, "light"), (PHONE, "dark"), (SMALL_PHONE, "light")]
)
def test_every_page_is_quiet_and_fits_the_screen(
    browser: Browser, pages: dict[str, Path], width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    for name, path in pages.items():
        page.goto(path.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} scrolls sideways: {wide} px"
        tall = page.evaluate("document.documentElement.scrollHeight")
        assert width < DESK or tall <= TALLEST, f"{name} is {tall} px tall"
        assert path.stat().st_size < LARGEST
        picture(page, f"report-{path.stem}-{width}-{scheme}")
    context.close()
    assert said == []
    assert asked == [path.as_uri() for path in pages.values()]


def test_dark_and_light_differ_and_each_can_be_read(
    browser: Browser, pages: dict[str, Path]
) -> None:
    """WCAG 2.2, 1.4.3: text has a contrast of 4.5 to 1 with what is behind it."""
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
        page = context.new_page()
        page.goto(pages["realistic"].as_uri())
        for least in page.evaluate(CONTRASTS):
            assert least["contrast"] >= 4.5, f"{scheme}: {least}"
        context.close()


CONTRASTS = """() => {
  const power = value => ((value + 0.055) / 1.055) ** 2.4;
  const part = value => (value /= 255) <= 0.04045 ? value / 12.92 : power(value);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const parse = color => color.match(/[\\d.]+/g).map(Number);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  return ['h1', '.soft', '.decision strong', '.badge.pass', '.badge.fail', '.badge.inconclusive',
          'thead th', 'td', 'a', 'figcaption', '.keys li', 'summary'].map(selector => {
    const node = document.querySelector(selector);
    const [one, other] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    return {selector, contrast};
  });
}"""


def test_paper_is_white_and_holds_what_is_folded_away(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(pages["realistic"].as_uri())
    page.emulate_media(media="print")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    hidden = page.locator("details table tr").last
    assert hidden.bounding_box() is not None
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    context.close()
