"""The unit of a request: who or what it belongs to. Only a keyed hash of it is recorded."""

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
"""`header:<name>`, `input.<path>` or a callable on the input; None for the flag's stickiness."""

HEADER: Final = "header:"
INPUT: Final = "input."

REQUEST_FIELD: Final = "requestId"
"""Context field of the targeting key: a flag that is sticky on it assigns single requests."""

_DEFAULT_FIELDS: Final = ("userId", "sessionId")
"""Fields that Unleash's stickiness `default` tries in this order before it chooses at random."""

_DIGITS: Final = 16
"""Hexadecimal digits of a hash: of ten million units, two share one with probability 3e-6."""

UNIT_HASH: Final = f"[0-9a-f]{{{_DIGITS}}}"
"""Regular expression of a hash."""


def unit_hash(key: bytes, value: str) -> str:
    """Return the keyed hash of a unit, HMAC-SHA256 (RFC 2104), cut to 16 hexadecimal digits."""
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:_DIGITS]


def is_unit_hash(text: str) -> bool:
    """Say whether a text has the form of a result of `unit_hash`."""
    return re.fullmatch(UNIT_HASH, text) is not None


def default_key(service: str) -> bytes:
    """Return the key of a service without UNIT_KEY.

    The key is not a secret: a reader who knows the service's name can test whether a guessed value
    is the unit of a pair. But pairs do not show the values, and pairs of two services cannot be
    linked.
    """
    return b"bentoml-flags unit of " + service.encode()


@dataclass(frozen=True, slots=True)
class RequestUnits:
    """The hashes of one request.

    `unit` is None if the request is its own unit, or its unit is unknown.
    """

    unit: str | None = None
    drawn: str | None = None
    """Hash of the value by which the flag chose the side, if that is neither the unit nor the
    request id."""


@dataclass(frozen=True, slots=True)
class Units:
    """The rule by which a service's requests belong to units.

    `read` is a callable on (headers, input); if it is None, the unit is the value of the flag's
    stickiness.
    """

    key: bytes
    read: Callable[[Mapping[str, str], Any], Any] | None = None
    _failures: list[str] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of(cls, spec: UnitSpec, key: bytes) -> "Units":
        """Build the rule from the argument `unit` of `migrate`. Raises ReadingError."""
        return cls(key, _reader(spec))

    def read_value(self, headers: Mapping[str, str], inputs: Any) -> str | None:
        """Return the value of a request's unit; None if it has none, or `read` is None.

        Never raises: a unit that cannot be read must cost no answer. The first failure is logged.
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

    def hashes(
        self, value: str | None, assignment: Assignment, attributes: Mapping[str, str]
    ) -> RequestUnits:
        """Return the hashes of a request, whose unit has the `value` of `read_value`."""
        drawn = self._hash(drawn_value(assignment.stickiness, attributes))
        if self.read is None:
            return RequestUnits(unit=drawn)
        unit = self._hash(value)
        return RequestUnits(unit, drawn if drawn != unit else None)

    def _hash(self, value: str | None) -> str | None:
        return unit_hash(self.key, value) if value else None


def drawn_value(stickiness: str | None, attributes: Mapping[str, str]) -> str | None:
    """Return the value by which a flag chooses the side; None if that is the request id.

    `attributes` are those of the evaluation context.
    """
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
