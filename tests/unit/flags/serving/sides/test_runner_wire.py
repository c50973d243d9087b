"""Any caller's request can be sent to a model's process in one header."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from flags.serving.sides.runner_wire import WireCall, end_to_end_headers

BYTES = st.binary(max_size=20)


@given(
    headers=st.lists(st.tuples(BYTES, BYTES), max_size=5),
    query=BYTES,
    client=st.none() | st.tuples(st.text(max_size=10), st.integers(0, 65535)),
    path=st.text(max_size=10),
    raw_path=BYTES,
    runs_tasks=st.booleans(),
)
def test_a_call_is_unpacked_as_it_was_packed(
    headers: list[tuple[bytes, bytes]],
    query: bytes,
    client: tuple[str, int] | None,
    path: str,
    raw_path: bytes,
    runs_tasks: bool,
) -> None:
    scope = {"client": client, "path": path, "raw_path": raw_path, "query_string": query}
    scope["headers"] = headers
    call = WireCall.of(scope, runs_tasks=runs_tasks)
    packed = call.packed()
    assert packed.isascii()
    assert packed.isprintable()
    assert WireCall.unpacked(packed.encode()) == call


def test_headers_of_one_hop_do_not_travel_back() -> None:
    raw = [
        (b"X-Many", b"1"),
        (b"X-Many", b"2"),
        (b"Set-Cookie", b"a=1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"close"),
        (b"Server", b"BentoML Service/V1"),
        (b"X-BentoML-Flags-Value", b"1"),
    ]
    assert end_to_end_headers(raw) == [
        (b"x-many", b"1"),
        (b"x-many", b"2"),
        (b"set-cookie", b"a=1"),
    ]


def test_the_state_of_a_request_travels_but_for_what_cannot() -> None:
    state = {"user": ("ada", {"reader"}), "connection": threading.Lock()}
    scope = {"query_string": b"", "headers": [], "state": state}
    packed = WireCall.of(scope, runs_tasks=True).packed()
    assert WireCall.unpacked(packed.encode()).scope["state"] == {"user": ("ada", {"reader"})}


def test_what_middleware_left_in_the_scope_travels_but_for_what_cannot() -> None:
    own = {"user": ("ada", {"reader"}), "session": {"id": 1}, "lock": threading.Lock()}
    servers = {"app": object, "router": object, "extensions": {"tls": {}}}
    scope = {"query_string": b"", "headers": [], **servers, **own}
    packed = WireCall.of(scope, runs_tasks=True).packed()
    assert WireCall.unpacked(packed.encode()).scope == {
        "query_string": b"",
        "headers": [],
        "user": ("ada", {"reader"}),
        "session": {"id": 1},
    }
