"""Notifications through the real apprise: to a web server and a mail server, and to bad ones."""

import io
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from flags.operate.news import Message, News
from flags.operate.next_action import Action
from flags.operate.notify import Notifier
from flags.operate.sent_messages import SentMessagesFile
from flags.playbook.model import Playbook
from flags.playbook.notify import NotifyPlan
from service.serving import free_port
from tests.support.message_receiver import Receiver

NOW = datetime(2026, 11, 29, 21, tzinfo=UTC)


def news(verdict: str = "HOLD", *, moved: int | None = None, flag: str = "f") -> News:
    states = {"verdict": verdict} | ({"flag": str(moved)} if moved else {})
    moves = tuple((entry, f"ada: move {entry}") for entry in range(1, (moved or 0) + 1))
    return News(
        flag, Action(verdict), "50 %", states, {"verdict": f"why {verdict}"}, moves, "https://page"
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


class Told:
    """A notifier, and the warnings that it gave."""

    def __init__(self, folder: Path, *urls: str, **settings: Any) -> None:
        self.warnings: list[str] = []
        self.folder, self.urls, self.settings = folder, urls, settings
        self.restart()

    def restart(self) -> None:
        max_per_hour = self.settings.get("max_per_hour", 20)
        keys = ("deliver", "max_wait")
        more = {key: self.settings[key] for key in keys if key in self.settings}
        self.notifier = Notifier(
            NotifyPlan(urls=self.urls, max_per_hour=max_per_hour),
            self.settings.get("environment", {}),
            SentMessagesFile(self.folder / "told.json"),
            self.warnings.append,
            **more,
        )

    def tell(self, what: News, now: datetime = NOW) -> None:
        self.notifier.send(what, now)


def test_a_web_server_is_told_each_thing_once_also_after_a_restart(
    receiver: Receiver, tmp_path: Path
) -> None:
    told = Told(tmp_path, receiver.url)
    told.tell(news("HOLD"))
    told.tell(news("HOLD"))
    told.restart()
    told.tell(news("HOLD"))
    told.tell(news("ROLLBACK"))
    assert [(each["title"], each["message"], each["type"]) for each in receiver.taken] == [
        ("f: HOLD, 50 %", "why HOLD\nhttps://page", "info"),
        ("f: ROLLBACK, 50 %", "why ROLLBACK\nhttps://page", "failure"),
    ]
    assert told.warnings == []
    assert (tmp_path / "told.json").stat().st_mode & 0o777 == 0o600
    assert "s3cr3t" not in (tmp_path / "told.json").read_text()


def test_a_mail_server_gets_a_mail_that_reads_well(tmp_path: Path) -> None:
    class Handler:
        mails: list[Any] = []  # noqa: RUF012 - of one test

        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
            self.mails.append(envelope)
            return "250 OK"

    server = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        url = "mailto://127.0.0.1:${PORT}?from=pilot@fraud.example&to=ops@fraud.example"
        told = Told(tmp_path, url, environment={"PORT": str(server.port)}, max_wait=20.0)
        told.tell(news("ROLLBACK"))
    finally:
        server.stop()
    assert told.warnings == []
    (envelope,) = Handler.mails
    assert envelope.rcpt_tos == ["ops@fraud.example"]
    mail = message_from_bytes(envelope.content, policy=default)
    assert mail["Subject"] == "f: ROLLBACK, 50 %"
    content = mail.get_body(("plain",))
    assert content is not None
    assert content.get_content().split() == ["why", "ROLLBACK", "https://page"]
    assert "why ROLLBACK\r\nhttps://page" in content.get_content()


def test_news_of_another_flag_is_told_too(receiver: Receiver, tmp_path: Path) -> None:
    told = Told(tmp_path, receiver.url)
    told.tell(news(flag="one"))
    told.tell(news(flag="other"))
    assert [each["title"] for each in receiver.taken] == ["one: HOLD, 50 %", "other: HOLD, 50 %"]


def test_one_that_refuses_is_told_of_the_state_of_things_once_it_takes_messages_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    told = Told(tmp_path, receiver.url)
    receiver.status = 500
    for verdict in ("HOLD", "ADVANCE", "HOLD"):
        told.tell(news(verdict))
    assert len(told.warnings) == 1
    assert told.warnings[0].startswith("notify.urls[1] (json): did not take a message")
    assert "s3cr3t" not in told.warnings[0]
    receiver.status = 200
    told.tell(news("HOLD"))
    assert [each["message"] for each in receiver.taken] == ["why HOLD\nhttps://page"]


def test_one_that_refuses_takes_nothing_from_the_others(receiver: Receiver, tmp_path: Path) -> None:
    told = Told(tmp_path, f"json://127.0.0.1:{free_port()}/x", receiver.url)
    told.tell(news("HOLD"))
    told.tell(news("HOLD"))
    assert len(receiver.taken) == 1
    assert len(told.warnings) == 1


def test_one_that_hangs_holds_up_a_look_for_a_moment_and_is_then_left_alone(
    receiver: Receiver, tmp_path: Path
) -> None:
    ended, begun = threading.Event(), []

    def deliver(url: str, message: Message) -> str | None:
        begun.append(url)
        if url == "hangs://":
            ended.wait(30)
        return None

    told = Told(tmp_path, "hangs://", "takes://", deliver=deliver, max_wait=2.0)
    began = time.monotonic()
    told.tell(news("HOLD"))
    told.tell(news("ROLLBACK"))
    took = time.monotonic() - began
    assert sorted(begun) == ["hangs://", "takes://", "takes://"]
    assert took < 15
    assert told.warnings == ["notify.urls[1] (hangs): has not taken a message in time"]
    ended.set()
    told.notifier._busy[0].join(10)
    told.tell(news("ROLLBACK"))
    assert begun[3:] == ["hangs://"]


def test_a_plugin_that_fails_in_any_way_is_a_warning_without_its_words(tmp_path: Path) -> None:
    def deliver(url: str, message: Message) -> str | None:
        raise RuntimeError("https://user:s3cr3t@host")

    told = Told(tmp_path, "bad://", deliver=deliver)
    told.tell(news())
    assert told.warnings == ["notify.urls[1] (bad): failed (RuntimeError)"]


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("${CHAT}", "(from the environment): the environment variable CHAT is not set"),
        ("json://${CHAT}", "(json): the environment variable CHAT is not set"),
        ("nothing://x", "(nothing): is not an address that apprise knows"),
        ("chat", "(from the environment): is not an address that apprise knows"),
    ],
)
def test_an_address_that_cannot_be_is_a_warning_that_names_it(
    tmp_path: Path, url: str, warning: str
) -> None:
    told = Told(tmp_path, url)
    told.tell(news())
    assert told.warnings == [f"notify.urls[1] {warning}"]


def test_only_so_many_messages_an_hour_but_each_change_of_the_flag(
    receiver: Receiver, tmp_path: Path
) -> None:
    told = Told(tmp_path, receiver.url, max_per_hour=2)
    flapping = ("HOLD", "ADVANCE", "HOLD", "ADVANCE", "HOLD", "ADVANCE")
    for number, verdict in enumerate(flapping):
        told.tell(news(verdict, moved=1), NOW + timedelta(minutes=number))
    assert [each["title"] for each in receiver.taken] == ["f: HOLD, 50 %", "f: ADVANCE, 50 %"]
    told.tell(news("ROLLBACK", moved=2), NOW + timedelta(minutes=7))
    assert receiver.taken[-1]["message"] == "ada: move 2\nwhy ROLLBACK\nhttps://page"
    told.tell(news("HOLD", moved=2), NOW + timedelta(minutes=8))
    assert len(receiver.taken) == 3
    told.tell(news("HOLD", moved=2), NOW + timedelta(minutes=69))
    assert len(receiver.taken) == 4


def test_a_file_that_cannot_be_written_is_a_warning_and_nothing_is_told_twice(
    receiver: Receiver, tmp_path: Path
) -> None:
    told = Told(tmp_path, receiver.url)
    (tmp_path / "told.json").mkdir()
    told.tell(news())
    told.tell(news())
    assert len(receiver.taken) == 1
    assert "the same may be told again" in told.warnings[0]


def test_nothing_of_an_address_is_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)  # pytest's own hears what does not reach a program's log
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        told = Told(tmp_path, f"json://user:passw0rd@127.0.0.1:{free_port()}/s3cr3t?token=t0k3n")
        told.tell(news())
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)
    said = log.getvalue() + "".join(capfd.readouterr()) + "".join(told.warnings)
    assert told.warnings
    for secret in ("passw0rd", "s3cr3t", "t0k3n"):
        assert secret not in said


def test_a_link_comes_from_the_playbook_or_is_the_flag_in_unleash(tmp_path: Path) -> None:
    def link(text: str | None) -> str:
        plan = Playbook.model_validate({"flag": "f", "notify": {"link": text}}).notify
        notifier = Notifier(plan, {"HOST": "https://h"}, SentMessagesFile(tmp_path / "t"), print)
        return notifier.link("https://u:p@unleash.example/f")

    assert link(None) == "https://unleash.example/f"
    assert link("https://fraud.example/migration") == "https://fraud.example/migration"
    assert link("${HOST}/migration") == "https://h/migration"
    assert link("${MISSING}/migration") == "https://unleash.example/f"
