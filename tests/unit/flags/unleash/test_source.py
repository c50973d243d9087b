"""What each look at a flag source comes to, and which flags outlive a restart."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flags.errors import FlagSourceError
from flags.unleash.document import FlagDocument
from flags.unleash.source import FilePoller, FlagCache, FlagFile, FlagServer, ServerPoller
from tests.support.flags_file import FlagsOnDisk, document, gradual

URL, TOKEN = "http://127.0.0.1:4242/api", "default:production.a-very-secret-token"
FIVE, TEN = document(gradual("5")), document(gradual("10"))
BAD = ["", "nonsense", "<html>502</html>", "[]", '{"features": 5}']


def rollout(found: FlagDocument | None) -> float | None:
    assert found is not None
    return found.flags["flag"].rollout


class TestFile:
    def test_flags_are_read_once_and_then_confirmed(self, flags_file: FlagsOnDisk) -> None:
        flags_file.write_text(FIVE)
        poller = FilePoller(FlagFile(flags_file.path))
        assert poller.cached() is None
        assert rollout(poller.poll()) == 5
        assert [poller.poll() for _ in range(2)] == [None] * 2

    def test_an_edit_is_seen_at_the_next_look(self, flags_file: FlagsOnDisk) -> None:
        flags_file.write_text(FIVE)
        poller = FilePoller(FlagFile(flags_file.path))
        poller.poll()
        flags_file.write_text(TEN)
        assert rollout(poller.poll()) == 10

    def test_an_edit_in_place_of_the_same_length_is_seen(self, flags_file: FlagsOnDisk) -> None:
        flags_file.write_text(FIVE)
        poller = FilePoller(FlagFile(flags_file.path))
        poller.poll()
        flags_file.path.write_text(FIVE.replace('"5"', '"6"'))
        os.utime(flags_file.path, ns=(1, 1))
        assert rollout(poller.poll()) == 6

    @pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
    def test_what_could_be_read_for_ever_is_an_error_and_the_next_file_is_read(
        self, tmp_path: Path, kind: str
    ) -> None:
        path = tmp_path / "flags.json"
        poller = FilePoller(FlagFile(path))
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            path.touch()
            os.truncate(path, 2**40)
        with pytest.raises(FlagSourceError, match="not a file of at most 64 MiB"):
            poller.poll()
        path.rename(tmp_path / "before")
        path.write_text(TEN)
        assert rollout(poller.poll()) == 10

    @pytest.mark.parametrize("bad", BAD)
    def test_a_bad_edit_is_an_error_at_each_look_until_it_is_repaired(
        self, flags_file: FlagsOnDisk, bad: str
    ) -> None:
        flags_file.write_text(FIVE)
        poller = FilePoller(FlagFile(flags_file.path))
        poller.poll()
        flags_file.write_text(bad)
        for _ in range(2):
            with pytest.raises(FlagSourceError, match=str(flags_file.path)):
                poller.poll()
        flags_file.write_text(TEN)
        assert rollout(poller.poll()) == 10

    def test_a_file_that_comes_back_is_read_anew(self, flags_file: FlagsOnDisk) -> None:
        flags_file.write_text(FIVE)
        poller = FilePoller(FlagFile(flags_file.path))
        poller.poll()
        kept = flags_file.path.rename(flags_file.path.with_suffix(".kept"))
        with pytest.raises(FlagSourceError, match="cannot be read: No such file or directory"):
            poller.poll()
        kept.rename(flags_file.path)
        assert rollout(poller.poll()) == 5

    def test_a_folder_or_other_bytes_than_utf_8_are_errors(self, tmp_path: Path) -> None:
        latin = tmp_path / "latin.json"
        latin.write_bytes(b'{"features": [], "x": "\xff"}')
        for path, words in ((tmp_path, "Is a directory"), (latin, "it is not UTF-8")):
            with pytest.raises(FlagSourceError, match=words):
                FilePoller(FlagFile(path)).poll()


class Server:
    """An HTTP server that answers every request with the same, and 304 to its own ETag."""

    def __init__(self) -> None:
        self.status, self.body, self.etag = 200, FIVE, "v1"
        self.location = ""
        self.sent: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                outer.sent.append(dict(self.headers))
                confirmed = outer.etag and self.headers["If-None-Match"] == outer.etag
                body = b"" if confirmed else outer.body.encode()
                self.send_response(304 if confirmed else outer.status)
                self.send_header("Content-Length", str(len(body)))
                if outer.etag:
                    self.send_header("ETag", outer.etag)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.end_headers()
                self.wfile.write(body)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def source(self, cache: Path | None = None) -> FlagServer:
        url = f"http://127.0.0.1:{self.http.server_port}/api"
        return FlagServer(url, TOKEN, cache=cache, request_timeout=5)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


class TestServer:
    def test_a_good_answer_is_confirmed_by_its_etag(self, server: Server) -> None:
        poller = ServerPoller(server.source())
        assert rollout(poller.poll()) == 5
        assert poller.poll() is None
        server.body, server.etag = TEN, "v2"
        assert rollout(poller.poll()) == 10
        assert server.sent[0]["Authorization"] == TOKEN
        assert server.sent[1]["If-None-Match"] == "v1"

    def test_an_answer_without_etag_that_has_not_changed_is_the_same_document(
        self, server: Server
    ) -> None:
        server.etag = ""
        poller = ServerPoller(server.source())
        assert poller.poll() is poller.poll()

    def test_older_flags_that_come_back_count(self, server: Server) -> None:
        poller = ServerPoller(server.source())
        poller.poll()
        server.body, server.etag = TEN, ""
        poller.poll()
        server.body, server.etag = FIVE, "v1"
        assert rollout(poller.poll()) == 5

    @pytest.mark.parametrize("bad", BAD)
    def test_a_bad_answer_is_refused_and_its_etag_with_it(self, server: Server, bad: str) -> None:
        """With the ETag kept, the server would answer 304 to what was never taken."""
        poller = ServerPoller(server.source())
        poller.poll()
        server.body, server.etag = bad, "v2"
        for _ in range(2):
            with pytest.raises(FlagSourceError, match=r"the answer of http.*/api is"):
                poller.poll()
        server.body = TEN
        assert rollout(poller.poll()) == 10

    def test_not_modified_confirms_no_flags_if_nothing_was_asked_of_them(
        self, server: Server, tmp_path: Path
    ) -> None:
        """Flags of an earlier run would be fresh for as long as the server is broken."""
        FlagCache(server.source(tmp_path)).store(FIVE)
        poller = ServerPoller(server.source(tmp_path))
        assert rollout(poller.cached()) == 5
        server.status, server.etag = 304, ""
        with pytest.raises(FlagSourceError, match="status 304"):
            poller.poll()

    def test_a_redirect_to_no_address_is_an_error(self, server: Server) -> None:
        server.status, server.location = 302, "http://[::1"
        with pytest.raises(FlagSourceError, match="does not answer"):
            ServerPoller(server.source()).poll()

    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
    def test_another_status_is_an_error_that_names_it(self, server: Server, status: int) -> None:
        server.status, server.etag = status, ""
        with pytest.raises(FlagSourceError, match=f"answers with status {status}"):
            ServerPoller(server.source()).poll()

    def test_the_last_good_answer_is_there_after_a_restart(
        self, server: Server, tmp_path: Path
    ) -> None:
        ServerPoller(server.source(tmp_path)).poll()
        server.body, server.etag = "nonsense", ""
        again = ServerPoller(server.source(tmp_path))
        assert rollout(again.cached()) == 5
        with pytest.raises(FlagSourceError):
            again.poll()
        assert "If-None-Match" not in server.sent[-1]  # the first look asks for everything
        assert rollout(ServerPoller(server.source(tmp_path)).cached()) == 5

    @pytest.mark.parametrize("token", ["a secret\n", "sécret☃"])
    def test_a_token_that_no_header_can_hold_is_not_quoted(
        self, server: Server, token: str
    ) -> None:
        source = FlagServer(server.source().url, token)
        with pytest.raises(FlagSourceError) as error:
            ServerPoller(source).poll()
        assert token.strip() not in str(error.value)

    def test_a_password_in_the_address_is_in_no_message(self) -> None:
        source = FlagServer("http://user:secret@127.0.0.1:9/api", "token")
        with pytest.raises(FlagSourceError, match=r"http://127.0.0.1:9/api does not answer"):
            ServerPoller(source).poll()
        assert "secret" not in repr(source)


def kept(
    folder: Path | None = None,
    *,
    url: str = URL,
    token: str = TOKEN,
    bootstrap: Path | None = None,
) -> FlagCache:
    return FlagCache(FlagServer(url, token, cache=folder, bootstrap=bootstrap))


class TestFlagCache:
    def test_a_folder_is_made(self, tmp_path: Path) -> None:
        kept(tmp_path / "not" / "there").store(FIVE)
        assert rollout(kept(tmp_path / "not" / "there").load()) == 5

    def test_without_a_folder_nothing_is_kept(self) -> None:
        kept().store(FIVE)
        assert kept().load() is None

    def test_two_environments_or_servers_never_share_a_file(self, tmp_path: Path) -> None:
        identities = [
            (URL, "default:development.x"),
            (URL, "default:production.x"),
            ("http://127.0.0.1:4243/api", "default:production.x"),
            (URL + "\ndefault", ":production.x"),
        ]
        for number, (url, token) in enumerate(identities):
            kept(tmp_path, url=url, token=token).store(document(gradual(str(number))))
        assert len(list(tmp_path.iterdir())) == len(identities)
        for number, (url, token) in enumerate(identities):
            assert rollout(kept(tmp_path, url=url, token=token).load()) == number

    def test_the_token_is_neither_in_the_name_nor_in_the_file(self, tmp_path: Path) -> None:
        kept(tmp_path).store(FIVE)
        (path,) = tmp_path.iterdir()
        secret = TOKEN.rsplit(".", 1)[-1]
        assert secret not in path.name
        assert secret not in path.read_text()
        assert path.stat().st_mode & 0o077 == 0  # flags may name customers: the owner's only

    @pytest.mark.parametrize("corrupt", [*BAD[:4], FIVE[:-5], "\udcff"])
    def test_a_corrupt_file_is_not_used_and_said_so_and_replaced(
        self, tmp_path: Path, corrupt: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        kept(tmp_path).store(FIVE)
        (path,) = tmp_path.iterdir()
        path.write_bytes(corrupt.encode("utf-8", "surrogateescape"))
        assert kept(tmp_path).load() is None
        assert f"flags kept in {path} are not used" in caplog.text
        kept(tmp_path).store(TEN)
        assert path.read_text() == TEN

    def test_the_file_is_replaced_in_one_step(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A reader, or a crash, finds the old flags or the new ones, never a part."""
        kept(tmp_path).store(FIVE)
        (path,) = tmp_path.iterdir()
        seen: list[tuple[str, str]] = []
        replace = os.replace

        def watch(source: str, target: Path) -> None:
            seen.append((Path(source).read_text(), target.read_text()))
            replace(source, target)

        monkeypatch.setattr(os, "replace", watch)
        kept(tmp_path).store(TEN)
        assert seen == [(TEN, FIVE)]
        assert list(tmp_path.iterdir()) == [path]

    def test_a_folder_that_cannot_be_written_costs_only_the_file(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        kept(tmp_path / "file" / "folder").store(FIVE)
        assert "could not be kept in" in caplog.text

    def test_a_failed_write_leaves_nothing_behind(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        kept(tmp_path).store(FIVE)
        (path,) = tmp_path.iterdir()
        path.unlink()
        (path / "in the way").mkdir(parents=True)  # nothing can be moved onto a folder
        kept(tmp_path).store(TEN)
        assert "could not be kept in" in caplog.text
        assert list(tmp_path.iterdir()) == [path]

    def test_a_bootstrap_is_used_where_nothing_is_kept_yet(self, tmp_path: Path) -> None:
        bootstrap = tmp_path / "bootstrap.json"
        bootstrap.write_text(FIVE)
        flags = kept(tmp_path / "cache", bootstrap=bootstrap)
        assert rollout(flags.load()) == 5
        flags.store(TEN)
        assert rollout(kept(tmp_path / "cache", bootstrap=bootstrap).load()) == 10
        assert bootstrap.read_text() == FIVE

    def test_a_corrupt_file_falls_back_to_the_bootstrap(self, tmp_path: Path) -> None:
        bootstrap = tmp_path / "bootstrap.json"
        bootstrap.write_text(TEN)
        kept(tmp_path / "cache").store(FIVE)
        (path,) = (tmp_path / "cache").iterdir()
        path.write_text("corrupt")
        assert rollout(kept(tmp_path / "cache", bootstrap=bootstrap).load()) == 10

    def test_flags_of_any_script_survive_the_disk(self, tmp_path: Path) -> None:
        text = json.dumps(json.loads(document(gradual("5", "drapeau-été-旗"))), ensure_ascii=False)
        kept(tmp_path).store(text)
        found = kept(tmp_path).load()
        assert found is not None
        assert list(found.flags) == ["drapeau-été-旗"]
