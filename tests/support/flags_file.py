"""Write a flags file by hand, as an editor or a deployment would."""

import json
from pathlib import Path
from typing import Any


class FlagsOnDisk:
    """A flags file; each write replaces it in one step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *features: dict[str, Any], **others: Any) -> None:
        """Write `features`, and `others` beside them."""
        self.write_text(document(*features, **others))

    def write_text(self, text: str) -> None:
        """Write anything."""
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.path)

    def roll_out(self, rollout: object, name: str = "flag", **others: Any) -> None:
        """Write one flag with a gradual rollout."""
        self.write(gradual(rollout, name, **others))


def document(*features: dict[str, Any], **others: Any) -> str:
    """Return flags in Unleash's client-features format."""
    return json.dumps({"version": 2, "features": list(features), **others})


def gradual(
    rollout: object,
    name: str = "flag",
    *,
    enabled: bool = True,
    stickiness: str = "requestId",
    **others: Any,
) -> dict[str, Any]:
    """Return a flag with a gradual rollout."""
    parameters = {"rollout": rollout, "stickiness": stickiness, "groupId": name}
    return flag({"name": "flexibleRollout", "parameters": parameters}, name, enabled, **others)


def flag(
    strategy: dict[str, Any] | None = None, name: str = "flag", enabled: bool = True, **others: Any
) -> dict[str, Any]:
    """Return a flag with one strategy, or none."""
    strategies = [] if strategy is None else [strategy]
    return {"name": name, "type": "release", "enabled": enabled, "strategies": strategies, **others}
