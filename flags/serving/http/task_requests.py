"""Find the request id of a task that was submitted: BentoML keeps each request until it is done."""

import json
import sqlite3
from contextlib import closing, suppress
from typing import Final

from starlette.types import Scope

from flags.serving.bentoml_private import BentoMLContainer

SUBMIT: Final = "/submit"

ABOUT_A_TASK: Final = ("/status", "/get", "/retry", "/cancel")
"""Routes behind that of a task which name one that was submitted."""


def keep_id(scope: Scope, header: str, request_id: str) -> None:
    """Add the id to the headers of a submission, with which BentoML keeps them."""
    name = header.lower().encode()
    if all(each != name for each, _ in scope["headers"]):
        scope["headers"] = [*scope["headers"], (name, request_id.encode("latin-1", "replace"))]


def kept_headers(task_id: str) -> dict[str, str]:
    """Return the headers with which a task was submitted; none if it is not known. Blocks."""
    found: dict[str, str] = {}
    with suppress(sqlite3.Error, ValueError, LookupError, TypeError):
        place = BentoMLContainer.result_store_file.get()
        with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=1.0)) as store:
            row = store.execute("SELECT input FROM result WHERE task_id = ?", (task_id,)).fetchone()
        if row is not None:
            found = dict(json.loads(row[0])["scope"]["headers"])
    return found
