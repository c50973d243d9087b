"""A judge that is a chat model behind OpenAI's protocol, with instructions by the user."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from comparison.errors import JudgeNotFoundError
from comparison.judges.judge import Judgment

if TYPE_CHECKING:
    from openai import OpenAI

_FIELD: Final = re.compile(r"\{(prompt|first|second)\}")
_SAID: Final = re.compile(r"\[\[([ABC])\]\]|^\W*([ABC])\W*$", re.MULTILINE)
_PREFERENCES: Final[Mapping[str, float]] = {"A": 1.0, "B": 0.0, "C": 0.5}
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens, sent and received."""

    sent: float = 0.0
    received: float = 0.0


class ChatJudge:
    """A chat model as a judge. The client reads OPENAI_BASE_URL and OPENAI_API_KEY.

    `instructions` are sent as one message, with {prompt}, {first} and {second} replaced. The last
    [[A]] (first), [[B]] (second) or [[C]] (tie) of the reply counts, or a line with only such a
    letter. The client itself retries transient errors (429, 5xx), as long as the server asks it to
    wait.
    """

    def __init__(self, client: "OpenAI", model: str, instructions: str, prices: Prices) -> None:
        missing = [
            name for name in ("prompt", "first", "second") if f"{{{name}}}" not in instructions
        ]
        if missing:
            named = ", ".join(f"{{{name}}}" for name in missing)
            raise JudgeNotFoundError(f"the instructions of the judge lack {named}")
        self._client = client
        self._model = model
        self._instructions = instructions
        self._prices = prices

    def __call__(self, prompt: str, first: str, second: str) -> Judgment:
        """Ask the model. Raises the client's errors; ValueError if the reply has no preference."""
        texts = {"prompt": prompt, "first": first, "second": second}
        message = _FIELD.sub(lambda found: texts[found[1]], self._instructions)
        reply = self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": message}]
        )
        return Judgment(_preference(reply), self._cost(reply.usage))

    def _cost(self, usage: Any) -> float:
        if usage is None:
            return 0.0
        prices = self._prices
        sent, received = usage.prompt_tokens, usage.completion_tokens
        return float(sent * prices.sent + received * prices.received) / _MILLION


def _preference(reply: Any) -> float:
    text = (reply.choices[0].message.content or "") if reply.choices else ""
    said = [bracketed or alone for bracketed, alone in _SAID.findall(text)]
    if not said:
        raise ValueError("the reply holds none of [[A]], [[B]] and [[C]]")
    return _PREFERENCES[said[-1]]


def chat_judge(model: str, instructions: Path, prices: Prices, timeout: float) -> ChatJudge:
    """Create a judge from a file of instructions. Raises JudgeNotFoundError."""
    try:
        from openai import OpenAI, OpenAIError
    except ModuleNotFoundError:
        raise JudgeNotFoundError(
            "openai is not installed: it comes with the extra `judge` of bentoml-flags (in a "
            "clone: pip install '.[comparison,judge]')"
        ) from None
    try:
        text = instructions.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JudgeNotFoundError(f"{instructions}: {error}") from error
    try:
        client = OpenAI(timeout=timeout)
    except OpenAIError as error:
        raise JudgeNotFoundError(str(error)) from error
    return ChatJudge(client, model, text, prices)
