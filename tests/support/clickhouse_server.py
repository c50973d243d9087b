"""ClickHouse's engine behind its HTTP interface, on the loopback interface.

ClickHouse has no server in a wheel, but its engine, chdb. This puts as much of the HTTP interface
before it as its client asks for: statements, external tables, users, databases, error codes.

    python -m tests.support.clickhouse_server    prints its port, and serves until its input ends
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.parser import BytesParser
from email.policy import HTTP
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.support.loopback_server import QuietExchange

USER = "reader"
PASSWORD = "pass-word-of-the-reader"  # noqa: S105 - of no account
GUEST = "guest"
"""A user with the same password who may make no table, not even a temporary one."""
ROOT = Path(__file__).resolve().parents[2]
_CODE = re.compile(r"Code: (\d+)")


class Exchange(QuietExchange):
    """Answer one statement."""

    protocol_version = "HTTP/1.1"
    engine: Any = None
    turn = threading.Lock()

    def handle_one_request(self) -> None:
        """Take statements of a MiB in a URL, as ClickHouse does; the library takes 64 KiB."""
        self.raw_requestline = self.rfile.readline(2**20)
        self.close_connection = not self.raw_requestline
        if self.raw_requestline and self.parse_request():
            getattr(self, f"do_{self.command}")()
            self.wfile.flush()

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Answer a ping, or a statement in the URL."""
        if urlsplit(self.path).path == "/ping":
            self._reply(200, b"Ok.\n")
        else:
            self._serve(b"")

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        """Answer a statement, with the tables that are sent along."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._serve(b"".join(iter(self._chunk, b"")))
        else:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _chunk(self) -> bytes:
        content = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return content

    def _serve(self, body: bytes) -> None:
        asked = {name: found[-1] for name, found in parse_qs(urlsplit(self.path).query).items()}
        user, password = self._user(asked)
        if user not in (USER, GUEST) or password != PASSWORD:
            self._reply(403, b"Code: 516. DB::Exception: Authentication failed", code="516")
            return
        kind = self.headers.get("Content-Type", "")
        parts = _parts(kind, body) if kind.startswith("multipart/") else {}
        sent = parts.pop("query", b"") if parts else body
        statement, rows = _rows(asked.get("query", "").encode() + sent)
        if user == GUEST and statement.startswith("CREATE"):
            self._reply(500, b"Code: 497. DB::Exception: Not enough privileges", code="497")
            return
        with self.turn, tempfile.TemporaryDirectory() as folder:
            if rows:
                (Path(folder) / "rows.native").write_bytes(rows)
                file = f"'{Path(folder) / 'rows.native'}'"
                statement = statement.replace(
                    " FORMAT Native", f" FROM INFILE {file} FORMAT Native"
                )
            self._answer(statement, asked, parts, Path(folder))

    def _answer(
        self, statement: str, asked: dict[str, str], parts: dict[str, bytes], folder: Path
    ) -> None:
        try:
            self.engine.query(f"USE {asked.get('database', 'default')}")
            self.engine.query(f"SET join_use_nulls = {int(asked.get('join_use_nulls', 0))}")
            for name, content in parts.items():
                (folder / name).write_bytes(content)
                self.engine.query(
                    f"CREATE TEMPORARY TABLE {name} AS SELECT * FROM file('{folder / name}', "  # noqa: S608
                    f"{asked[f'{name}_format']}, '{asked[f'{name}_structure']}')"
                )
            found = self.engine.query(statement, "TabSeparated")
            self._reply(200, bytes(found.bytes() or b""))
        except Exception as error:  # whatever the engine says goes to the client
            said = str(error)
            code = match[1] if (match := _CODE.search(said)) else "1002"
            self._reply(500, said.encode(), code=code)
        finally:
            for name in parts:
                self.engine.query(f"DROP TEMPORARY TABLE IF EXISTS {name}")

    def _user(self, asked: dict[str, str]) -> tuple[str | None, str | None]:
        from base64 import b64decode

        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            user, _, password = b64decode(given).decode().partition(":")
            return user, password
        return (
            self.headers.get("X-ClickHouse-User", asked.get("user")),
            self.headers.get("X-ClickHouse-Key", asked.get("password")),
        )

    def _reply(self, status: int, content: bytes, code: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-ClickHouse-Summary", "{}")
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(content)


def _rows(sent: bytes) -> tuple[str, bytes]:
    """Return a statement, and the rows that follow it where it inserts some."""
    statement, end, rows = sent.partition(b" FORMAT Native\n")
    if sent.lstrip()[:6].upper() == b"INSERT" and end:
        return statement.decode() + " FORMAT Native", rows
    return sent.decode().strip(), b""


def _parts(kind: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by their names."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(
            part.get_payload(decode=True) or b""
        )
        for part in message.iter_parts()
    }


class ClickHouseServer:
    """Speak to a running server as an administrator does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"clickhouse://127.0.0.1:{port}"

    def client(self) -> Any:
        """Return a client of clickhouse-connect."""
        import clickhouse_connect

        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=USER, password=PASSWORD, compress=False
        )


@contextmanager
def clickhouse_server() -> Iterator[ClickHouseServer]:
    """Run the server in a process of its own."""
    program = subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        server = ClickHouseServer(int(program.stdout.readline()))
        requests.get(f"http://127.0.0.1:{server.port}/ping", timeout=30).raise_for_status()
        yield server
    finally:
        program.communicate(timeout=30)


def main() -> None:
    """Serve until the input ends."""
    import chdb

    Exchange.engine = chdb.connect(":memory:")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201 - who started it reads it
    with suppress(KeyboardInterrupt):
        sys.stdin.read()
    os._exit(0)  # the engine's threads would keep the process


if __name__ == "__main__":
    main()
