"""A text: its length, the results of its rules, and only if asked for, the text itself."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flags.errors import AnswerUnreadableError, ReadingError
from flags.pairing.extract import Extract, extractor, read_value
from flags.pairing.kinds.kind import Column, Equality, Reader, Value
from flags.pairing.kinds.text_rules import Format

TEXT: Final = "text"
EXACT, NORMAL, LENGTH, REMARKS = "exact", "normal", "characters", "remarks"
COLUMNS: Final[dict[str, Column]] = {
    EXACT: "text",
    NORMAL: "text",
    LENGTH: "count",
    REMARKS: "word",
}
"""Digests of the text and of its normal form, its number of characters, and the rules' results.

The remarks are `|empty=0|json=0|refusal=1|`: 1 if the text is empty but for spaces, is a refusal,
or lacks the format. Each process keys its digests anew: only digests of one pair can be compared,
so a text cannot be found by guessing.
"""

EQUALITY: Final = Equality("text", EXACT, NORMAL, shown_by="preferences show which text is better")

REFUSAL: Final = "refusal"
EMPTY: Final = "empty"
"""Rules that are not formats; `EMPTY` applies to every text."""

_NAME: Final = re.compile(r"[A-Za-z][\w-]{0,63}")


@dataclass(frozen=True, slots=True)
class Text:
    """Declare a text, e.g. `Text("answer", prompt="question", refusal="I can(no|')t help")`.

    `of` is a path of the answer, or a callable on it. A text in which the regular expression
    `refusal` occurs is a refusal. `formats` names the formats that each text should have: a regular
    expression that occurs in it, a JSON schema or type (such as a pydantic model) of its JSON, or a
    callable. With `record`, the text itself is recorded, and the value at `prompt` in the input (a
    text, or messages with role and content): both after `redact`, up to `longest` characters.
    """

    of: Extract
    prompt: Extract | None = None
    refusal: str | None = None
    formats: Mapping[str, Format] = field(default_factory=dict)
    record: bool = False
    redact: Callable[[str], str] | None = None
    longest: int = 10_000

    def __post_init__(self) -> None:
        if not isinstance(self.longest, int) or self.longest < 1:
            raise ReadingError(f"longest is {self.longest!r}: it must be a whole number above 0")
        for name in self.formats:
            if not _NAME.fullmatch(str(name)) or name in (REFUSAL, EMPTY):
                raise ReadingError(
                    f"a format is named {name!r}: a name has letters, digits, _ and -, and is "
                    f"neither {REFUSAL} nor {EMPTY}"
                )

    @property
    def extracts(self) -> Mapping[str, Extract]:
        """Return the paths and callables, by argument."""
        return {"score": self.of}

    def reader(self, output: str) -> Reader:
        """Return the function that reads the text; `TextRecorder` computes the recorded values."""
        get = extractor(self.of, f"score[{output!r}]")

        def read(answer: Any) -> Mapping[str, Value]:
            text = read_value(output, get, answer)
            if isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
            if not isinstance(text, str):
                raise AnswerUnreadableError(f"{output} is a {type(text).__name__}, no text")
            return {TEXT: text}

        return read
