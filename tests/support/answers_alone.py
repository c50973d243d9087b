"""Ask a BentoML service without us, in a process of its own: BentoML serves one per process."""

import base64
import json
import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from tests.support.fraud_store import run

Asked = Mapping[str, Mapping[str, Any]]
"""Routes and JSON bodies by a name of the question; an upload is `{"upload": [name, text]}`."""


def answers_alone(target: str, asked: Asked, home: Path) -> dict[str, httpx.Response]:
    """Return what the service `module:name` answers."""
    program = "from tests.support.answers_alone import main; main()"
    printed = run(program, target, json.dumps(asked), home=home)
    return {
        what: httpx.Response(status, headers=headers, content=base64.b64decode(body))
        for what, (status, headers, body) in json.loads(printed.splitlines()[-1]).items()
    }


def main() -> None:
    """Print the answers as JSON."""
    warnings.simplefilter("ignore")  # of Starlette, about its test client
    from starlette.testclient import TestClient

    module, _, name = sys.argv[1].partition(":")
    with TestClient(getattr(import_module(module), name).to_asgi()) as client:
        answers = {
            what: client.post(each["url"], **payload(each))
            for what, each in json.loads(sys.argv[2]).items()
        }
    told = {
        what: (
            answer.status_code,
            dict(answer.headers),
            base64.b64encode(answer.content).decode(),
        )
        for what, answer in answers.items()
    }
    sys.stdout.write(json.dumps(told))


def payload(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of an HTTP client's `post`."""
    if "upload" in asked:
        name, text = asked["upload"]
        return {"files": {"upload": (name, text.encode(), "text/plain")}}
    return {"json": asked["json"]}
