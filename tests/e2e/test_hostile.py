"""Nothing that callers, models or the flag hold becomes markup: real requests, a real browser."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect

from flags.cli import migration
from flags.export import attributes
from flags.playbook.template import write_playbook
from flags.unleash.flags_file import flags_document
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.pair_files import PairFile, Scored
from tests.support.paths import ROOT
from tests.support.services.hostile import ATTACK

MAX_WAIT = 60_000
FLAG: Final = f"flag {ATTACK}"
REQUESTS: Final = 80
VIOLATIONS: Final = (
    "violations = [];"
    "addEventListener('securitypolicyviolation', each => violations.push(each.blockedURI))"
)


@dataclass(frozen=True)
class Left:
    """What the requests left behind: a page that is served, and pages in files."""

    live: str
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("hostile")
    flags = flags_document(FLAG, 50)
    payload = {"type": "json", "value": json.dumps({"threshold": {ATTACK: ATTACK}})}
    variant = {"name": f"variant {ATTACK}", "weight": 1000, "payload": payload}
    flags["features"][0]["strategies"][0]["variants"] = [variant]
    (folder / "flags.json").write_text(json.dumps(flags))
    variables = environment(
        folder / "bentoml",
        FLAG=FLAG,
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        CANDIDATE_TIMEOUT="20",
        SHADOW_TIMEOUT="20",
    )
    with Serving(
        "tests.support.services.hostile:Hostile",
        environment=variables,
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        ask(serving)
        models(folder / "pairs")
        printed = judge(folder)
        yield Left(f"{serving.url}/migration", folder, printed)


def ask(serving: Serving) -> None:
    """Ask under hostile ids, with hostile segments; every other answer flips."""
    for number in range(REQUESTS):
        body = {"amount": 40 if number % 2 else 10, "kind": f"{ATTACK} {number % 2}"}
        headers = {"X-Request-Id": f"{number} {ATTACK}"}
        reply = httpx.post(f"{serving.url}/judge", json=body, headers=headers, timeout=60)
        assert reply.status_code == 200
        assert reply.headers["X-Request-Id"] == headers["X-Request-Id"]


def models(pairs: Path) -> None:
    """Add pairs of models with hostile tags, which BentoML's own store would refuse."""
    file = PairFile(pairs, "another-worker", FLAG)
    file.start()
    for number in range(REQUESTS):
        made = file.span(
            Scored({ATTACK: 0.4, "other": 0.4}, model=f"v1:{ATTACK}"),
            Scored({ATTACK: 0.6, "other": 0.4}, model=f"v2:{ATTACK}"),
            active="candidate" if number % 2 else "primary",
            changes={
                attributes.REQUEST_ID: f"{1000 + number} {ATTACK}",
                attributes.FLAG_REASON: ATTACK,
                attributes.ROLLOUT: 50.0,
                f"{attributes.SEGMENT}.kind {ATTACK}": f"{ATTACK} {number % 2}",
            },
        )
        made["startTimeUnixNano"] = made["endTimeUnixNano"] = str(time.time_ns())
        file.write(made)


def judge(folder: Path) -> str:
    """Have the commands write their pages; the gate leaves the verdict for the live page."""
    write_playbook(folder / "playbook.yaml", "hostile")
    plan = (folder / "playbook.yaml").read_text()
    (folder / "playbook.yaml").write_text(
        plan.replace("flag: hostile", f"flag: {json.dumps(FLAG)}")
    )
    pairs = str(folder / "pairs")
    judged = [pairs, "--playbook", str(folder / "playbook.yaml"), "--step", "50"]
    printed = ""
    for command in (
        ["gate", *judged, "--html", str(folder / "gate.html")],
        ["compare", pairs, "--html", str(folder / "compare.html")],
    ):
        assert eventually(lambda: any((folder / "pairs").glob("*.jsonl")), 30)
        shown = CliRunner().invoke(migration, command)
        assert shown.exception is None or isinstance(shown.exception, SystemExit), shown.output
        printed += shown.output
    return printed


class Watched:
    """A page, and everything by which a script of an attacker would be noticed."""

    def __init__(self, browser: Browser) -> None:
        self.page: Page = browser.new_page()
        self.page.set_default_timeout(MAX_WAIT)
        self.page.add_init_script(VIOLATIONS)
        self.dialogs: list[str] = []
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("dialog", self._answer)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _answer(self, dialog: object) -> None:
        self.dialogs.append(dialog.message)  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]

    def noticed(self) -> dict[str, object]:
        """Return what has happened, by kind; nothing where nothing has."""
        found = {
            "script": self.page.evaluate("typeof owned !== 'undefined'"),
            "violations": self.page.evaluate("violations"),
            "dialogs": self.dialogs,
            "errors": self.errors,
            "markup": self.page.locator("main img, main script, main iframe").count(),
        }
        return {kind: seen for kind, seen in found.items() if seen}


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    watched = Watched(browser)
    yield watched
    watched.page.close()


def test_an_attack_that_works_is_noticed(watched: Watched) -> None:
    watched.page.goto("about:blank")
    watched.page.set_content(f"<main>{ATTACK}</main>")
    watched.page.wait_for_function("typeof owned !== 'undefined'")
    watched.page.wait_for_timeout(200)
    assert {"script", "dialogs", "markup"} <= set(watched.noticed())


@pytest.mark.parametrize("name", ["gate", "compare"])
def test_a_report_shows_every_hostile_string_as_text(
    left: Left, watched: Watched, name: str
) -> None:
    file = left.folder / f"{name}.html"
    watched.page.goto(file.as_uri())
    for folded in watched.page.locator("details").all():
        folded.evaluate("node => { node.open = true }")
    text = watched.page.locator("body").inner_text()
    for shown in (FLAG, f"v1:{ATTACK}", f"v2:{ATTACK}", f"kind {ATTACK}"):
        assert shown[:24] in text, shown  # long ones are cut
    assert re.search(rf"^\d+ {re.escape(ATTACK[:20])}", text, re.MULTILINE), "a request id"
    assert watched.noticed() == {}
    assert watched.asked == [file.as_uri()]


def test_the_live_page_shows_every_hostile_string_as_text(left: Left, watched: Watched) -> None:
    watched.page.goto(left.live)
    expect(watched.page.locator("main")).to_have_attribute("aria-busy", "false")
    expect(watched.page.locator("#flag")).to_have_text(FLAG)
    expect(watched.page.locator("#alarms .name").first).to_contain_text(ATTACK)
    expect(watched.page.locator("#decision")).to_have_text("ROLLBACK")
    expect(watched.page.locator("#reasons")).to_contain_text(ATTACK[:20])
    assert watched.page.title() == f"50 % · {FLAG}"
    assert watched.noticed() == {}
    own = left.live.removesuffix("/migration")
    assert {url for url in watched.asked if not url.startswith((own, "data:"))} == set()


def test_what_got_in_all_the_same_would_not_run(left: Left, watched: Watched) -> None:
    """The Content-Security-Policy of both pages, asked by putting the attack into them."""
    for address in (left.live, (left.folder / "gate.html").as_uri()):
        watched.page.goto(address)
        watched.page.evaluate(
            f"document.body.insertAdjacentHTML('beforeend', {json.dumps(ATTACK)})"
        )
        watched.page.wait_for_function("violations.length > 0")
        assert watched.page.evaluate("typeof owned") == "undefined"
    assert watched.dialogs == []


def test_a_terminal_is_not_steered(left: Left) -> None:
    assert ATTACK[:20] in left.printed.replace("\n", "")
    assert not [each for each in left.printed if not each.isprintable() and each not in "\n\t"]
