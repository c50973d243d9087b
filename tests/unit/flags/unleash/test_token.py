"""The environment of a token is read where the token has one."""

import pytest

from flags.unleash.token import token_environment


@pytest.mark.parametrize(
    ("token", "environment"),
    [
        ("default:development.5f0ab2", "development"),
        ("[]:production.5f0ab2", "production"),
        ("*:eu-west_1.5f0ab2", "eu-west_1"),
        ("*:*.5f0ab2", None),  # an admin token
        ("user:5f0ab2", None),  # a personal one
        ("5f0ab2", None),
        ("", None),
    ],
)
def test_a_token_tells_the_environment_that_it_is_bound_to(
    token: str, environment: str | None
) -> None:
    assert token_environment(token) == environment
