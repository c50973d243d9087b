"""The declarations of a serving worker's settings: names, bounds, descriptions."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$"
HeaderName = Annotated[str, Field(pattern=_HEADER)]
"""A header's name; empty switches it off (RFC 9110, 5.1)."""


class DeclaredSettings(BaseSettings):
    """Every setting of a serving worker, by environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(
        extra="ignore",
        env_ignore_empty=False,
        frozen=True,
        hide_input_in_errors=True,  # an error must not quote a secret
    )

    # --- the source of the flags ----------------------------------------------------------------
    unleash_url: str | None = Field(
        None, description="Address of Unleash's API, e.g. http://127.0.0.1:4242/api."
    )
    unleash_api_token: SecretStr | None = Field(
        None, description="Backend (client) token; it decides the environment."
    )
    flags_file: Path = Field(
        Path("flags.json"),
        description="Flags in Unleash's client-features format, used when UNLEASH_URL is not set.",
    )
    flags_refresh_interval: int = Field(
        2, ge=1, description="Seconds between two polls of the server (a file: every second)."
    )
    flags_request_timeout: int = Field(
        2, ge=1, description="Time limit in seconds of one request to the server; no retry."
    )
    flags_cache_dir: Path | None = Field(
        None, description="Folder for the last good flags, used when the server is down at start."
    )
    flags_bootstrap_file: Path | None = Field(
        None, description="Flags for a first start without the server and without a cache."
    )
    flags_max_staleness: float | None = Field(
        None,
        gt=0,
        description="Seconds after which flags that the source has not confirmed are not used.",
    )
    flags_required: bool = Field(
        False, description="Whether /readyz fails while no flags are loaded."
    )

    # --- pages for operators --------------------------------------------------------------------
    migration_endpoints: bool = Field(
        True, description="Whether the service answers GET /migration, its live page, and below it."
    )
    migration_hosts: list[str] = Field(
        default_factory=list,
        description="Host names, without port, that requests to these pages may have, as JSON: "
        '["fraud.example"]. Loopback and the served address are always allowed; ["*"] allows any, '
        "so that a web page can read them by DNS rebinding.",
    )
    unleash_dashboard_url: str | None = Field(
        None,
        description="Address of Unleash for readers of the live page. Unset: UNLEASH_URL.",
    )

    # --- the identity of a request --------------------------------------------------------------
    request_id_header: HeaderName = Field(
        "X-Request-Id", description="Request id; else the W3C trace id, else a new UUID."
    )
    request_id_trusted: bool = Field(
        True,
        description="Whether the caller's request id is used. A caller that chooses its id chooses "
        "its side, and may repeat an id. False: the W3C trace id, else a new UUID.",
    )
    user_id_header: HeaderName = Field("X-User-Id", description="Sent to the flag as userId.")
    session_id_header: HeaderName = Field(
        "X-Session-Id", description="Sent to the flag as sessionId."
    )
    context_headers: dict[str, str] = Field(
        default_factory=dict,
        description='Further headers for the flag, as JSON: {"X-Tenant": "tenantId"}.',
    )
    model_side_header: HeaderName = Field(
        "X-Model-Side", description="Response header: the served side. Empty: not sent."
    )
    model_tag_header: HeaderName = Field(
        "X-Model-Tag", description="Response header: the served model's tag. Empty: not sent."
    )
    unit_key: SecretStr | None = Field(
        None,
        description="Key of the hash by which pairs name their unit (a user, a customer); 16 "
        "characters or more, the same in all replicas. Unset: a key that follows from the "
        "service's name, so that a guessed value can be tested.",
    )
    max_request_bytes: int | None = Field(
        None, ge=1, description="Larger request bodies get HTTP 413. Unset: migrate()'s limit."
    )

    # --- limits of the sides --------------------------------------------------------------------
    primary_timeout: float | None = Field(
        None,
        gt=0,
        description="Seconds for the primary's answer; for a stream, its first item. Unset: no "
        "limit.",
    )
    candidate_timeout: float = Field(
        1.0,
        gt=0,
        description="Seconds for the candidate's answer; for a stream, its first item. Then the "
        "primary's answer is served.",
    )
    candidate_item_timeout: float = Field(
        30.0,
        gt=0,
        description="Seconds between two items of an active candidate's stream; then it ends.",
    )
    shadow_timeout: float = Field(
        5.0,
        gt=0,
        description="Seconds for a shadow; for a stream, until its last item.",
    )
    shadow_concurrency: int = Field(
        64,
        ge=1,
        description="Shadows in progress per worker; a further one is shed. With a "
        "`shadow_batch`, four times as many.",
    )
    shadow_interval: float = Field(
        0.25,
        ge=0,
        le=0.5,
        description="Seconds for which shadows are gathered, to be scored one after another "
        "between two answers; twice as long with a `shadow_batch`, so that a call has more of "
        "them. With 0, and with `runners` without a `shadow_batch`, each shadow is scored when its "
        "answer was sent.",
    )
    shadow_single: float = Field(
        0.05,
        ge=0,
        le=1,
        description="For an API with a `shadow_batch`: share of the shadows that are scored singly "
        "as well. Their durations are recorded, and both results must agree.",
    )
    shadow_max_share: float | None = Field(
        None,
        gt=0,
        description="Share of one processor that scoring shadows may take in each worker; a call "
        "over HTTP or an asynchronous one counts with its whole duration. Beyond it shadows are "
        "sampled by unit, and the others are recorded as `skipped`. Unset: all are scored.",
    )
    insurance: Literal["eager", "lazy"] = Field(
        "eager",
        description="When the primary is scored if the candidate is active: `eager`, at the same "
        "time; `lazy`, as a shadow, or after the candidate has failed, so that the caller waits "
        "for both.",
    )
    candidate_start_timeout: float = Field(
        60.0,
        gt=0,
        description="Seconds that a worker waits at its start for an `isolated` candidate.",
    )
    candidate_max_memory: int | None = Field(
        None,
        ge=2**20,
        description="Bytes at which the process of an `isolated` candidate is replaced.",
    )

    gc_freeze: bool = Field(
        True,
        description="Exclude objects loaded at the start of a worker from garbage collection, "
        "which otherwise stops all answers for a tenth of a second now and then.",
    )

    # --- a candidate that is a deployment of its own --------------------------------------------
    candidate_url: str | None = Field(
        None, description="Address of a `Remote` candidate, in place of the one in the code."
    )
    candidate_token: SecretStr | None = Field(
        None, description="Bearer token for a `Remote` candidate."
    )
    candidate_ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that sign its certificate. Unset: the system's.",
    )
    candidate_cert_file: Path | None = Field(
        None, description="PEM file of the client certificate (mutual TLS)."
    )
    candidate_key_file: Path | None = Field(
        None, description="PEM file of the client certificate's key, if it is in another file."
    )
    candidate_connections: int = Field(
        100, ge=1, description="Connections to it per worker; further calls wait."
    )
    candidate_check_interval: float = Field(
        10.0,
        gt=0,
        description="Seconds between two checks of its schema; after a failed call, at once.",
    )
    candidate_failures: int = Field(
        10,
        ge=1,
        description="Calls in a row without an answer after which it gets only a trial call every "
        "one to ten seconds.",
    )

    # --- the pair files -------------------------------------------------------------------------
    pairs_dir: Path = Field(Path("pairs"), description="Folder of the pair files.")
    pairs_flush_interval: float = Field(
        0.2, gt=0, le=1, description="Seconds after which a pair is written to disk."
    )
    pairs_rotate_bytes: int = Field(
        64 * 2**20, ge=2**16, description="Size at which a pair file is closed."
    )
    pairs_max_bytes: int = Field(
        2 * 2**30,
        ge=2**20,
        description="Size of all pair files; beyond it, closed files that were shipped are removed "
        "first, then the oldest.",
    )
    pairs_compression: Literal["zstd", "gzip", "none"] = Field(
        "zstd",
        description="Compression of closed pair files of 256 KiB or more. `none` if a collector "
        "reads the files.",
    )
    pairs_queue_bytes: int = Field(
        32 * 2**20, ge=2**16, description="Memory for pairs while the disk cannot be written."
    )
    drain_timeout: float = Field(
        5.0,
        gt=0,
        description="Seconds at shutdown for unfinished pairs, and the same for their files.",
    )

    # --- shipping to a collector, if OTEL_EXPORTER_OTLP_ENDPOINT is set -------------------------
    pairs_ship_interval: float = Field(
        1.0, gt=0, description="Seconds between two requests, unless a full batch waits."
    )
    pairs_ship_batch: int = Field(512, ge=1, description="Most pairs in one request.")
    pairs_ship_batch_bytes: int = Field(
        4 * 2**20,
        ge=2**16,
        description="Most bytes of their lines, before encoding and compression.",
    )
    pairs_ship_max_wait: float = Field(
        30.0, gt=0, description="Longest wait in seconds before a failed receiver is retried."
    )

    @field_validator("context_headers")
    @classmethod
    def _fields_are_free(cls, value: dict[str, str]) -> dict[str, str]:
        taken = {"requestId", "userId", "sessionId"} & set(value.values())
        if taken:
            raise ValueError(
                f"{sorted(taken)} have headers of their own: REQUEST_ID_HEADER, USER_ID_HEADER, "
                "SESSION_ID_HEADER"
            )
        return value

    @model_validator(mode="after")
    def _server_needs_token(self) -> Self:
        if self.unleash_url and self.unleash_api_token is None:
            raise ValueError("UNLEASH_URL is set and UNLEASH_API_TOKEN is not: set both or neither")
        return self

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.candidate_key_file is not None and self.candidate_cert_file is None:
            raise ValueError("CANDIDATE_KEY_FILE is set and CANDIDATE_CERT_FILE is not")
        return self

    @field_validator("unit_key")
    @classmethod
    def _key_is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().strip()) < 16:
            raise ValueError("is shorter than 16 characters: take a random one, and keep it")
        return value
