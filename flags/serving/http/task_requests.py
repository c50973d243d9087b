"""The request id of a submitted task, found in BentoML's store of task requests."""

import json
import sqlite3
from contextlib import closing, suppress
from typing import Final

from starlette.types import Scope

from flags.serving.bentoml_private import BentoMLContainer

SUBMIT: Final = "/submit"

ABOUT_A_TASK: Final = ("/status", "/get", "/retry", "/cancel")
"""Suffixes of a task's route for requests about a submitted task."""


def add_id_header(scope: Scope, header: str, request_id: str) -> None:
    """Add the id to the headers of a submission, which BentoML stores."""
    name = header.lower().encode()
    if all(each != name for each, _ in scope["headers"]):
        scope["headers"] = [*scope["headers"], (name, request_id.encode("latin-1", "replace"))]


def submission_headers(task_id: str) -> dict[str, str]:
    """Return the headers of a task's submission; empty if the task is unknown. Blocks."""
    headers: dict[str, str] = {}
    with suppress(sqlite3.Error, ValueError, LookupError, TypeError):
        path = BentoMLContainer.result_store_file.get()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)) as store:
            row = store.execute("SELECT input FROM result WHERE task_id = ?", (task_id,)).fetchone()
        if row is not None:
            headers = dict(json.loads(row[0])["scope"]["headers"])
    return headers
