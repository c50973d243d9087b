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
        2, ge=1, description="Seconds between looks at the server (a file: every second)."
    )
    flags_request_timeout: int = Field(
        2, ge=1, description="Seconds for one request to the server; it is not repeated."
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
        description="Seconds after which unconfirmed flags no longer count.",
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
        description="Host names, without port, under which these may be asked for, as JSON: "
        '["fraud.example"]. Loopback and the address served always may; ["*"]: any, which lets '
        "a web page read them by DNS rebinding.",
    )
    unleash_dashboard_url: str | None = Field(
        None,
        description="Address of Unleash for the live page's readers. Unset: that of UNLEASH_URL.",
    )

    # --- the identity of a request --------------------------------------------------------------
    request_id_header: HeaderName = Field(
        "X-Request-Id", description="Request id; else the W3C trace id, else a new UUID."
    )
    request_id_trusted: bool = Field(
        True,
        description="Whether a caller's request id is taken. A caller that chooses its id chooses "
        "its side, and may send one again and again. False: the W3C trace id, else a new UUID.",
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
        "characters or more, the same in all replicas. Unset: one that follows from the service's "
        "name, with which a guessed value can be tested.",
    )
    max_request_bytes: int | None = Field(
        None, ge=1, description="Larger request bodies get HTTP 413. Unset: what migrate() says."
    )

    # --- limits of the sides --------------------------------------------------------------------
    primary_timeout: float | None = Field(
        None,
        gt=0,
        description="Seconds for the primary's answer, of a stream its first item. Unset: no "
        "limit, as without us.",
    )
    candidate_timeout: float = Field(
        1.0,
        gt=0,
        description="Seconds for the candidate's answer, of a stream its first item; then the "
        "primary's is served.",
    )
    candidate_item_timeout: float = Field(
        30.0,
        gt=0,
        description="Seconds between two items of an active candidate's stream; then it ends.",
    )
    shadow_timeout: float = Field(
        5.0,
        gt=0,
        description="Seconds for the side that nobody waits for; of a stream, to its last item.",
    )
    shadow_concurrency: int = Field(
        64,
        ge=1,
        description="Shadows in progress per worker; a further one is shed. Where `shadow_batch` "
        "scores them, four times as many.",
    )
    shadow_interval: float = Field(
        0.25,
        ge=0,
        le=0.5,
        description="Seconds for which shadows gather, to be scored one after the other between "
        "two answers; twice as long with a `shadow_batch`, so that more are in a call. 0, and with "
        "`runners` without one: each on its own, once its answer has left.",
    )
    shadow_single: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the shadows, of an API with a `shadow_batch`, that are scored by "
        "themselves as well: their durations are the candidate's, and both ways must agree.",
    )
    shadow_max_share: float | None = Field(
        None,
        gt=0,
        description="Share of one processor that scoring shadows may take in each worker, of a "
        "call over HTTP or an asynchronous one its whole time; beyond it they are sampled by unit, "
        "and the rest is recorded as `skipped`. Unset: all are scored.",
    )
    insurance: Literal["eager", "lazy"] = Field(
        "eager",
        description="When the primary is scored that may have to stand in for an active candidate: "
        "`eager`, beside it; `lazy`, as a shadow, or once the candidate has failed: its caller "
        "then waits for both.",
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
        description="Leave what a worker has loaded at its start out of garbage collection, which "
        "else stops all answers for a tenth of a second now and then. False: as Python does.",
    )

    # --- a candidate that is a deployment of its own --------------------------------------------
    candidate_url: str | None = Field(
        None, description="Address of a `Remote` candidate, in place of the one in the code."
    )
    candidate_token: SecretStr | None = Field(
        None, description="Bearer token that a `Remote` candidate is sent."
    )
    candidate_ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that sign its certificate. Unset: the system's.",
    )
    candidate_cert_file: Path | None = Field(
        None, description="PEM file of the certificate that we show it (mutual TLS)."
    )
    candidate_key_file: Path | None = Field(
        None, description="PEM file of that certificate's key, if it is not in the same file."
    )
    candidate_connections: int = Field(
        100, ge=1, description="Connections to it per worker; a further call waits in line."
    )
    candidate_check_interval: float = Field(
        10.0,
        gt=0,
        description="Seconds between two looks at its schema; after a call that failed, at once.",
    )
    candidate_failures: int = Field(
        10,
        ge=1,
        description="Calls in a row without an answer after which it is left alone, but for a "
        "trial every one to ten seconds.",
    )

    # --- the pair files -------------------------------------------------------------------------
    pairs_dir: Path = Field(Path("pairs"), description="Folder of the pair files.")
    pairs_flush_interval: float = Field(
        0.2, gt=0, le=1, description="Seconds from a pair to its line on disk."
    )
    pairs_rotate_bytes: int = Field(
        64 * 2**20, ge=2**16, description="Size at which a pair file is closed."
    )
    pairs_max_bytes: int = Field(
        2 * 2**30,
        ge=2**20,
        description="Size of all pair files; closed ones that were shipped go first, then the "
        "oldest.",
    )
    pairs_compression: Literal["zstd", "gzip", "none"] = Field(
        "zstd",
        description="Of pair files that are closed, if they have 256 KiB. `none` where a collector "
        "reads the files.",
    )
    pairs_queue_bytes: int = Field(
        32 * 2**20, ge=2**16, description="Memory for pairs that the disk refuses for now."
    )
    drain_timeout: float = Field(
        5.0,
        gt=0,
        description="Seconds at shutdown for unfinished pairs, and for their files.",
    )

    # --- shipping to a collector, if OTEL_EXPORTER_OTLP_ENDPOINT is set -------------------------
    pairs_ship_interval: float = Field(
        1.0, gt=0, description="Seconds between two requests, unless a full batch waits."
    )
    pairs_ship_batch: int = Field(512, ge=1, description="Pairs in one request, at most.")
    pairs_ship_batch_bytes: int = Field(
        4 * 2**20, ge=2**16, description="Size of their lines, before encoding and compression."
    )
    pairs_ship_max_wait: float = Field(
        30.0, gt=0, description="Seconds before a receiver that failed is tried again, at most."
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
