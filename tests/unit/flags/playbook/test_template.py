"""The template of a playbook: every default, with a comment."""

import pytest

from flags.playbook.file import parse_playbook
from flags.playbook.model import Playbook
from flags.playbook.template import playbook_template


@pytest.mark.parametrize("flag", ["fraud-detector-v2", "42", "a: b", "yes", "#", "ä"])
def test_the_template_is_a_playbook_with_all_defaults(flag: str) -> None:
    assert parse_playbook(playbook_template(flag), "template") == Playbook(flag=flag)


def test_the_examples_in_the_template_are_right() -> None:
    """The commented examples of the template are valid without the comment marks."""
    lines = playbook_template("f").splitlines()
    begins = lines.index("# outputs:")
    ends = next(i for i, line in enumerate(lines) if line.startswith("# features:"))
    for index in range(begins, ends + 1):
        if not lines[index].startswith(
            ("# Outcomes", "# Segments", "# Features", "# Operational", "# Notifications")
        ):
            lines[index] = lines[index].removeprefix("# ")
    playbook = parse_playbook("\n".join(lines), "template")
    assert playbook.outputs["probability"].threshold.candidate == 0.93
    assert set(playbook.segments or {}) == {"channel", "country"}
    assert playbook.outcomes["money_lost"].margin == 1.05
    assert playbook.features == ("amount", "customer_age")
    assert len(playbook.notify.urls) == 2
    assert set(playbook.alarms) == {"review_queue", "pages", "change_freeze"}


def test_every_key_of_the_template_has_a_comment() -> None:
    lines = playbook_template("f").splitlines()
    for line in lines[lines.index("gate:") : lines.index("steps:")]:
        if line.startswith("    "):
            assert "  # " in line, line
