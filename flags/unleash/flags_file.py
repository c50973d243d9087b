"""The flags file of a migration: a gradual rollout, sticky on the request id."""

import json
from pathlib import Path
from typing import Any

from flags.errors import FlagsFileError
from flags.files import replace_file


def write_flags_file(path: Path, flag: str, rollout: int, *, enabled: bool = True) -> None:
    """Write `flag` with `rollout` percent atomically; other flags in the file stay.

    Raises FlagsFileError if the rollout is not from 0 to 100, an existing file is not a flags file,
    or the folder does not exist.
    """
    if rollout not in range(101):  # Unleash's engine evaluates a fraction as 0
        raise FlagsFileError(f"rollout is {rollout}: it must be a whole number from 0 to 100")
    content = _content(path)
    kept = [each for each in content["features"] if each.get("name") != flag]
    content["features"] = [_feature(flag, rollout, enabled), *kept]
    _replace(path, json.dumps(content, indent=2) + "\n")


def flags_document(flag: str, rollout: int, *, enabled: bool = True) -> dict[str, Any]:
    """Return the content of a flags file with this one flag, in the format of Unleash's engine."""
    return {"version": 2, "features": [_feature(flag, rollout, enabled)]}


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"version": 2, "features": []}
    except (OSError, ValueError) as error:
        raise FlagsFileError(f"{path} cannot be read as a flags file: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("features"), list):
        raise FlagsFileError(f"{path} is not a flags file: it has no array `features`")
    return content


def _feature(flag: str, rollout: int, enabled: bool) -> dict[str, Any]:
    return {
        "name": flag,
        "type": "release",
        "enabled": enabled,
        "strategies": [
            {
                "name": "flexibleRollout",
                "parameters": {
                    "rollout": str(rollout),
                    "stickiness": "requestId",
                    "groupId": flag,
                },
                "constraints": [],
            }
        ],
    }


def _replace(path: Path, text: str) -> None:
    if not path.parent.is_dir():  # not created: the path may be mistyped
        raise FlagsFileError(f"{path} cannot be written: there is no folder {path.parent}")
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise FlagsFileError(f"{path} cannot be written: {error.strerror}") from None
