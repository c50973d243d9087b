"""Servers of object stores on the loopback interface, for as long as a test needs one.

S3 by moto, Google's by an emulator of it, Azure's by Azurite, which `make azurite` gets from npm.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from comparison.pairs.stores.systems import file_system
from flags.unleash.local.packages import node
from flags.unleash.local.program import Program
from flags.unleash.local.server import free_port
from tests.support.paths import ROOT

BUCKET = "migrations"
SECRET = "a-secret-word-of-forty-characters-length"  # noqa: S105 - of no account

AZURITE = ROOT / ".venv" / "azurite" / "node_modules" / "azurite" / "dist/src/blob/main.js"
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of Azurite's only account: its documentation has it."""

_VARIABLES = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR", "AZURE_")


class ObjectStore:
    """Name the server and the scheme of its URLs, and change who may do what."""

    scheme = "s3"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @contextmanager
    def closed_to_all(self) -> Iterator[None]:
        """Refuse each request: nobody has a policy that allows it."""
        requests.post(f"{self.endpoint}/moto-api/reset-auth", data="0", timeout=10)
        try:
            yield
        finally:
            requests.post(f"{self.endpoint}/moto-api/reset-auth", data="inf", timeout=10)


class GoogleStore(ObjectStore):
    """Speak to Google's emulator, which asks nobody for credentials."""

    scheme = "gs"

    @contextmanager
    def closed_to_all(self) -> Iterator[None]:
        """Turn to Google itself, with credentials in a file that is not there."""
        with pytest.MonkeyPatch.context() as environment:
            environment.delenv("STORAGE_EMULATOR_HOST")
            environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/not/there.json")
            yield


class AzureStore(ObjectStore):
    """Speak to Azurite."""

    scheme = "az"

    @contextmanager
    def closed_to_all(self) -> Iterator[None]:
        """Come with another key."""
        told = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AZURE_STORAGE_CONNECTION_STRING", told.replace(_KEY, "b3RoZXI="))
            yield


@contextmanager
def object_store(scheme: str = "s3") -> Iterator[ObjectStore]:
    """Start a server with an empty bucket, and point the environment at it."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(_VARIABLES)]:
            environment.delenv(name)
        with {"s3": _amazon, "gs": _google, "az": _azure}[scheme](environment) as store:
            yield store


@contextmanager
def _amazon(environment: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    from moto.server import ThreadedMotoServer
    from pyarrow.fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    environment.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    made = S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
    )
    made.create_dir(BUCKET)
    try:
        yield ObjectStore(endpoint)
    finally:
        server.stop()


@contextmanager
def _google(environment: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--in-memory", "--quiet"]
    # In a process of its own: Arrow's client of this store keeps Python's lock while it waits.
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", *options]
    endpoint = f"http://127.0.0.1:{port}"
    environment.setenv("STORAGE_EMULATOR_HOST", endpoint)
    with _running("Google's emulator", [*command, "--default-bucket", BUCKET], endpoint):
        yield GoogleStore(endpoint)


@contextmanager
def _azure(environment: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    if not AZURITE.is_file():
        pytest.skip("no Azurite: make azurite")
    port = free_port()
    # Arrow names a newer version of the interface than any Azurite knows.
    options = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    command = [str(node()), str(AZURITE), "--blobPort", str(port), *options]
    endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    environment.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"AccountName={_ACCOUNT};AccountKey={_KEY};BlobEndpoint={endpoint};",
    )
    with _running("Azurite", command, endpoint):
        file_system("az", BUCKET).create_dir(BUCKET)
        yield AzureStore(endpoint)


@contextmanager
def _running(name: str, command: Sequence[str], url: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        server = Program(name, Path(folder) / "server.log")
        server.start(command, environment=dict(os.environ), folder=Path(folder))
        try:
            server.wait_until(lambda: _answers(url), 60)
            yield
        finally:
            server.stop(seconds=20)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code > 0
    except requests.RequestException:
        return False
