"""The recorded values of texts and of their prompt, computed after the answer was sent."""

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flags.pairing.extract import extractor
from flags.pairing.kinds.kind import Value
from flags.pairing.kinds.text import EMPTY, EXACT, LENGTH, NORMAL, REFUSAL, REMARKS, TEXT, Text
from flags.pairing.kinds.text_rules import pattern, rule_of, satisfies
from flags.pairing.observation import Observation
from flags.pairing.text_form import normalised

logger = logging.getLogger(__name__)

Messages = tuple[tuple[str, str], ...]
"""Roles and texts of a prompt."""

_KEY: Final = os.urandom(16)


class TextRecorder:
    """Compute the recorded values of a text.

    Never raises. A text that cannot be redacted is not recorded.
    """

    def __init__(self, output: str, declared: Text) -> None:
        """Record `output` as declared. Raises ReadingError."""
        self._declared = declared
        self._rules = {name: rule_of(name, each) for name, each in declared.formats.items()}
        self._rules[EMPTY] = lambda text: bool(text.strip())
        if declared.refusal is not None:
            refuses = pattern(REFUSAL, declared.refusal).search
            self._rules[REFUSAL] = lambda text: refuses(text) is None
        self._prompt = None
        if declared.record and declared.prompt is not None:
            self._prompt = extractor(declared.prompt, f"prompt of {output!r}")

    def values(self, text: str) -> dict[str, Value]:
        """Return the recorded values of a side's text, by column."""
        remarks = (
            f"{name}={int(not satisfies(rule, text))}|"
            for name, rule in sorted(self._rules.items())
        )
        values: dict[str, Value] = {
            EXACT: _digest(text),
            NORMAL: _digest(normalised(text)),
            LENGTH: len(text),
            REMARKS: f"|{''.join(remarks)}",
        }
        if self._declared.record and (redacted := self._redacted(text)) is not None:
            values[TEXT] = redacted
        return values

    @property
    def records_prompt(self) -> bool:
        """Say whether the prompt of an input is recorded."""
        return self._prompt is not None

    def prompt(self, inputs: Any) -> Messages | None:
        """Return the prompt of an input, not redacted; None if not recorded or not readable."""
        if self._prompt is None:
            return None
        try:
            return _messages(self._prompt(inputs))
        except Exception as error:  # a wrong path must not cost an answer; it shows as missing
            logger.debug("the prompt could not be read: %s", type(error).__name__)
            return None

    def redacted_prompt(self, prompt: Messages) -> Messages | None:
        """Return a prompt after redaction; None if one of its texts cannot be redacted."""
        if not self._declared.record:
            return prompt
        messages = [(role, self._redacted(text)) for role, text in prompt]
        redacted = tuple((role, text) for role, text in messages if text is not None)
        return redacted if len(redacted) == len(messages) else None

    def _redacted(self, text: str) -> str | None:
        longest, redact = self._declared.longest, self._declared.redact
        if redact is not None:
            try:
                text = redact(text)
            except Exception as error:  # a text that cannot be redacted is not recorded
                logger.warning("a text is not recorded: redact raised %s", type(error).__name__)
                return None
            if not isinstance(text, str):
                logger.warning("a text is not recorded: redact returned no text")
                return None
        text = text.encode("utf-8", "replace").decode()
        return text if len(text) <= longest else text[:longest] + "\N{HORIZONTAL ELLIPSIS}"


def read_prompt(recorders: Mapping[str, TextRecorder], inputs: Any) -> Messages | None:
    """Return the prompt of an input, by the first recorder that finds one."""
    found = (recorder.prompt(inputs) for recorder in recorders.values())
    return next((prompt for prompt in found if prompt is not None), None)


@dataclass(frozen=True, slots=True)
class RecordedTexts:
    """Both observations of a pair, and its prompt as JSON."""

    primary: Observation
    candidate: Observation
    prompt: str | None = None

    async def redacted(
        self, recorders: Mapping[str, TextRecorder], prompt: Messages | None
    ) -> "RecordedTexts":
        """Replace texts by their recorded values, in a thread, because rules are users' code.

        If no thread is available, nothing is recorded of the texts.
        """
        try:
            return await asyncio.to_thread(self._redacted, recorders, prompt)
        except Exception as error:  # a worker that stops has no threads any more
            logger.warning("texts are not recorded: %s", type(error).__name__)
            return RecordedTexts(
                _with_recorded_values({}, self.primary), _with_recorded_values({}, self.candidate)
            )

    def _redacted(
        self, recorders: Mapping[str, TextRecorder], prompt: Messages | None
    ) -> "RecordedTexts":
        for recorder in recorders.values():
            prompt = None if prompt is None else recorder.redacted_prompt(prompt)
        return RecordedTexts(
            _with_recorded_values(recorders, self.primary),
            _with_recorded_values(recorders, self.candidate),
            None if prompt is None else _as_json(prompt),
        )


def _as_json(prompt: Messages) -> str:
    """Return messages as JSON in the form of OpenTelemetry's conventions for generative AI."""
    messages = [
        {"role": role, "parts": [{"type": "text", "content": text}]} for role, text in prompt
    ]
    return json.dumps(messages, ensure_ascii=False)


def _with_recorded_values(
    recorders: Mapping[str, TextRecorder], observation: Observation
) -> Observation:
    """Replace each text by its recorded values; a text without a recorder is left out."""
    values: dict[str, Mapping[str, Value]] = {}
    for output, columns in observation.values.items():
        text = columns.get(TEXT)
        if not isinstance(text, str):
            values[output] = columns
        elif output in recorders:
            values[output] = recorders[output].values(text)
    return replace(observation, values=values) if values or observation.values else observation


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=_KEY, digest_size=12).hexdigest()


def _messages(prompt: Any) -> Messages:
    if isinstance(prompt, Sequence) and not isinstance(prompt, str | bytes):
        return tuple((str(_get(each, "role")), _content(_get(each, "content"))) for each in prompt)
    return (("user", _content(prompt)),)


def _get(message: Any, name: str) -> Any:
    return message[name] if isinstance(message, Mapping) else getattr(message, name)


def _content(content: Any) -> str:
    """Return the text of a message, or the texts among its parts, joined by newlines."""
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        texts = (each.get("text") for each in content if isinstance(each, Mapping))
        return "\n".join(str(text) for text in texts if text is not None)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
