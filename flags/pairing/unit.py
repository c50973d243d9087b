"""Compute the unit of a request: who or what it belongs to, as a keyed hash, never as the value."""

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flags.errors import ReadingError
from flags.pairing.assignment import Assignment
from flags.pairing.extract import Extract, extractor

logger = logging.getLogger(__name__)

UnitSpec = Extract | None
"""`header:<name>`, `input.<path>` or a callable on the input; None: what the flag is sticky on."""

HEADER: Final = "header:"
INPUT: Final = "input."

REQUEST_FIELD: Final = "requestId"
"""Context field of the targeting key: a flag that is sticky on it draws single requests."""

_DEFAULT_FIELDS: Final = ("userId", "sessionId")
"""What Unleash's stickiness `default` takes, in this order, before it draws at random."""

_DIGITS: Final = 16
"""Hexadecimal digits of a hash: of ten million units, two share one with probability 3e-6."""

UNIT_HASH: Final = f"[0-9a-f]{{{_DIGITS}}}"
"""A hash as a regular expression."""


def unit_hash(key: bytes, value: str) -> str:
    """Return the keyed hash of a unit, HMAC-SHA256 (RFC 2104), cut to 16 hexadecimal digits."""
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:_DIGITS]


def is_unit_hash(text: str) -> bool:
    """Say whether a text is what `unit_hash` returns, or looks like it."""
    return re.fullmatch(UNIT_HASH, text) is not None


def default_key(service: str) -> bytes:
    """Return the key of a service without UNIT_KEY.

    It is not a secret: whoever knows the service's name can test whether a guessed value is the
    unit of a pair. It keeps the values themselves, and pairs of different services, apart.
    """
    return b"bentoml-flags unit of " + service.encode()


@dataclass(frozen=True, slots=True)
class RequestUnits:
    """Hold the hashes of one request; None where it stands for itself, or nothing is known."""

    unit: str | None = None
    drawn: str | None = None
    """What the flag draws, where that is neither the unit nor the request."""


@dataclass(frozen=True, slots=True)
class Units:
    """Say what the requests of a service belong to.

    `read` is a callable on (headers, input), or None: the unit is then what the flag is sticky on.
    """

    key: bytes
    read: Callable[[Mapping[str, str], Any], Any] | None = None
    _failures: list[str] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of(cls, spec: UnitSpec, key: bytes) -> "Units":
        """Build it from the argument `unit` of `migrate`; raise ReadingError if it is wrong."""
        return cls(key, _reader(spec))

    def given(self, headers: Mapping[str, str], inputs: Any) -> str | None:
        """Return the value that a request names as its unit; None if it does not, or none is read.

        Never raises: a unit that cannot be read costs no answer. The first failure is logged.
        """
        if self.read is None:
            return None
        try:
            value = self.read(headers, inputs)
            return None if value is None or value == "" else str(value)
        except Exception as error:  # a wrong path, or the caller's own callable
            if not self._failures:
                self._failures.append(type(error).__name__)
                logger.warning(
                    "the unit of a request could not be read (%s): its pair has none, and is "
                    "judged as a unit of its own",
                    type(error).__name__,
                )
            return None

    def of_request(
        self, given: str | None, assignment: Assignment, attributes: Mapping[str, str]
    ) -> RequestUnits:
        """Return the hashes of a request: of the value it gave, and of what the flag draws."""
        drawn = self._hash(drawn_value(assignment.stickiness, attributes))
        if self.read is None:
            return RequestUnits(unit=drawn)
        unit = self._hash(given)
        return RequestUnits(unit, drawn if drawn != unit else None)

    def _hash(self, value: str | None) -> str | None:
        return unit_hash(self.key, value) if value else None


def drawn_value(stickiness: str | None, attributes: Mapping[str, str]) -> str | None:
    """Return what a flag draws, by the attributes of a context; None where that is the request."""
    if stickiness is None or stickiness == REQUEST_FIELD:
        return None
    fields = _DEFAULT_FIELDS if stickiness == "default" else (stickiness,)
    return next((attributes[name] for name in fields if attributes.get(name)), None)


def _reader(spec: UnitSpec) -> Callable[[Mapping[str, str], Any], Any] | None:
    if spec is None:
        return None
    if callable(spec):
        return lambda _headers, inputs: spec(inputs)
    if isinstance(spec, str) and spec.startswith(HEADER) and (name := spec[len(HEADER) :].strip()):
        return lambda headers, _inputs: headers.get(name)
    if isinstance(spec, str) and spec.startswith(INPUT):
        follow = extractor(spec.removeprefix(INPUT), "unit")
        return lambda _headers, inputs: follow(inputs)
    raise ReadingError(
        f"unit is {spec!r}: it must be 'header:X-Customer', 'input.customer_id' or a callable on "
        "the input"
    )
