from collections.abc import Iterator
from pathlib import Path

import pytest

from comparison.errors import JudgeNotFoundError
from comparison.judges.chat import ChatJudge, Prices, chat_judge
from tests.support.chat_server import ChatServer

openai = pytest.importorskip("openai")

INSTRUCTIONS = "Prompt: {prompt}\n---\n{first}\n---\n{second}\n---\nEnd with [[A]], [[B]] or [[C]]."


def longer(message: str) -> str:
    _, first, second, _ = message.split("\n---\n")
    word = "C" if len(first) == len(second) else "A" if len(first) > len(second) else "B"
    return f"The first says [[A]] somewhere, but I prefer: [[{word}]]"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    with ChatServer(longer) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "a key")
        yield running


def judge(tmp_path: Path, text: str = INSTRUCTIONS, prices: Prices | None = None) -> ChatJudge:
    (tmp_path / "judge.txt").write_text(text)
    return chat_judge("a-model", tmp_path / "judge.txt", prices or Prices(), 5.0)


def test_the_last_word_of_the_reply_counts(server: ChatServer, tmp_path: Path) -> None:
    asked = judge(tmp_path)

    assert asked("p", "long answer", "short").preference == 1.0
    assert asked("p", "short", "long answer").preference == 0.0
    assert asked("p", "same", "same").preference == 0.5


def test_the_users_file_is_what_is_sent_and_texts_are_not_taken_for_fields(
    server: ChatServer, tmp_path: Path
) -> None:
    judge(tmp_path)("Why {second}?", "{prompt} 100 %", "b")

    (body,) = server.asked
    assert body["model"] == "a-model"
    assert body["messages"] == [
        {
            "role": "user",
            "content": "Prompt: Why {second}?\n---\n{prompt} 100 %\n---\nb\n---\n"
            "End with [[A]], [[B]] or [[C]].",
        }
    ]
    assert server.keys == {"Bearer a key"}


def test_the_cost_is_that_of_the_tokens(server: ChatServer, tmp_path: Path) -> None:
    said = judge(tmp_path, prices=Prices(2.0, 8.0))("p", "a", "b")

    assert said.cost == pytest.approx(900 * 2e-6 + 100 * 8e-6)


def test_a_server_that_is_busy_is_asked_again(server: ChatServer, tmp_path: Path) -> None:
    server.refuse = [429, 503]

    assert judge(tmp_path)("p", "long answer", "short").preference == 1.0
    assert not server.refuse


def test_a_refused_key_is_an_error_of_the_judge(server: ChatServer, tmp_path: Path) -> None:
    server.refuse = [401] * 3

    with pytest.raises(openai.AuthenticationError):
        judge(tmp_path)("p", "a", "b")


def test_a_reply_without_a_verdict_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ChatServer(lambda _: "I like both.") as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "a key")
        with pytest.raises(ValueError, match=r"\[\[A\]\]"):
            judge(tmp_path)("p", "a", "b")


def test_a_letter_alone_on_a_line_is_a_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ChatServer(lambda _: "A comma is missing in the first.\n**B**\n") as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "a key")
        assert judge(tmp_path)("p", "a", "b").preference == 0.0


def test_instructions_without_a_text_are_refused(server: ChatServer, tmp_path: Path) -> None:
    with pytest.raises(JudgeNotFoundError, match=r"lack \{first\}, \{second\}"):
        judge(tmp_path, "Answer: {prompt}")
    with pytest.raises(JudgeNotFoundError, match="No such file"):
        chat_judge("m", tmp_path / "none.txt", Prices(), 5.0)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    with pytest.raises(JudgeNotFoundError, match="OPENAI_API_KEY"):
        judge(tmp_path)
