"""What another server of BentoML says becomes the error that it says."""

from http import HTTPStatus

import pytest
from bentoml.exceptions import BentoMLException, NotFound

from flags.serving.sides.http_answers import error_of_status


def test_a_status_is_bentomls_own_error_of_it() -> None:
    error = error_of_status(404, "no such user")
    assert type(error) is NotFound
    assert str(error) == "no such user"


def test_an_error_that_a_service_defines_is_not_made_by_its_own_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BentoMLException, "error_mapping", {**BentoMLException.error_mapping})

    class AlreadyThereError(BentoMLException):
        error_code = HTTPStatus.CONFLICT

        def __init__(self, item: int, place: str) -> None:
            super().__init__(f"{item} is in {place}")

    assert BentoMLException.error_mapping[HTTPStatus.CONFLICT] is AlreadyThereError
    error = error_of_status(409, "3 is in b")
    assert (type(error), error.error_code, str(error)) == (BentoMLException, 409, "3 is in b")
