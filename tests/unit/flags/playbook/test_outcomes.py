"""Outcomes of a playbook."""

import pytest

from flags.errors import PlaybookError
from flags.playbook.file import parse_playbook
from flags.playbook.outcomes import OutcomePlan


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (
            "{kind: often}",
            "outcomes.complaint.kind is 'often': must be binary, count or continuous",
        ),
        ("{cutoff: 1d}", "outcomes.complaint.cutoff is unknown: did you mean cut_off?"),
        ("{advance: 1.5}", "outcomes.complaint.advance is 1.5, beyond the rollback limit of 1.25"),
        ("{rollback: 1.05}", "outcomes.complaint.advance is 1.1, beyond the rollback limit of"),
        ("{cap: 3}", "outcomes.complaint.cap is of no use: a binary outcome is 0 or 1"),
        ("{kind: count, cap: 0}", "outcomes.complaint.cap"),
        ("{cut_off: soon}", "outcomes.complaint.cut_off"),
        ("{required_from: 200}", "outcomes.complaint.required_from is 200"),
    ],
)
def test_an_outcome_that_cannot_be_is_named_by_key(outcome: str, said: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        parse_playbook(f"flag: f\noutcomes:\n  complaint: {outcome}\n", "playbook.yaml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("playbook.yaml:3: ")


def test_an_outcome_without_keys_has_the_defaults() -> None:
    plan = parse_playbook("flag: f\noutcomes:\n  complaint:\n", "playbook.yaml")
    assert plan.outcomes["complaint"] == OutcomePlan()
    assert (OutcomePlan().margin, OutcomePlan().cap_in_force) == (1.10, 1.0)
