"""The limit of a request counts from the call to the last byte, and so does the size."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from flags.bounded_http import BoundedSession, is_loopback

MIB = 2**20
SECONDS = 0.5


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[int]]]:
    """Serve each connection by `answer`, which is called once for each; count them."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[int] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(1)
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                answer(connection)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", connections
    finally:
        listener.close()


def get(url: str, seconds: float = SECONDS, max_bytes: int = MIB, **options):
    return BoundedSession().request("GET", url, seconds=seconds, max_bytes=max_bytes, **options)


def drip(connection: socket.socket, text: bytes) -> None:
    connection.recv(65536)
    for each in text:
        connection.sendall(bytes([each]))
        time.sleep(0.1)


def answers(body: bytes, *headers: str) -> Callable[[socket.socket], None]:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""])

    def answer(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(head.encode() + body)

    return answer


SLOW = {
    "nothing at all": lambda connection: connection.recv(65536) and time.sleep(5),
    "a status line that drips": lambda connection: drip(connection, b"HTTP/1.1 200 OK" * 9),
    "headers that drip": lambda connection: drip(
        connection, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 99
    ),
    "a body that drips": lambda connection: drip_body(connection, b"Content-Length: 100000\r\n"),
    "a body without length that drips": lambda connection: drip_body(connection, b""),
    "a body in chunks that drips": lambda connection: drip_body(
        connection, b"Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n"
    ),
}


def drip_body(connection: socket.socket, header: bytes, unit: bytes = b"x") -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n")
    while True:
        connection.sendall(unit)
        time.sleep(0.1)


@pytest.mark.parametrize("kind", SLOW)
def test_a_server_that_is_slow_in_any_part_costs_the_limit_and_no_thread(kind):
    before = set(threading.enumerate())
    with server(SLOW[kind]) as (url, _):
        begun = time.monotonic()
        with pytest.raises(requests.Timeout, match="answered in full"):
            get(url)
        assert time.monotonic() - begun < 3 * SECONDS
        ours = [each for each in set(threading.enumerate()) - before if each.name == "bounded-http"]
        for each in ours:
            each.join(2)
        assert not any(each.is_alive() for each in ours)


def test_a_server_that_does_not_read_the_request_costs_the_limit():
    with server(lambda _: time.sleep(5)) as (url, _), pytest.raises(requests.Timeout):
        get(url, data=b"x" * 64 * MIB)


def test_a_name_server_that_does_not_answer_costs_the_limit(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(10) and [])
    session = BoundedSession()
    begun = time.monotonic()
    for _ in range(6):
        with pytest.raises(requests.Timeout):
            session.request("GET", "http://flags.example/", seconds=0.1, max_bytes=10)
    assert time.monotonic() - begun < 3
    waiting = [each for each in threading.enumerate() if each.name == "bounded-http"]
    assert len(waiting) <= 4
    released.set()
    for each in waiting:
        each.join(5)


def test_an_answer_is_returned_with_its_status_headers_and_body():
    with server(answers(b'{"a": 1}', "X-One: 1")) as (url, _):
        answer = get(url)
    assert (answer.status, answer.reason, answer.whole) == (200, "OK", True)
    assert answer.headers["x-one"] == "1"
    assert answer.json() == {"a": 1}


def test_connections_are_kept():
    with server(answers(b"x" * 1000)) as (url, connections):
        session = BoundedSession()
        for _ in range(3):
            session.request("GET", url, seconds=2, max_bytes=MIB)
        assert len(connections) == 1


def test_a_longer_answer_is_cut_off_at_the_limit():
    with server(answers(b"x" * 1000)) as (url, _):
        answer = get(url, max_bytes=100)
        assert (answer.body, answer.whole) == (b"x" * 100, False)
        assert get(url, max_bytes=1000).whole


def test_a_compressed_answer_is_unpacked_up_to_the_limit_only():
    packed = gzip.compress(bytes(32 * MIB))
    with server(answers(packed, "Content-Encoding: gzip")) as (url, _):
        answer = get(url, seconds=5)
        assert (answer.body, answer.whole) == (bytes(MIB), False)
    with server(answers(gzip.compress(b"words"), "Content-Encoding: gzip")) as (url, _):
        answer = get(url)
        assert (answer.body, answer.whole) == (b"words", True)


def test_the_body_of_a_redirect_is_not_read():
    """`requests` would read and decode all of it before it follows."""
    endless = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 9999999999\r\n\r\n"
    found = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfound"

    def answer(connection: socket.socket) -> None:
        is_second = connection.recv(65536).startswith(b"GET /there")
        connection.sendall(found if is_second else endless)
        while not is_second:
            connection.sendall(bytes(MIB))

    with server(answer) as (url, _):
        assert get(url, seconds=5, allow_redirects=True).body == b"found"


def test_cookies_are_not_sent_back():
    """A server that sets a new one each time would refuse the longer and longer requests."""
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            asked.append(request)
            connection.sendall(b"HTTP/1.1 204 No\r\nSet-Cookie: a=b\r\n\r\n")

    with server(answer) as (url, _):
        session = BoundedSession()
        for _ in range(2):
            session.request("GET", url, seconds=2, max_bytes=MIB)
    assert len(asked) == 2
    assert b"cookie" not in asked[1].lower()


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"no gzip", "Content-Encoding: gzip"),
        (gzip.compress(b"words" * 999)[:-9], "Content-Encoding: gzip"),
        (b"whatever", "Content-Encoding: br"),
    ],
    ids=["no gzip", "half of gzip", "another encoding"],
)
def test_an_answer_that_cannot_be_decoded_is_an_error_of_the_request(body, header):
    with server(answers(body, header)) as (url, _), pytest.raises(requests.RequestException):
        get(url)


def test_an_answer_that_breaks_off_is_an_error_of_the_request():
    def broken(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with server(broken) as (url, _), pytest.raises(requests.RequestException):
        get(url)


def test_a_session_goes_on_after_a_request_that_took_too_long():
    turns = iter([SLOW["a body that drips"], answers(b"good")])
    with server(lambda connection: next(turns)(connection)) as (url, _):
        session = BoundedSession()
        with pytest.raises(requests.Timeout):
            session.request("GET", url, seconds=SECONDS, max_bytes=MIB)
        assert session.request("GET", url, seconds=5, max_bytes=MIB).body == b"good"


@pytest.mark.parametrize(
    ("place", "here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("http://127.8.8.8:3000/prefix", True),
        ("https://[::1]:4242", True),
        ("http://user:password@LOCALHOST/api", True),
        ("0.0.0.0", False),  # noqa: S104 - compared, not bound
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_address_and_name(place: str, here: bool) -> None:
    assert is_loopback(place) is here
