"""What is shown steers no terminal, and JSON is written whatever a name holds."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flags.printable import printable, printable_json

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@dataclass(frozen=True, slots=True)
class Shown:
    name: str
    at: datetime
    others: tuple[str, ...]
    by_name: dict[str, str]


@given(ANY_TEXT)
def test_shown_text_is_printable_and_has_utf_8(text: str) -> None:
    shown = printable(text, 20)
    assert shown.isprintable()
    assert len(shown) <= 21
    shown.encode()


@given(ANY_TEXT)
def test_json_is_written_whatever_a_text_holds(text: str) -> None:
    value = Shown(text, datetime(2026, 1, 2, tzinfo=UTC), (text,), {text: text})
    read = json.loads(printable_json(value))
    expected = text.encode("utf-8", "replace").decode()
    assert read["name"] == expected
    assert read["others"] == [expected]
    assert read["by_name"] == {expected: expected}
    assert read["at"] == "2026-01-02T00:00:00+00:00"
