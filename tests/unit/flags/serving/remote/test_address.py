"""The address of a remote candidate is checked when it is created."""

import pytest

from flags import Remote
from flags.errors import MigrationError


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("fraud-v2:3000", "like http://fraud-v2:3000"),
        ("ftp://fraud-v2", "like http://fraud-v2:3000"),
        ("http://", "like http://fraud-v2:3000"),
        ("http://fraud-v2:port", "not a URL"),
        ("http://user:secret@fraud-v2", "CANDIDATE_TOKEN"),
        ("http://fraud-v2/?a=1", "query"),
        ("", "like http://fraud-v2:3000"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(MigrationError, match=words) as refused:
        Remote(url)
    assert "secret" not in str(refused.value)


def test_the_model_goes_by_the_address_until_the_server_says_what_it_is() -> None:
    assert Remote("http://fraud-v2:3000/").label == "fraud-v2:3000"
    assert Remote("http://fraud-v2:3000", name="fraud-v2").label == "fraud-v2"
    assert Remote("http://fraud-v2:3000/").url == "http://fraud-v2:3000"


def test_another_address_keeps_the_rest() -> None:
    remote = Remote("http://fraud-v2:3000", name="fraud", forward_credentials=True)
    assert remote.at(None) is remote
    assert remote.at("https://far") == Remote("https://far", "fraud", forward_credentials=True)
