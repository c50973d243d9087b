"""Replace a model that answers in words; `judge.py` says whose answer is the better one."""

import re
from pathlib import Path

import bentoml

from flags import Text, migrate

LINES = Path(__file__).with_name("answers.txt").read_text(encoding="utf-8").splitlines()
MAIL = re.compile(r"\S+@\S+")


@bentoml.service
class HelpV1:
    """Answer with the first line that has a word of the question."""

    @bentoml.api
    def answer(self, question: str) -> str:
        """Answer a question."""
        best = max(LINES, key=lambda line: bool(words(question) & words(line)))
        return best if words(question) & words(best) else "I cannot help with that."


@bentoml.service
class HelpV2:
    """Answer with the line that has most words of the question."""

    @bentoml.api
    def answer(self, question: str) -> str:
        """Answer a question."""
        best = max(LINES, key=lambda line: len(words(question) & words(line)))
        return best if words(question) & words(best) else "I cannot help with that."


words = lambda text: set(re.findall(r"[a-z]{4,}", text.lower()))  # noqa: E731
hide = lambda text: MAIL.sub("[mail]", text)  # noqa: E731
answer = Text(str, prompt="question", refusal="cannot help", record=True, redact=hide)
Help = migrate(HelpV1, HelpV2, flag="help-v2", score={"answer": answer}, placement="embedded")
