"""What is said of a flag source that gives nothing."""

import socket

import pytest

from flags.unleash.client import FlagServer, why_nothing_came


@pytest.fixture
def closed() -> str:
    """Return an address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/api"


def test_a_server_that_is_not_there_does_not_answer(closed: str) -> None:
    assert why_nothing_came(FlagServer(closed, "token")) == f"{closed} does not answer"


@pytest.mark.parametrize("token", ["a secret\n", "sécret☃"])
def test_a_token_that_no_header_can_hold_is_not_quoted(closed: str, token: str) -> None:
    assert why_nothing_came(FlagServer(closed, token)) == f"{closed} does not answer"


def test_a_password_in_the_address_is_in_no_message(closed: str) -> None:
    server = FlagServer(closed.replace("//", "//user:secret@"), "token")
    assert why_nothing_came(server) == f"{closed} does not answer"
    assert "secret" not in repr(server)
