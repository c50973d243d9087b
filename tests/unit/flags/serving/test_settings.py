"""Settings by environment variable; invalid ones are refused early."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from flags.export.pair_files import FileLimits
from flags.export.shipped_file import ShippingLimits
from flags.pairing.limits import Limits
from flags.serving.settings import Settings
from flags.unleash.provider import FlagFile, FlagServer


def test_without_variables_the_flags_come_from_a_file_beside_the_service() -> None:
    settings = Settings()
    assert settings.flag_source == FlagFile(Path("flags.json"))
    assert settings.sent_fields == ("userId", "sessionId")
    assert settings.limits == Limits()
    assert settings.file_limits == FileLimits()
    assert settings.shipping_limits == ShippingLimits()
    assert settings.flags_required is False
    assert settings.max_request_bytes is None


VARIABLES: list[tuple[str, str, Any]] = [
    ("FLAGS_REFRESH_INTERVAL", "7", 7),
    ("FLAGS_REQUEST_TIMEOUT", "3", 3),
    ("FLAGS_FILE", "/etc/flags.json", Path("/etc/flags.json")),
    ("FLAGS_CACHE_DIR", "/var/cache", Path("/var/cache")),
    ("FLAGS_BOOTSTRAP_FILE", "/etc/first.json", Path("/etc/first.json")),
    ("FLAGS_MAX_STALENESS", "60", 60.0),
    ("FLAGS_REQUIRED", "true", True),
    ("MIGRATION_ENDPOINTS", "false", False),
    ("UNLEASH_DASHBOARD_URL", "https://flags.example.com", "https://flags.example.com"),
    ("REQUEST_ID_HEADER", "X-Correlation-Id", "X-Correlation-Id"),
    ("UNIT_KEY", "a key of sixteen", SecretStr("a key of sixteen")),
    ("USER_ID_HEADER", "", ""),
    ("SESSION_ID_HEADER", "X-S", "X-S"),
    ("MIGRATION_HOSTS", '["fraud.example"]', ["fraud.example"]),
    ("REQUEST_ID_TRUSTED", "false", False),
    ("CONTEXT_HEADERS", '{"X-Tenant": "tenantId"}', {"X-Tenant": "tenantId"}),
    ("MODEL_SIDE_HEADER", "", ""),
    ("MODEL_TAG_HEADER", "X-M", "X-M"),
    ("MAX_REQUEST_BYTES", "1024", 1024),
    ("PRIMARY_TIMEOUT", "2.5", 2.5),
    ("CANDIDATE_TIMEOUT", "0.2", 0.2),
    ("CANDIDATE_ITEM_TIMEOUT", "9", 9.0),
    ("SHADOW_TIMEOUT", "1", 1.0),
    ("SHADOW_CONCURRENCY", "4", 4),
    ("SHADOW_INTERVAL", "0.1", 0.1),
    ("SHADOW_SINGLE", "0.2", 0.2),
    ("SHADOW_MAX_SHARE", "0.5", 0.5),
    ("INSURANCE", "lazy", "lazy"),
    ("CANDIDATE_START_TIMEOUT", "5", 5.0),
    ("CANDIDATE_MAX_MEMORY", "1073741824", 2**30),
    ("GC_FREEZE", "false", False),
    ("PAIRS_DIR", "/data/pairs", Path("/data/pairs")),
    ("PAIRS_FLUSH_INTERVAL", "0.05", 0.05),
    ("PAIRS_ROTATE_BYTES", "65536", 65536),
    ("PAIRS_MAX_BYTES", "1048576", 1048576),
    ("PAIRS_QUEUE_BYTES", "65536", 65536),
    ("PAIRS_COMPRESSION", "gzip", "gzip"),
    ("DRAIN_TIMEOUT", "1.5", 1.5),
    ("PAIRS_SHIP_INTERVAL", "0.5", 0.5),
    ("PAIRS_SHIP_BATCH", "100", 100),
    ("PAIRS_SHIP_BATCH_BYTES", "65536", 65536),
    ("PAIRS_SHIP_MAX_WAIT", "5", 5.0),
    ("CANDIDATE_URL", "http://far", "http://far"),
    ("CANDIDATE_TOKEN", "secret", SecretStr("secret")),
    ("CANDIDATE_CA_FILE", "/run/ca.pem", Path("/run/ca.pem")),
    ("CANDIDATE_CERT_FILE", "/run/tls.pem", Path("/run/tls.pem")),
    ("CANDIDATE_CONNECTIONS", "5", 5),
    ("CANDIDATE_CHECK_INTERVAL", "5", 5.0),
    ("CANDIDATE_FAILURES", "3", 3),
]


@pytest.mark.parametrize(("variable", "text", "value"), VARIABLES)
def test_each_setting_is_the_variable_of_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(Settings(), variable.lower()) == value


def test_every_setting_is_in_the_list_above() -> None:
    of_a_pair = {"unleash_url", "unleash_api_token", "candidate_key_file"}
    listed = {variable.lower() for variable, *_ in VARIABLES} | of_a_pair
    assert set(Settings.model_fields) - listed == set()


def test_the_key_of_a_certificate_is_given_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDIDATE_KEY_FILE", "/run/tls.key")
    with pytest.raises(ValidationError, match="CANDIDATE_CERT_FILE is not"):
        Settings()
    monkeypatch.setenv("CANDIDATE_CERT_FILE", "/run/tls.pem")
    assert Settings().link.key_file == Path("/run/tls.key")


def test_an_empty_token_of_the_candidate_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDIDATE_TOKEN", " ")
    assert Settings().link.token is None


def test_a_short_key_is_refused_without_being_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIT_KEY", "hunter2")
    with pytest.raises(ValidationError, match="shorter than 16 characters") as refused:
        Settings()
    assert "hunter2" not in str(refused.value)


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_server_is_used_where_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEASH_URL", "http://127.0.0.1:4242/api")
    monkeypatch.setenv("UNLEASH_API_TOKEN", "default:development.secret\n")
    monkeypatch.setenv("FLAGS_CACHE_DIR", "/var/cache")
    monkeypatch.setenv("FLAGS_REFRESH_INTERVAL", "5")
    assert Settings().flag_source == FlagServer(
        "http://127.0.0.1:4242/api",
        "default:development.secret",  # mounted secrets end in a line feed
        refresh_interval=5,
        request_timeout=2,
        cache=Path("/var/cache"),
    )


def test_the_token_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEASH_URL", "http://127.0.0.1:4242/api")
    monkeypatch.setenv("UNLEASH_API_TOKEN", "default:development.secret")
    settings = Settings()
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "secret" not in shown
    assert "secret" not in repr(settings.flag_source)


def test_a_server_without_a_token_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UNLEASH_URL", "http://127.0.0.1:4242/api")
    with pytest.raises(ValidationError, match="UNLEASH_API_TOKEN is not: set both or neither"):
        Settings()


def test_an_empty_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a compose file in which the variable is there and has no value."""
    monkeypatch.setenv("UNLEASH_URL", "")
    assert isinstance(Settings().flag_source, FlagFile)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FLAGS_REFRESH_INTERVAL", "0"),
        ("FLAGS_REQUEST_TIMEOUT", "0"),
        ("FLAGS_MAX_STALENESS", "0"),
        ("PRIMARY_TIMEOUT", "-1"),
        ("CANDIDATE_TIMEOUT", "0"),
        ("SHADOW_TIMEOUT", "soon"),
        ("SHADOW_CONCURRENCY", "0"),
        ("CANDIDATE_START_TIMEOUT", "0"),
        ("CANDIDATE_MAX_MEMORY", "1"),
        ("MAX_REQUEST_BYTES", "0"),
        ("PAIRS_FLUSH_INTERVAL", "2"),
        ("PAIRS_ROTATE_BYTES", "1"),
        ("PAIRS_MAX_BYTES", "1"),
        ("PAIRS_QUEUE_BYTES", "1"),
        ("PAIRS_COMPRESSION", "bzip2"),
        ("PAIRS_SHIP_INTERVAL", "0"),
        ("PAIRS_SHIP_BATCH", "0"),
        ("PAIRS_SHIP_BATCH_BYTES", "1"),
        ("PAIRS_SHIP_MAX_WAIT", "-1"),
        ("REQUEST_ID_HEADER", "X Request Id"),
        ("MODEL_TAG_HEADER", "X-Tag\r\nX-Evil: 1"),
        ("MODEL_SIDE_HEADER", "X-Seite-ä"),
        ("USER_ID_HEADER", "X-User:"),
        ("CONTEXT_HEADERS", "X-Tenant"),
    ],
)
def test_a_value_that_cannot_work_is_an_error_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises((ValidationError, ValueError), match=variable.lower()):
        Settings()


@pytest.mark.parametrize("field", ["requestId", "userId", "sessionId"])
def test_a_field_that_has_a_header_of_its_own_cannot_be_mapped_again(field: str) -> None:
    with pytest.raises(ValidationError, match=r"have headers of their own: REQUEST_ID_HEADER"):
        Settings(context_headers={"X-Tenant": field})


def test_the_fields_that_are_sent_follow_the_headers() -> None:
    settings = Settings(user_id_header="", context_headers={"X-Tenant": "tenantId"})
    assert settings.sent_fields == ("sessionId", "tenantId")


def test_limits_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, text in (
        ("PRIMARY_TIMEOUT", "1"),
        ("CANDIDATE_TIMEOUT", "2"),
        ("SHADOW_TIMEOUT", "3"),
        ("SHADOW_CONCURRENCY", "4"),
        ("PAIRS_FLUSH_INTERVAL", "0.5"),
        ("PAIRS_ROTATE_BYTES", "65537"),
        ("PAIRS_MAX_BYTES", "1048577"),
        ("PAIRS_QUEUE_BYTES", "65538"),
        ("PAIRS_COMPRESSION", "none"),
        ("PAIRS_SHIP_INTERVAL", "2"),
        ("PAIRS_SHIP_BATCH", "3"),
        ("PAIRS_SHIP_BATCH_BYTES", "65539"),
        ("PAIRS_SHIP_MAX_WAIT", "4"),
    ):
        monkeypatch.setenv(variable, text)
    assert Settings().limits == Limits(1, 2, 3, 4, batched_concurrency=16)
    assert Settings().file_limits == FileLimits(0.5, 65537, 1048577, 65538, None)
    assert Settings().shipping_limits == ShippingLimits(3, 65539, 2, 4)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().shadow_concurrency = 5  # type: ignore[misc]
