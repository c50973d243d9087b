"""The OTLP receiver to which pairs are shipped, read from OpenTelemetry's own variables.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Each variable has a form
for traces only, `OTEL_EXPORTER_OTLP_TRACES_...`, which takes precedence over the general one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, urlsplit

from flags.errors import DestinationError
from flags.printable import without_credentials

LONGEST_TIMEOUT: Final = 60.0
"""Seconds. SDKs of other languages read the variable as milliseconds; this bounds such a value."""

_PREFIX: Final = "OTEL_EXPORTER_OTLP_"
_TRACES_PATH: Final = "/v1/traces"
_SHORTEST_SECRET: Final = 8
"""Characters. Shorter words, such as a tenant name, may occur in any message of a receiver."""
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")


class Protocol(StrEnum):
    """The encoding of a request; values of OTEL_EXPORTER_OTLP_PROTOCOL."""

    PROTOBUF = "http/protobuf"
    JSON = "http/json"


@dataclass(frozen=True, slots=True)
class Destination:
    """An OTLP/HTTP receiver of traces: its address and the settings of the connection."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 10.0
    """Seconds for connecting, and for each silence of the receiver."""
    protocol: Protocol = Protocol.PROTOBUF
    gzip: bool = False
    certificate: str | None = None
    """File of the certificate authorities that may have signed the receiver's certificate."""
    client_certificate: str | None = None
    client_key: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Destination | None":
        """Return the destination, or None if none is set or traces are switched off.

        Raises DestinationError for malformed values.
        """
        variables = _Variables(environment)
        if variables.switched_off or (url := variables.url) is None:
            return None
        return cls(
            url,
            headers=variables.headers,
            timeout=variables.timeout,
            protocol=variables.protocol,
            gzip=variables.gzip,
            certificate=variables.value("CERTIFICATE"),
            client_certificate=variables.value("CLIENT_CERTIFICATE"),
            client_key=variables.value("CLIENT_KEY"),
        )

    def without_secrets(self, message: str) -> str:
        """Mask the values of our headers and the URL's secrets in a text."""
        parts = urlsplit(self.url)
        sent = [parts.password or "", parts.query, *self.headers.values()]
        secrets = {word for text in sent for word in (text, *text.split())}
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                message = message.replace(secret, "***")
        return message

    def __str__(self) -> str:
        """Return the address without credentials, path and query, which may be secret."""
        parts = urlsplit(self.url)
        return without_credentials(f"{parts.scheme}://{parts.netloc}")


class _Variables:
    """OpenTelemetry's environment variables, each validated when it is read."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def value(self, name: str) -> str | None:
        """Return the variable's form for traces, else the general one; "" counts as not set."""
        for variable in (f"{_PREFIX}TRACES_{name}", f"{_PREFIX}{name}"):
            if found := self._environment.get(variable, "").strip():
                return found
        return None

    @property
    def switched_off(self) -> bool:
        exporter = self._environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
        disabled = self._environment.get("OTEL_SDK_DISABLED", "").strip().lower()
        return exporter == "none" or disabled == "true"

    @property
    def url(self) -> str | None:
        general = self._environment.get(f"{_PREFIX}ENDPOINT", "").strip()
        own = self._environment.get(f"{_PREFIX}TRACES_ENDPOINT", "").strip()
        url = own or (general and general.rstrip("/") + _TRACES_PATH)
        if not url:
            return None
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise DestinationError(
                f"{_PREFIX}{'TRACES_' if own else ''}ENDPOINT is not an http:// or https:// URL"
            )
        return url

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers. OpenTelemetry's own parser would log malformed entries.

        Raises DestinationError.
        """
        entries = (each.strip() for each in (self.value("HEADERS") or "").split(","))
        found = {}
        for position, entry in enumerate(entries, 1):
            if not entry:
                continue
            name, equals, value = (unquote(part.strip()) for part in entry.partition("="))
            is_header = equals and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)
            if not is_header:
                raise DestinationError(
                    f"{_PREFIX}HEADERS: entry {position} is not name=value, percent-encoded where "
                    "it is not plain ASCII"
                )
            found[name.lower()] = value.strip()
        return found

    @property
    def timeout(self) -> float:
        """Seconds, as OpenTelemetry's Python SDK reads it; the specification has milliseconds.

        Raises DestinationError.
        """
        text = self.value("TIMEOUT") or "10"
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            raise DestinationError(f"{_PREFIX}TIMEOUT is {text!r}: it must be a number of seconds")
        return min(seconds, LONGEST_TIMEOUT)

    @property
    def protocol(self) -> Protocol:
        text = self.value("PROTOCOL") or Protocol.PROTOBUF
        try:
            return Protocol(text)
        except ValueError:
            known = " or ".join(Protocol)
            raise DestinationError(
                f"{_PREFIX}PROTOCOL is {text!r}: pairs are shipped by {known}; "
                f"{_PREFIX}TRACES_PROTOCOL and {_PREFIX}TRACES_ENDPOINT may differ from the rest"
            ) from None

    @property
    def gzip(self) -> bool:
        text = self.value("COMPRESSION") or "none"
        if text not in ("gzip", "none"):
            raise DestinationError(f"{_PREFIX}COMPRESSION is {text!r}: it must be gzip or none")
        return text == "gzip"
