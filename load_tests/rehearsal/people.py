"""A person who is logged in to Unleash's dashboard and changes flags there."""

from collections.abc import Mapping
from typing import Any

import requests

from flags.unleash.admin import FlagState
from flags.unleash.admin.strategy import variant
from flags.unleash.local import LocalUnleash


class Person:
    """A person's login; the event log names the person as the author of its changes."""

    def __init__(self, unleash: LocalUnleash) -> None:
        self._url = unleash.url
        self._browser = requests.Session()
        self._browser.trust_env = False
        password = unleash.data.credentials().admin_password
        self._call("POST", "auth/simple/login", {"username": "admin", "password": password})

    def switch_on(self, state: FlagState) -> None:
        """Switch a flag on, at its present rollout."""
        self._call("POST", f"{_place(state)}/on")

    def give_payload(self, state: FlagState, payload: Mapping[str, Any]) -> None:
        """Set the payload of the flag's rollout."""
        strategy = state.strategies[0]
        variants = [variant(payload, strategy.stickiness or "default")]
        patch = [{"op": "add", "path": "/variants", "value": variants}]
        self._call("PATCH", f"{_place(state)}/strategies/{strategy.id}", patch)

    def close(self) -> None:
        """Close the connection."""
        self._browser.close()

    def _call(self, method: str, path: str, body: Any = None) -> None:
        answer = self._browser.request(method, f"{self._url}/{path}", json=body, timeout=10)
        answer.raise_for_status()


def _place(state: FlagState) -> str:
    return f"api/admin/projects/default/features/{state.key}/environments/{state.environment}"
