"""Which payloads of the flag set the candidate's threshold, and how the others are logged."""

from typing import Any

import pytest

from flags.pairing.tuning import Tuning


def decide(answer: Any, thresholds: Any) -> Any:
    return answer


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("payload", "thresholds"),
    [
        ('{"threshold": 0.93}', {"fraud": 0.93, "abuse": 0.93}),
        ('{"threshold": 1}', {"fraud": 1.0, "abuse": 1.0}),
        ('{"threshold": {"abuse": 0.2}}', {"abuse": 0.2}),
        (None, {}),
    ],
)
def test_a_threshold_is_for_every_output_or_for_those_it_names(
    payload: str | None, thresholds: dict[str, float]
) -> None:
    assert Tuning(["fraud", "abuse"], decide).thresholds(payload) == thresholds


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("", "'' is not JSON"),
        ("0.9x", "'0.9x' is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("0.9", "is not of the form"),
        ("{}", "is not of the form"),
        ('{"Threshold": 0.9}', "is not of the form"),
        ('{"threshold": 0.9, "other": 1}', "is not of the form"),
        ('{"threshold": "0.9"}', "the threshold of fraud is '0.9', not a number"),
        ('{"threshold": true}', "the threshold of fraud is True, not a number"),
        ('{"threshold": null}', "the threshold of fraud is None, not a number"),
        ('{"threshold": NaN}', "the threshold of fraud is nan, not finite"),
        ('{"threshold": 1e999}', "the threshold of fraud is inf, not finite"),
        ('{"threshold": 1' + "0" * 400 + "}", "the threshold of fraud is inf, not finite"),
        ('{"threshold": {"spam": 0.9}}', "no output is named ['spam']: ['fraud'] are"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_any_other_payload_is_refused_with_the_reason(
    payload: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Tuning(["fraud"], decide).thresholds(payload) == {}
    (line,) = told(caplog)
    assert line.startswith("the flag's payload is refused, the configured threshold stays: ")
    assert words in line


def test_a_service_without_decide_refuses_every_payload(caplog: pytest.LogCaptureFixture) -> None:
    assert Tuning(["fraud"], None).thresholds('{"threshold": 0.9}') == {}
    assert "migrated without decide=" in caplog.text


def test_each_payload_is_told_once_however_requests_alternate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two variants with different payloads, or a payload only on active requests."""
    tuning = Tuning(["fraud"], decide)
    payloads = ['{"threshold": 0.9}', None, '{"threshold": "high"}']
    seen = [tuning.thresholds(payloads[number % 3]) for number in range(300)]
    assert seen[:3] == [{"fraud": 0.9}, {}, {}]
    assert seen == seen[:3] * 100
    assert len(told(caplog)) == 2


def test_what_is_remembered_of_payloads_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    tuning = Tuning(["fraud"], decide)
    for number in range(500):
        assert tuning.thresholds(f'{{"threshold": {number}}}') == {"fraud": number}
    assert len(tuning._cache) <= 64
