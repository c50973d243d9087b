"""Pair files with recorded texts, and judges of them."""

import json
from pathlib import Path

from flags.export import attributes
from flags.pairing.kinds.text import Text
from flags.pairing.kinds.text_recorder import TextRecorder
from tests.support.pair_files import PairFile, Scored

OUTPUT = "answer"


def messages(prompt: str) -> str:
    """Return a prompt as a span has it."""
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": prompt}]}])


class TextPairFile(PairFile):
    """Append pairs of texts to the pair file of one worker."""

    def texts(
        self,
        primary: str,
        candidate: str,
        *,
        prompt: str = "What is it?",
        models: tuple[str, str] = ("v1", "v2"),
        output: str = OUTPUT,
        **changes: object,
    ) -> None:
        """Write one pair; `changes` set further attributes by the names of columns of spans."""
        self.pair(
            Scored(score={}, model=models[0]),
            Scored(score={}, model=models[1]),
            changes={
                attributes.INPUT_MESSAGES: messages(prompt),
                attributes.side("primary", attributes.TEXT, output): primary,
                attributes.side("candidate", attributes.TEXT, output): candidate,
                **changes,
            },
        )


class CountedTexts(PairFile):
    """Append pairs of texts as a worker records them, counted by a declaration."""

    def texts(
        self, primary: str, candidate: str, declared: Text | None = None, **changes: object
    ) -> None:
        """Write one pair; `changes` set further attributes by name."""
        recorder = TextRecorder(OUTPUT, declared or Text(OUTPUT))
        values = {
            attributes.side(side, what, OUTPUT): value
            for side, text in (("primary", primary), ("candidate", candidate))
            for what, value in recorder.values(text).items()
        }
        self.pair(
            Scored(score={}, model="v1"),
            Scored(score={}, model="v2"),
            changes={**values, **changes},
        )


def text_pairs(folder: Path, number: int, *, alike: int = 0) -> Path:
    """Write pairs whose candidate's text is the longer one, and some of the same model twice."""
    file = TextPairFile(folder)
    file.start()
    for each in range(alike):
        file.texts(f"text {each}", f"other text {each}", prompt=f"aa {each}", models=("v1", "v1"))
    for each in range(number):
        file.texts(f"text {each}", f"a longer text {each}", prompt=f"prompt {each}")
    file.stop()
    return folder
