"""What is recorded of texts and their prompt, once the answer has left."""

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
from flags.pairing.kinds.text_rules import keeps, pattern, rule_of
from flags.pairing.observation import Observation
from flags.pairing.text_form import normalised

logger = logging.getLogger(__name__)

Messages = tuple[tuple[str, str], ...]
"""Roles and texts of a prompt."""

_KEY: Final = os.urandom(16)


class TextRecorder:
    """Make of a text what is recorded of it. Never raises, and never keeps what is not redacted."""

    def __init__(self, output: str, declared: Text) -> None:
        """Take a declaration. Raises ReadingError."""
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
        """Return what a side records."""
        said = (
            f"{name}={int(not keeps(rule, text))}|" for name, rule in sorted(self._rules.items())
        )
        found: dict[str, Value] = {
            EXACT: _digest(text),
            NORMAL: _digest(normalised(text)),
            LENGTH: len(text),
            REMARKS: f"|{''.join(said)}",
        }
        if self._declared.record and (kept := self._kept(text)) is not None:
            found[TEXT] = kept
        return found

    @property
    def records_prompt(self) -> bool:
        """Say whether the prompt of an input is recorded."""
        return self._prompt is not None

    def prompt(self, inputs: Any) -> Messages | None:
        """Return the prompt of an input as it is; None where it is not recorded or not there."""
        if self._prompt is None:
            return None
        try:
            return _messages(self._prompt(inputs))
        except Exception as error:  # a wrong path must not cost an answer; it shows as missing
            logger.debug("the prompt could not be read: %s", type(error).__name__)
            return None

    def kept_prompt(self, prompt: Messages) -> Messages | None:
        """Return what may be kept of a prompt; None where it cannot be redacted."""
        if not self._declared.record:
            return prompt
        kept = [(role, self._kept(text)) for role, text in prompt]
        known = tuple((role, text) for role, text in kept if text is not None)
        return known if len(known) == len(kept) else None

    def _kept(self, text: str) -> str | None:
        longest, redact = self._declared.longest, self._declared.redact
        if redact is not None:
            try:
                text = redact(text)
            except Exception as error:  # what cannot be redacted is not recorded
                logger.warning("a text is not recorded: redact raised %s", type(error).__name__)
                return None
            if not isinstance(text, str):
                logger.warning("a text is not recorded: redact returned no text")
                return None
        text = text.encode("utf-8", "replace").decode()
        return text if len(text) <= longest else text[:longest] + "\N{HORIZONTAL ELLIPSIS}"


def read_prompt(recorders: Mapping[str, TextRecorder], inputs: Any) -> Messages | None:
    """Return the prompt of an input, by the first declaration that finds one."""
    found = (recorder.prompt(inputs) for recorder in recorders.values())
    return next((prompt for prompt in found if prompt is not None), None)


@dataclass(frozen=True, slots=True)
class KeptTexts:
    """Hold both observations, and what was asked."""

    primary: Observation
    candidate: Observation
    prompt: str | None = None

    async def of(
        self, recorders: Mapping[str, TextRecorder], prompt: Messages | None
    ) -> "KeptTexts":
        """Put what may be kept in the place of the texts, in a thread, since users' code says it.

        Where that cannot be, nothing of them is kept.
        """
        try:
            return await asyncio.to_thread(self._kept, recorders, prompt)
        except Exception as error:  # a worker that stops has no threads any more
            logger.warning("texts are not recorded: %s", type(error).__name__)
            return KeptTexts(_without_texts({}, self.primary), _without_texts({}, self.candidate))

    def _kept(self, recorders: Mapping[str, TextRecorder], prompt: Messages | None) -> "KeptTexts":
        kept = prompt
        for recorder in recorders.values():
            kept = None if kept is None else recorder.kept_prompt(kept)
        return KeptTexts(
            _without_texts(recorders, self.primary),
            _without_texts(recorders, self.candidate),
            None if kept is None else _as_json(kept),
        )


def _as_json(prompt: Messages) -> str:
    """Write messages as the OpenTelemetry convention for generative AI has them."""
    found = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in prompt]
    return json.dumps(found, ensure_ascii=False)


def _without_texts(recorders: Mapping[str, TextRecorder], seen: Observation) -> Observation:
    """Put what is recorded in the place of the texts that were read; nothing if nobody says it."""
    values: dict[str, Mapping[str, Value]] = {}
    for output, held in seen.values.items():
        text = held.get(TEXT)
        if not isinstance(text, str):
            values[output] = held
        elif output in recorders:
            values[output] = recorders[output].values(text)
    return replace(seen, values=values) if values or seen.values else seen


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=_KEY, digest_size=12).hexdigest()


def _messages(prompt: Any) -> Messages:
    if isinstance(prompt, Sequence) and not isinstance(prompt, str | bytes):
        return tuple((str(_of(each, "role")), _content(_of(each, "content"))) for each in prompt)
    return (("user", _content(prompt)),)


def _of(message: Any, name: str) -> Any:
    return message[name] if isinstance(message, Mapping) else getattr(message, name)


def _content(content: Any) -> str:
    """Return the text of a message; of one in parts, that of its texts."""
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        texts = (each.get("text") for each in content if isinstance(each, Mapping))
        return "\n".join(str(text) for text in texts if text is not None)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
