"""The evaluation part of the OpenFeature specification, held by the provider through the SDK.

https://openfeature.dev/specification/sections/flag-evaluation, .../providers, .../hooks,
.../evaluation-context, .../tracking.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions, Reason
from openfeature.hook import Hook, HookContext
from openfeature.track import TrackingEventDetails

from flags.unleash.provider import FlagFile, UnleashProvider
from flags.unleash.tracking import CountedEvents
from tests.support.flags_file import FlagsOnDisk, document, flag, gradual

DOMAIN = "openfeature-evaluation-tests"
DEFAULTS: dict[str, tuple[Any, Any]] = {
    "boolean": (True, False),
    "string": ("a", "b"),
    "integer": (1, 2),
    "float": (1.5, 2.5),
    "object": ({"a": 1}, [1]),
}
OF_EACH_TYPE = pytest.mark.parametrize(
    ("kind", "default"), [(kind, each) for kind, both in DEFAULTS.items() for each in both]
)


def varied(name: str, kind: str, value: str, **others: Any) -> dict[str, Any]:
    payload = {"type": kind, "value": value}
    variant = {"name": "v", "weight": 1000, "payload": payload, "stickiness": "default"}
    return gradual("100", name, variants=[variant], **others)


def features() -> list[dict[str, Any]]:
    constraint = {"contextName": "country", "operator": "IN", "values": ["FR"]}
    return [
        gradual("100", "on"),
        gradual("100", "disabled", enabled=False),
        varied("disabled with a variant", "string", "text", enabled=False),
        varied("none of them", "string", "text") | {"strategies": gradual("0")["strategies"]},
        varied("text", "string", "text"),
        varied("list", "csv", "a,b"),
        varied("number", "number", "42"),
        varied("json", "json", '{"threshold": 0.9}'),
        varied("deep", "json", "[" * 100_000),
        varied("digits", "number", "9" * 5_000),
        flag({"name": "default", "constraints": [constraint]}, "french"),
    ]


@pytest.fixture(scope="module")
def counted() -> CountedEvents:
    return CountedEvents()


@pytest.fixture(scope="module", autouse=True)
def _provider(tmp_path_factory: pytest.TempPathFactory, counted: CountedEvents) -> Iterator[None]:
    file = FlagsOnDisk(tmp_path_factory.mktemp("flags") / "flags.json")
    file.write_text(document(*features()))
    api.set_provider_and_wait(UnleashProvider(FlagFile(file.path), track=counted), domain=DOMAIN)
    yield
    api.clear_providers()


@pytest.fixture
def client() -> Iterator[OpenFeatureClient]:
    yield api.get_client(DOMAIN)
    api.set_evaluation_context(EvaluationContext())
    api.clear_hooks()


def ask(
    client: OpenFeatureClient, kind: str, name: str, default: Any
) -> FlagEvaluationDetails[Any]:
    details: FlagEvaluationDetails[Any] = getattr(client, f"get_{kind}_details")(
        name, default, EvaluationContext("request-1")
    )
    return details


@OF_EACH_TYPE
@pytest.mark.parametrize("name", ["disabled", "disabled with a variant"])
def test_a_disabled_flag_gives_the_callers_default_without_an_error(
    client: OpenFeatureClient, kind: str, default: Any, name: str
) -> None:
    details = ask(client, kind, name, default)
    assert (details.value, details.reason, details.error_code) == (default, Reason.DISABLED, None)
    assert details.variant == "off"


@OF_EACH_TYPE
def test_a_missing_flag_gives_the_callers_default_and_an_error(
    client: OpenFeatureClient, kind: str, default: Any
) -> None:
    details = ask(client, kind, "missing", default)
    assert (details.value, details.reason) == (default, Reason.ERROR)
    assert details.error_code is ErrorCode.FLAG_NOT_FOUND
    assert "does not exist" in str(details.error_message)


@pytest.mark.parametrize("name", ["text", "list", "number"])
@pytest.mark.parametrize("default", [True, False])
def test_a_boolean_of_a_flag_with_a_value_of_another_type_is_a_mismatch(
    client: OpenFeatureClient, name: str, default: bool
) -> None:
    details = ask(client, "boolean", name, default)
    assert (details.value, details.error_code) == (default, ErrorCode.TYPE_MISMATCH)


def test_a_json_payload_configures_what_the_boolean_switches_on(client: OpenFeatureClient) -> None:
    """The thresholds of a migration travel so."""
    details = ask(client, "boolean", "json", False)
    assert (details.value, details.error_code, details.variant) == (True, None, "v")
    assert details.flag_metadata["payload"] == '{"threshold": 0.9}'


@OF_EACH_TYPE
def test_values_of_another_type_are_a_mismatch_and_the_default(
    client: OpenFeatureClient, kind: str, default: Any
) -> None:
    others = {"integer": "text", "float": "list", "object": "number", "string": "on"}
    if kind in others:
        details = ask(client, kind, others[kind], default)
        assert (details.value, details.error_code) == (default, ErrorCode.TYPE_MISMATCH)


@pytest.mark.parametrize(
    ("kind", "name", "default"), [("object", "deep", {}), ("integer", "digits", 7)]
)
def test_a_payload_that_python_cannot_read_is_a_mismatch(
    client: OpenFeatureClient, kind: str, name: str, default: Any
) -> None:
    details = ask(client, kind, name, default)
    assert (details.value, details.error_code) == (default, ErrorCode.TYPE_MISMATCH)


def test_a_context_that_the_flag_is_off_for_gives_the_default_and_no_error(
    client: OpenFeatureClient,
) -> None:
    details = ask(client, "string", "none of them", "default")
    assert (details.value, details.error_code, details.variant) == ("default", None, "off")


def test_contexts_are_merged_and_the_call_goes_before_the_client_before_the_global_one(
    client: OpenFeatureClient,
) -> None:
    def is_on(context: EvaluationContext | None = None) -> bool:
        return client.get_boolean_value("french", False, context)

    assert not is_on()
    api.set_evaluation_context(EvaluationContext("r", {"country": "FR"}))
    assert is_on()
    client.context = EvaluationContext("r", {"country": "DE"})
    assert not is_on()
    assert is_on(EvaluationContext("r", {"country": "FR"}))
    assert not is_on(EvaluationContext("r", {"city": "Paris"}))


class Noting(Hook):
    """A hook that notes its stages."""

    def __init__(self, name: str, noted: list[str]) -> None:
        self.name, self.noted = name, noted

    def before(self, hook_context: HookContext, hints: Any) -> None:
        self.noted.append(f"before {self.name}")

    def after(self, hook_context: HookContext, details: Any, hints: Any) -> None:
        self.noted.append(f"after {self.name}")

    def error(self, hook_context: HookContext, exception: Exception, hints: Any) -> None:
        self.noted.append(f"error {self.name}")

    def finally_after(self, hook_context: HookContext, details: Any, hints: Any) -> None:
        self.noted.append(f"finally {self.name}")


@pytest.mark.parametrize(("name", "stage"), [("on", "after"), ("missing", "error")])
def test_hooks_run_from_outside_in_and_back(
    client: OpenFeatureClient, name: str, stage: str
) -> None:
    noted: list[str] = []
    api.add_hooks([Noting("api", noted)])
    client.add_hooks([Noting("client", noted)])
    options = FlagEvaluationOptions(hooks=[Noting("call", noted)])
    client.get_boolean_value(name, False, EvaluationContext("r"), options)
    assert noted == [
        *("before api", "before client", "before call"),
        *(f"{stage} call", f"{stage} client", f"{stage} api"),
        *("finally call", "finally client", "finally api"),
    ]


def test_what_an_application_tracks_reaches_the_sink_with_its_merged_context(
    client: OpenFeatureClient, counted: CountedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "flags.unleash.tracking")
    api.set_evaluation_context(EvaluationContext(attributes={"country": "FR"}))
    for _ in range(2):
        client.track("order", EvaluationContext("request-1"), TrackingEventDetails(value=99.5))
    client.track("\x1b[2J")
    assert counted.counts["order"] == 2
    assert len(counted.counts) == 2
    assert "tracked order of 'request-1', value 99.5" in caplog.text
    assert "\x1b" not in caplog.text


def test_a_sink_of_ones_own_gets_the_event_and_may_fail(
    flags_file: FlagsOnDisk, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    def sink(*event: Any) -> None:
        seen.append(event)
        raise RuntimeError("no place left")

    provider = UnleashProvider(FlagFile(flags_file.path), track=sink)
    context, details = EvaluationContext("request-1"), TrackingEventDetails(value=1)
    provider.track("order", context, details)
    assert seen == [("order", context, details)]
    assert "a tracked event was not taken" in caplog.text


def test_names_of_events_that_never_repeat_do_not_fill_the_memory() -> None:
    counted = CountedEvents()
    for number in range(5_000):
        counted(f"event {number}", None, None)
    assert counted.counts["other"] == 4_000
    assert len(counted.counts) == 1_001
