"""The Admin API client: switch a flag, set its rollout, read its event log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self
from urllib.parse import quote

from flags.unleash.admin.api import AdminApi
from flags.unleash.admin.errors import (
    EnvironmentMissingError,
    FlagChangedError,
    FlagKeyError,
    FlagMissingError,
    FlagShapeError,
    ItemMissingError,
    NameTakenError,
    ProjectMissingError,
    TagError,
    UnleashFailedError,
)
from flags.unleash.admin.events import Author, all_events
from flags.unleash.admin.flag import FlagEvent, FlagState
from flags.unleash.admin.note import put_note
from flags.unleash.admin.project_setup import client_token, ensure_context_field
from flags.unleash.admin.strategy import Strategy, checked_percent, rollout_strategy, variant


class UnleashAdmin:
    """A client that administers flags of one project in one environment, with an admin token.

    `url` is Unleash's base URL, with or without `/api`. Every request takes at most `timeout`
    seconds to the last byte of its answer. Every failure is an AdminError. The token is never part
    of a message or a `repr`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        environment: str,
        project: str = "default",
        timeout: float = 5,
    ) -> None:
        self._api = AdminApi(url, token, timeout)
        self.environment = environment
        self.project = project

    def __repr__(self) -> str:
        return f"UnleashAdmin({self.url!r}, {self.environment!r}, project={self.project!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to Unleash."""
        self._api.close()

    @property
    def url(self) -> str:
        """Base URL of the dashboard."""
        return self._api.url

    def check(self) -> None:
        """Raise an AdminError unless the token is accepted and project and environment exist."""
        names = self.environments()
        if self.environment not in names:
            raise self._environment_missing(names)

    def environments(self) -> list[str]:
        """Return the names of the project's environments."""
        try:
            overview = self._api.call("GET", "projects", self.project, "overview")
        except ItemMissingError:
            raise self._project_missing() from None
        return self._api.read(
            lambda: [str(each["environment"]) for each in overview["environments"]]
        )

    def author(self) -> Author:
        """Return the author under which the event log records the changes of this token."""
        answer = self._api.call("GET", "user")
        return self._api.read(lambda: Author.parse(answer))

    def flag_url(self, key: str) -> str:
        """Return the address of the flag's page in the dashboard."""
        return f"{self.url}/projects/{quote(self.project, safe='')}/features/{quote(key, safe='')}"

    def state(self, key: str) -> FlagState:
        """Return the current state of the flag; an archived flag is off, without strategies.

        Raises FlagMissingError, EnvironmentMissingError or ProjectMissingError.
        """
        try:
            feature = self._api.call("GET", *self._flag(key))
        except ItemMissingError:
            return self._archived(key)
        state = self._api.read(
            lambda: FlagState.parse(feature, self.environment, self.flag_url(key))
        )
        if state is None:
            raise self._environment_missing(
                self._api.read(lambda: [str(each["name"]) for each in feature["environments"]])
            )
        return state

    def create_flag(self, key: str, type: str, description: str) -> None:
        """Create a flag, off in all environments; NameTakenError if the key is or was in use."""
        self._flag(key)  # checks the key before Unleash sees it
        body = {"name": key, "type": type, "description": description}
        try:
            self._api.call("POST", "projects", self.project, "features", body=body)
        except ItemMissingError:
            raise self._project_missing() from None

    def add_rollout(self, key: str, percent: int, stickiness: str) -> None:
        """Add a gradual rollout to the flag, with the flag's key as group id."""
        body = rollout_strategy(percent, stickiness, group_id=key)
        self._api.call("POST", *self._flag(key), *self._here(), "strategies", body=body)

    def set_rollout(self, key: str, percent: int, *, expected: int | None = None) -> None:
        """Set the rollout to `percent`, a whole number from 0 to 100.

        An increase fails with FlagChangedError if the rollout is not `expected`, or changes during
        the call: somebody may just be rolling back, or have taken the same step. It is an increase
        if `percent` is above the rollout or above `expected`. A decrease is never refused.
        """
        checked_percent(percent)
        strategy = self._rollout_strategy(key)
        replace = {"op": "replace", "path": "/parameters/rollout", "value": str(percent)}
        present = strategy.rollout
        is_increase = present is None or percent > min(
            present, present if expected is None else expected
        )
        if not is_increase:
            self._patch(key, strategy, [replace])
            return
        if expected is not None and present != expected:
            raise FlagChangedError(
                f"{key} is at {strategy.rollout_text} %, not at {expected} %: somebody has moved it"
            )
        unchanged = {"op": "test", "path": "/parameters/rollout", "value": strategy.rollout_text}
        try:
            self._patch(key, strategy, [unchanged, replace])
        except UnleashFailedError as error:
            # unleash-server answers a failed JSON Patch test (RFC 6902 section 4.6) with 500.
            if "Test operation failed" in str(error):
                raise FlagChangedError(f"{key} was moved by somebody else just now") from None
            raise

    def set_variant_payload(self, key: str, payload: Mapping[str, Any] | None) -> None:
        """Set the payload of the rollout, e.g. {"threshold": 0.93}; None removes it.

        The payload is that of the variant `candidate`, which every request gets if the rollout
        includes it.
        """
        strategy = self._rollout_strategy(key)
        variants = [] if payload is None else [variant(payload, strategy.stickiness or "default")]
        self._patch(key, strategy, [{"op": "add", "path": "/variants", "value": variants}])

    def turn_on(self, key: str) -> None:
        """Switch the flag on. Raises FlagShapeError without an active strategy.

        Unleash would add a strategy of 100 % to such a flag.
        """
        if not self.state(key).active_strategies:
            raise FlagShapeError(
                f"{key} has no active strategy in {self.environment}: switched on, Unleash would "
                "give it 100 %; add or enable a rollout first"
            )
        self._api.call("POST", *self._flag(key), *self._here(), "on")

    def turn_off(self, key: str) -> datetime | None:
        """Switch the flag off, which rolls back, by a single request.

        Return the time of the change by Unleash's clock, to the second; None if that is unknown.
        """
        try:
            self._api.call("POST", *self._flag(key), *self._here(), "off")
        except ItemMissingError:
            self.state(key)  # says which of project, environment and flag is missing
            raise
        return self._api.answered_at

    def events(self, key: str, limit: int = 50) -> list[FlagEvent]:
        """Return the event log of the flag in this environment, newest first."""
        self._flag(key)
        query = {"feature": f"IS:{key}", "limit": str(limit)}
        answer = self._api.call("GET", "search", "events", query=query)
        events = self._api.read(lambda: [FlagEvent.parse(event) for event in answer["events"]])
        return [event for event in events if event.environment in {None, self.environment}]

    def all_events(self, key: str, page: int = 500) -> list[FlagEvent]:
        """Return the whole event log of the flag in this environment, newest first.

        The log is read in pages of `page` entries, at most 1,000.
        """
        self._flag(key)
        events = self._api.read(lambda: all_events(self._api, key, page))
        return [event for event in events if event.environment in {None, self.environment}]

    def note(self, key: str, text: str) -> str:
        """Set `text`, cut to 50 characters, as the flag's only tag of the type `migration`.

        Return the text as it was stored. It replaces an earlier note; the event log keeps all of
        them, with time and user. A tag is used because Unleash's events have no comments.
        """
        self._flag(key)
        return self._api.read(lambda: put_note(self._api, key, text))

    def tag(self, key: str, value: str) -> None:
        """Add a tag of 2 to 50 characters to the flag, such as `rolled-back`. Raises TagError."""
        if not 2 <= len(value) <= 50:
            raise TagError(f"a tag has 2 to 50 characters, {value!r} has {len(value)}")
        self._flag(key)
        self._api.call("POST", "features", key, "tags", body={"type": "simple", "value": value})

    def link(self, key: str, url: str, title: str) -> None:
        """Add a link to the flag's page, such as the report behind a decision."""
        self._api.call("POST", *self._flag(key), "link", body={"url": url, "title": title})

    def ensure_context_field(
        self, name: str, description: str = "", *, stickiness: bool
    ) -> Literal["created", "changed", "present"]:
        """Create the context field, or set its stickiness; return what was done."""
        return ensure_context_field(self._api, name, description, stickiness=stickiness)

    def client_token(self, name: str) -> str:
        """Return the client (backend) token of that name for this project; create it if absent."""
        return client_token(self._api, name, self.environment, self.project)

    def _rollout_strategy(self, key: str) -> Strategy:
        state = self.state(key)
        if state.rollout_strategy is None:
            raise FlagShapeError(
                f"{key} has {len(state.strategies)} strategies in {self.environment} "
                f"({', '.join(s.name for s in state.strategies) or 'none'}), where one gradual "
                "rollout is needed"
            )
        return state.rollout_strategy

    def _patch(self, key: str, strategy: Strategy, patch: list[dict[str, Any]]) -> None:
        """Send a PATCH. A PUT that does not repeat the variants would delete them."""
        path = (*self._flag(key), *self._here(), "strategies", strategy.id)
        self._api.call("PATCH", *path, body=patch)

    def _flag(self, key: str) -> tuple[str, ...]:
        if key in {"", ".", ".."} or quote(key, safe="~.-_!*'()") != key:
            raise FlagKeyError(
                f"{key!r} cannot be the key of an Unleash flag: it is not URL friendly"
            )
        return ("projects", self.project, "features", key)

    def _here(self) -> tuple[str, str]:
        return ("environments", self.environment)

    def _archived(self, key: str) -> FlagState:
        """Return an archived flag, which Unleash reports as missing.

        Raises the ItemMissingError of what is really missing: project, environment or flag.
        """
        self.check()
        try:
            # Check whether the name is free: searching the archive has a limit of 15 per minute.
            self._api.call("POST", "features", "validate", body={"name": key})
        except NameTakenError as taken:
            if "archived" in str(taken):
                url = self.flag_url(key)
                return FlagState(key, None, self.environment, False, True, (), url)
        raise FlagMissingError(f"{self.url} has no flag {key} in project {self.project}")

    def _project_missing(self) -> ProjectMissingError:
        return ProjectMissingError(f"{self.url} has no project {self.project}")

    def _environment_missing(self, names: list[str]) -> EnvironmentMissingError:
        return EnvironmentMissingError(
            f"project {self.project} on {self.url} has no environment {self.environment}, "
            f"only {', '.join(names)}"
        )
