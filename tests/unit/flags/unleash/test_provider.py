"""The provider over a real flags file and Unleash's real engine."""

import contextlib
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from UnleashClient import UnleashClient

from flags.pairing.assignment import FlagAssignment, Side
from flags.unleash.freshness import State
from flags.unleash.provider import FlagFile, FlagServer, UnleashProvider
from flags.unleash.source import FilePoller
from tests.support.fakes import FakeClock, eventually
from tests.support.flags_file import FlagsOnDisk, document, flag, gradual
from tests.support.unleash.bare_client import bare_client

DOMAIN = "provider-tests"
PERCENTAGES = (0, 1, 5, 10, 50, 100)


@pytest.fixture(autouse=True)
def _no_provider_left() -> Iterator[None]:
    yield
    api.clear_providers()


def started(source: FlagFile | FlagServer, **options: Any) -> UnleashProvider:
    """Return a provider that the SDK has initialised, whatever came of it."""
    provider = UnleashProvider(source, **options)
    with contextlib.suppress(ProviderNotReadyError):
        api.set_provider_and_wait(provider, domain=DOMAIN)
    return provider


def client() -> OpenFeatureClient:
    return api.get_client(DOMAIN)


def is_on(name: str, request_id: str, **attributes: Any) -> bool:
    return client().get_boolean_value(name, False, EvaluationContext(request_id, attributes))


class Events:
    """The provider's events as an application sees them, through the SDK's own channel."""

    def __init__(self) -> None:
        self._seen: queue.Queue[tuple[ProviderEvent, EventDetails]] = queue.Queue()
        self._taking: list[tuple[ProviderEvent, Callable[[EventDetails], None]]] = []
        for kind in ProviderEvent:

            def take(details: EventDetails, kind: ProviderEvent = kind) -> None:
                if details.provider_name == "unleash":
                    self._seen.put((kind, details))

            self._taking.append((kind, take))

    def __enter__(self) -> "Events":
        for kind, take in self._taking:
            api.add_handler(kind, take)
        return self

    def __exit__(self, *_: object) -> None:
        for kind, take in self._taking:
            api.remove_handler(kind, take)

    def next(self, kind: ProviderEvent) -> EventDetails:
        """Return the next event of this kind."""
        while True:
            seen, details = self._seen.get(timeout=20)
            if seen is kind:
                return details


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnleashClient]:
    """Return Unleash's own client on the same flags, without anything of ours."""
    flags = tmp_path_factory.mktemp("bare") / "flags.json"
    flags.write_text(json.dumps(_content()), encoding="utf-8")
    made = bare_client(flags)
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnleashProvider]:
    """Return our provider on one flag per rollout, all of one group."""
    on_disk = FlagsOnDisk(tmp_path_factory.mktemp("flags") / "flags.json")
    on_disk.write(*_content()["features"])
    made = UnleashProvider(FlagFile(on_disk.path))
    made.initialize(EvaluationContext())
    yield made
    made.shutdown()


class TestEvaluation:
    """Rollouts, stickiness, reasons: what the engine says, and nothing else."""

    @given(request_id=st.text(min_size=1, max_size=128), user_id=st.none() | st.text(max_size=40))
    @settings(max_examples=150, deadline=None)
    def test_raising_the_rollout_only_adds_ids_and_each_is_as_unleash_has_it(
        self,
        provider: UnleashProvider,
        bare: UnleashClient,
        request_id: str,
        user_id: str | None,
    ) -> None:
        attributes = {} if user_id is None else {"userId": user_id}
        context = EvaluationContext(request_id, attributes)
        ours = [
            provider.resolve_boolean_details(f"flag-{each}", False, context).value
            for each in PERCENTAGES
        ]
        theirs = [
            bare.is_enabled(f"flag-{each}", {"requestId": request_id, **attributes})
            for each in PERCENTAGES
        ]
        assert ours == theirs
        assert ours == sorted(ours)  # off, ..., off, on, ..., on: never back
        assert (ours[0], ours[-1]) == (False, True)

    @pytest.mark.parametrize("rollout", PERCENTAGES)
    def test_the_share_of_ids_is_the_rollout(self, provider: UnleashProvider, rollout: int) -> None:
        contexts = (EvaluationContext(f"request-{index}") for index in range(4000))
        on = [
            provider.resolve_boolean_details(f"flag-{rollout}", False, each).value
            for each in contexts
        ]
        assert 100 * on.count(True) / len(on) == pytest.approx(rollout, abs=2)

    def test_the_same_id_gets_the_same_side_whatever_else_comes_with_it(
        self, provider: UnleashProvider
    ) -> None:
        for index in range(50):
            values = {
                provider.resolve_boolean_details(
                    "flag-50", False, EvaluationContext(f"r{index}", {"userId": user})
                ).value
                for user in ("", "u1", "u2")
            }
            assert len(values) == 1

    def test_a_flag_may_be_sticky_on_another_field(self, provider: UnleashProvider) -> None:
        by_user = {
            user: {
                provider.resolve_boolean_details(
                    "by-user", False, EvaluationContext(f"r{index}", {"userId": user})
                ).value
                for index in range(20)
            }
            for user in map(str, range(40))
        }
        assert all(len(values) == 1 for values in by_user.values())
        assert {True, False} == set.union(*by_user.values())

    def test_a_sticky_field_that_is_not_sent_is_off(self, provider: UnleashProvider) -> None:
        details = provider.resolve_boolean_details("by-user", False, EvaluationContext("r1"))
        assert details.value is False

    def test_without_a_context_a_rollout_is_off_and_a_plain_flag_on(
        self, provider: UnleashProvider
    ) -> None:
        assert provider.resolve_boolean_details("flag-100", False).value is False
        assert provider.resolve_boolean_details("plain", False).value is True

    @pytest.mark.parametrize(
        ("name", "value", "reason", "variant", "rollout"),
        [
            ("flag-100", True, Reason.STATIC, "on", 100.0),
            ("flag-0", False, Reason.STATIC, "off", 0.0),
            ("plain", True, Reason.STATIC, "on", 100.0),
            ("french", False, Reason.TARGETING_MATCH, "off", 100.0),
            ("json", True, Reason.STATIC, "j", 100.0),
        ],
    )
    def test_what_is_said_beside_the_value(
        self,
        provider: UnleashProvider,
        name: str,
        value: bool,
        reason: Reason,
        variant: str,
        rollout: float,
    ) -> None:
        details = provider.resolve_boolean_details(name, not value, EvaluationContext("r1"))
        assert (details.value, details.reason, details.variant) == (value, reason, variant)
        assert details.flag_metadata["rollout"] == rollout
        assert details.flag_metadata["enabled"] is True
        assert details.error_code is None

    def test_a_split_is_called_one(self, provider: UnleashProvider) -> None:
        details = provider.resolve_boolean_details("flag-50", False, EvaluationContext("r1"))
        assert details.reason == Reason.SPLIT
        assert details.flag_metadata["rollout"] == 50.0

    def test_at_100_percent_a_field_that_not_everybody_sends_is_still_a_split(
        self, provider: UnleashProvider
    ) -> None:
        """STATIC would promise the same value to every request."""
        for user, value in (("u1", True), (None, False)):
            attributes = {} if user is None else {"userId": user}
            details = provider.resolve_boolean_details(
                "every-user", False, EvaluationContext("r1", attributes)
            )
            assert (details.value, details.reason) == (value, Reason.SPLIT)

    def test_a_payload_is_known_at_any_rollout(self, provider: UnleashProvider) -> None:
        details = provider.resolve_boolean_details("tuned", True, EvaluationContext("r1"))
        assert details.value is False
        assert details.flag_metadata["payload"] == '{"threshold": 0.9}'

    def test_a_constraint_is_met_by_an_attribute(self, provider: UnleashProvider) -> None:
        context = EvaluationContext("r1", {"country": "FR"})
        assert provider.resolve_boolean_details("french", False, context).value is True

    def test_an_attribute_without_a_value_is_not_sent(self, provider: UnleashProvider) -> None:
        context = EvaluationContext("r1", {"country": None})  # type: ignore[dict-item]
        assert provider.resolve_boolean_details("french", True, context).value is False

    def test_a_flag_that_does_not_exist_is_said_so(self, provider: UnleashProvider) -> None:
        details = provider.resolve_boolean_details("flga", True, EvaluationContext("r1"))
        assert (details.value, details.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
        assert "flag flga does not exist in the flags file" in str(details.error_message)

    def test_payloads_have_the_type_that_is_asked_for(self, provider: UnleashProvider) -> None:
        context = EvaluationContext("r1")
        assert provider.resolve_integer_details("number", 0, context).value == 42
        assert provider.resolve_float_details("number", 0.0, context).value == 42.0
        assert provider.resolve_string_details("number", "", context).value == "42"
        json_details = provider.resolve_object_details("json", {}, context)
        assert json_details.value == {"limit": 0.5}
        assert json_details.variant == "j"
        assert json_details.flag_metadata["payload"] == '{"limit": 0.5}'

    @pytest.mark.parametrize(
        ("ask", "name", "default"),
        [
            ("integer", "json", 7),
            ("float", "json", 7.5),
            ("object", "number", {"default": True}),
            ("string", "plain", "default"),
        ],
    )
    def test_a_payload_that_is_absent_or_of_another_type_is_the_default(
        self, provider: UnleashProvider, ask: str, name: str, default: Any
    ) -> None:
        resolve = getattr(provider, f"resolve_{ask}_details")
        details = resolve(name, default, EvaluationContext("r1"))
        assert (details.value, details.error_code) == (default, ErrorCode.TYPE_MISMATCH)
        assert name in details.error_message

    def test_what_is_wrong_with_a_flag_can_be_asked(self, provider: UnleashProvider) -> None:
        assert provider.warnings("flag-50") == []
        assert provider.warnings("by-user") == []
        (missing,) = provider.warnings("flga")
        assert missing.startswith("flag flga does not exist in the flags file")
        (beyond,) = provider.warnings("beyond")
        assert beyond.startswith("rollout is '150'")
        (by_tenant,) = provider.warnings("by-tenant")
        assert by_tenant.startswith("stickiness is 'tenantId', which is not sent")

    def test_a_rollout_beyond_100_is_0_in_value_and_in_metadata(
        self, provider: UnleashProvider
    ) -> None:
        details = provider.resolve_boolean_details("beyond", True, EvaluationContext("r1"))
        assert (details.value, details.flag_metadata["rollout"]) == (False, 0.0)

    def test_the_provider_has_a_name_and_flags(self, provider: UnleashProvider) -> None:
        assert provider.get_metadata().name == "unleash"
        assert provider.has_flags
        definition = provider.definition("flag-50")
        assert definition is not None
        assert definition.rollout == 50.0
        assert provider.definition("flga") is None


def _content() -> dict[str, Any]:
    group = [gradual(str(each), f"flag-{each}") for each in PERCENTAGES]
    for each in group:
        each["strategies"][0]["parameters"]["groupId"] = "flag"
    constraint = {"contextName": "country", "operator": "IN", "values": ["FR"]}
    return {
        "version": 2,
        "features": [
            *group,
            gradual("50", "by-user", stickiness="userId"),
            gradual("50", "by-tenant", stickiness="tenantId"),
            gradual("100", "every-user", stickiness="userId"),
            gradual("0", "tuned", variants=[_variant("t", "json", '{"threshold": 0.9}')]),
            gradual("150", "beyond"),
            gradual("100", "flag-off", enabled=False),
            flag(None, "plain"),
            flag({"name": "default", "constraints": [constraint]}, "french"),
            flag(None, "number", variants=[_variant("n", "number", "42")]),
            flag(None, "json", variants=[_variant("j", "json", '{"limit": 0.5}')]),
        ],
    }


def _variant(name: str, kind: str, value: str) -> dict[str, Any]:
    payload = {"type": kind, "value": value}
    return {"name": name, "weight": 1000, "payload": payload, "stickiness": "default"}


class TestFlagsFile:
    """Edits, mistakes and losses of the file, as an application sees them through the SDK."""

    def test_an_edit_takes_effect_and_is_told(self, flags_file: FlagsOnDisk) -> None:
        flags_file.write(gradual("0"), gradual("50", "other"))
        started(FlagFile(flags_file.path))
        assert not is_on("flag", "r1")
        with Events() as events:
            flags_file.write(gradual("100"), gradual("50", "other"), gradual("1", "new"))
            details = events.next(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
        assert sorted(details.flags_changed or []) == ["flag", "new"]
        assert is_on("flag", "r1")

    def test_a_missing_file_leaves_the_primary_and_recovers_by_itself(
        self, flags_file: FlagsOnDisk, caplog: pytest.LogCaptureFixture
    ) -> None:
        provider = started(FlagFile(flags_file.path))
        assign = FlagAssignment("flag", DOMAIN)
        assert provider.state is State.NOT_READY
        assert not provider.has_flags
        assignment = assign("r1")
        assert (assignment.active, assignment.error) == (Side.PRIMARY, "provider_not_ready")
        assert "No such file or directory" in str(assignment.error_message)
        with Events() as events:
            flags_file.roll_out("100")
            events.next(ProviderEvent.PROVIDER_READY)
        assert assign("r1").active is Side.CANDIDATE
        assert provider.has_flags
        told = [
            record.message for record in caplog.records if record.name == "flags.unleash.flag_log"
        ]
        assert told[0].endswith(
            "cannot be read: No such file or directory; there are no flags, so the primary answers"
        )
        assert told[1:] == [f"the flags file {flags_file.path} is good again"]

    def test_a_bad_edit_keeps_the_last_good_flags_and_is_told_once(
        self, flags_file: FlagsOnDisk, caplog: pytest.LogCaptureFixture
    ) -> None:
        flags_file.roll_out("100")
        provider = started(FlagFile(flags_file.path))
        flags_file.write_text("{")
        assert eventually(lambda: provider.error is not None)
        time.sleep(1.2)  # one more look
        assert is_on("flag", "r1")
        assert provider.state is State.READY
        (record,) = [each for each in caplog.records if each.name == "flags.unleash.flag_log"]
        assert record.levelno == logging.WARNING
        assert record.message.endswith("the last good flags stay in use")
        flags_file.roll_out("0")
        assert eventually(lambda: not is_on("flag", "r1"))
        assert provider.error is None

    def test_a_flag_that_the_engine_refuses_leaves_the_primary_is_told_once_and_recovers(
        self, flags_file: FlagsOnDisk, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A rollout of 0 as a number: nobody can say that the candidate may still answer."""
        flags_file.write(gradual("100"), gradual("100", "other"))
        provider = started(FlagFile(flags_file.path))
        assign = FlagAssignment("flag", DOMAIN)
        assert assign("r1").active is Side.CANDIDATE
        flags_file.write(gradual(0), gradual("100", "other"))
        assert eventually(lambda: assign("r1").error == "parse_error")
        assert assign("r1").active is Side.PRIMARY
        assert is_on("other", "r1")
        assert provider.state is State.READY
        assert list(provider.left_out) == ["flag"]
        assert any("left out" in each for each in provider.warnings("flag"))
        assert provider.warnings("other") == ["left out is the flag flag"]
        time.sleep(1.2)  # one more look
        (line,) = [each.message for each in caplog.records if "left out" in each.message]
        assert "left out is the flag flag: Unleash's engine refuses it" in line
        flags_file.write(gradual("100"), gradual("100", "other"))
        assert eventually(lambda: assign("r1").active is Side.CANDIDATE)
        assert provider.left_out == {}
        assert "no flag is left out any more" in caplog.text

    def test_names_that_could_steer_a_terminal_are_not_logged(
        self, flags_file: FlagsOnDisk, caplog: pytest.LogCaptureFixture
    ) -> None:
        flags_file.write(gradual(0, "\x1b[2Jred\n"), gradual("5", "\ud800"), gradual("5"))
        started(FlagFile(flags_file.path))
        assert eventually(lambda: "left out is 2 flags" in caplog.text)
        for record in caplog.records:
            assert record.getMessage().isprintable()

    def test_a_clock_that_is_set_back_does_not_stop_the_looks(
        self, flags_file: FlagsOnDisk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flags_file.roll_out("100")
        started(FlagFile(flags_file.path))
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 3600)
        flags_file.roll_out("100", enabled=False)
        assert eventually(lambda: not is_on("flag", "r1"), within=5)

    def test_a_look_that_never_ends_is_told_of_by_the_watchdog(
        self,
        flags_file: FlagsOnDisk,
        clock: FakeClock,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        flags_file.roll_out("100")
        provider = started(FlagFile(flags_file.path), clock=clock)
        ended = threading.Event()  # as of a disk that does not answer
        monkeypatch.setattr(FilePoller, "poll", lambda _: ended.wait(60) and None)
        time.sleep(1.5)
        with Events() as events:
            clock.advance(4)
            events.next(ProviderEvent.PROVIDER_STALE)
        assert f"the flags file {flags_file.path} does not answer" in caplog.text
        assert is_on("flag", "r1")
        monkeypatch.undo()
        ended.set()
        assert eventually(lambda: provider.state is State.READY, within=60)

    def test_a_flag_that_is_removed_leaves_the_primary(self, flags_file: FlagsOnDisk) -> None:
        flags_file.roll_out("100")
        started(FlagFile(flags_file.path))
        assign = FlagAssignment("flag", DOMAIN)
        assert assign("r1").active is Side.CANDIDATE
        flags_file.write()
        assert eventually(lambda: assign("r1").active is Side.PRIMARY)
        assert assign("r1").error == "flag_not_found"

    def test_what_is_wrong_with_an_edited_flag_is_logged(
        self, flags_file: FlagsOnDisk, caplog: pytest.LogCaptureFixture
    ) -> None:
        flags_file.write(gradual("10"))
        started(FlagFile(flags_file.path))
        assert not is_on("other", "r1")
        is_on("flag", "r1")
        flags_file.write(
            gradual("150"),
            gradual("5", "other", stickiness="random"),
            gradual("5", "of another team", stickiness="random"),
        )
        assert eventually(lambda: "flag other: stickiness is random" in caplog.text)
        assert "flag flag: rollout is '150', not a whole number" in caplog.text
        assert "another team" not in caplog.text

    def test_a_shadow_flag_switches_or_samples_the_shadow(self, flags_file: FlagsOnDisk) -> None:
        flags_file.write(gradual("0"), gradual("50", "flag.shadow"))
        started(FlagFile(flags_file.path))
        assign = FlagAssignment("flag", DOMAIN)
        scored = [assign(f"r{index}").shadow for index in range(200)]
        assert 60 < scored.count(True) < 140
        flags_file.write(gradual("0"), gradual("100", "flag.shadow", enabled=False))
        assert eventually(lambda: not any(assign(f"r{index}").shadow for index in range(200)))
        flags_file.write(gradual("0"))
        assert eventually(lambda: all(assign(f"r{index}").shadow for index in range(200)))

    def test_flags_grow_stale_then_expire_and_come_back(
        self, flags_file: FlagsOnDisk, clock: FakeClock
    ) -> None:
        flags_file.roll_out("100")
        provider = started(FlagFile(flags_file.path), max_staleness=60.0, clock=clock)
        assign = FlagAssignment("flag", DOMAIN)
        with Events() as events:
            flags_file.path.unlink()
            assert eventually(lambda: provider.error is not None)
            assert assign("r1").active is Side.CANDIDATE

            clock.advance(3.5)
            details = events.next(ProviderEvent.PROVIDER_STALE)
            assert "cannot be read" in str(details.message)
            assert assign("r1").reason == "stale"
            assert assign("r1").active is Side.CANDIDATE  # the last good flags still count
            assert provider.age == pytest.approx(3.5)

            clock.advance(60)
            assert assign("r1").active is Side.PRIMARY  # at once, without waiting for a look
            assert assign("r1").error == "provider_not_ready"
            assert not provider.has_flags
            events.next(ProviderEvent.PROVIDER_ERROR)

            flags_file.roll_out("100")
            events.next(ProviderEvent.PROVIDER_READY)
        assert assign("r1").active is Side.CANDIDATE

    def test_two_providers_in_one_process_keep_their_own_flags(
        self, flags_file: FlagsOnDisk, tmp_path: Path
    ) -> None:
        other = FlagsOnDisk(tmp_path / "other.json")
        flags_file.roll_out("0")
        other.roll_out("100")
        providers = [UnleashProvider(FlagFile(each.path)) for each in (flags_file, other)]
        for provider in providers:
            provider.initialize(EvaluationContext())
        context = EvaluationContext("r1")
        values = [each.resolve_boolean_details("flag", False, context).value for each in providers]
        for provider in providers:
            provider.shutdown()
        assert values == [False, True]

    def test_a_provider_that_was_never_started_answers_with_the_default(
        self, flags_file: FlagsOnDisk
    ) -> None:
        provider = UnleashProvider(FlagFile(flags_file.path))
        details = provider.resolve_boolean_details("flag", True)
        assert (details.value, details.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
        provider.shutdown()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestServerThatIsNotThere:
    """What a start without the server comes to; a real server is asked in the integration tests."""

    @pytest.fixture
    def refused(self) -> str:
        """Return an address at which nothing listens."""
        return f"http://127.0.0.1:{unused_port()}/api"

    @pytest.fixture
    def silent(self) -> Iterator[str]:
        """Return an address that takes connections and never answers."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/api"

    def test_the_primary_answers(self, refused: str) -> None:
        started(FlagServer(refused, "token", request_timeout=1))
        assignment = FlagAssignment("flag", DOMAIN)("r1")
        assert (assignment.active, assignment.error) == (Side.PRIMARY, "provider_not_ready")
        assert assignment.error_message == f"{refused} does not answer"

    def test_the_start_does_not_wait_for_a_silent_server(self, silent: str) -> None:
        provider = UnleashProvider(
            FlagServer(silent, "token", request_timeout=2), start_timeout=0.1
        )
        began = time.monotonic()
        with pytest.raises(ProviderNotReadyError):
            provider.initialize(EvaluationContext())
        assert time.monotonic() - began < 2  # before the first request has timed out
        provider.shutdown()

    def test_a_bootstrap_is_used_at_once_and_grows_stale(
        self, refused: str, tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        bootstrap = tmp_path / "bootstrap.json"
        bootstrap.write_text(document(gradual("100")))
        with Events() as events:
            provider = started(
                FlagServer(refused, "token", refresh_interval=1, bootstrap=bootstrap), clock=clock
            )
            assert is_on("flag", "r1")
            assert provider.state is State.READY
            clock.advance(3.5)
            details = events.next(ProviderEvent.PROVIDER_STALE)
        assert details.message == f"{refused} does not answer"
        assert is_on("flag", "r1")
        assert f"{refused} does not answer; the last good flags stay in use" in caplog.text

    @pytest.mark.parametrize("token", ["a-secret\n", "a\r\nsecret"])
    def test_a_token_that_no_header_can_hold_is_not_quoted(
        self, refused: str, token: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        provider = started(FlagServer(refused, token))
        assert provider.error == f"{refused} cannot be asked: no header can hold the token"
        assert "secret" not in caplog.text

    def test_a_malformed_address_is_said_so(self) -> None:
        provider = started(FlagServer("unleash:4242", "token"))
        assert "cannot be asked: " in str(provider.error)

    def test_the_token_is_in_no_description(self) -> None:
        assert repr(FlagServer("http://u/api", "a-secret")) == (
            "FlagServer(url='http://u/api', token='***')"
        )
