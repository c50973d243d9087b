import random
from pathlib import Path

import pytest

from comparison.errors import FlagNotFoundError, SeveralFlagsError, TextsMissingError
from comparison.judges.selection import select
from comparison.judges.text_pairs import TextPair, prompt_text, read_text_pairs
from comparison.pairs import load_pairs
from comparison.pairs.compaction.runs import compact
from tests.support.pair_files import PairFile
from tests.support.text_pairs import TextPairFile, messages, text_pairs


def pair(number: int, models: tuple[str, str] = ("v1", "v2"), **changes: str) -> TextPair:
    texts = {"primary": "one", "candidate": "another", "output": "answer", **changes}
    return TextPair(f"request-{number}", prompt="?", models=models, time=number, **texts)


def ids(pairs: tuple[TextPair, ...]) -> list[str]:
    return [each.request_id for each in pairs]


def test_the_choice_does_not_depend_on_the_order_of_the_files() -> None:
    pairs = [pair(number) for number in range(1_000)]
    shuffled = random.Random(1).sample(pairs, len(pairs))

    chosen = ids(select(pairs, 50).pairs)

    assert chosen == ids(select(shuffled, 50).pairs)
    assert len(set(chosen)) == 50
    assert chosen != sorted(chosen)
    assert chosen != ids(select(pairs, 50, seed=1).pairs)


def test_every_pair_has_the_same_chance() -> None:
    pairs = [pair(number) for number in range(400)]

    chosen = [int(each.split("-")[1]) for each in ids(select(pairs, 200).pairs)]

    assert 160 < sum(chosen) / len(chosen) < 240  # 199.5, plus or minus five standard errors


def test_only_pairs_that_differ_in_normal_form_are_chosen() -> None:
    pairs = [
        pair(1, primary="Yes,  it is.", candidate=" yes, it is."),
        pair(2, primary="ﬁne", candidate="fine"),
        pair(3, primary="yes", candidate="no"),
    ]

    found = select(pairs, 10)

    assert ids(found.pairs) == ["request-3"]
    assert (found.differing, found.total) == (1, 3)


def test_only_pairs_of_the_newest_models_are_chosen() -> None:
    pairs = [pair(number, ("v1", "v2")) for number in range(50)]
    pairs += [pair(number, ("v1", "v3")) for number in range(50, 60)]

    assert {each.models for each in select(pairs, 40).pairs} == {("v1", "v3")}


def test_one_in_ten_is_of_the_same_model_twice_wherever_the_run_ends() -> None:
    pairs = [pair(number, ("v1", "v1")) for number in range(100)]
    pairs += [pair(number, ("v1", "v2")) for number in range(100, 1_000)]
    pairs += [pair(number, ("v0", "v0")) for number in range(1_000, 1_100)]  # of no present model

    found = select(pairs, 100)

    alike = [each.is_same_model for each in found.pairs]
    assert sum(alike) == 10
    assert sum(alike[:50]) == 5
    assert {each.models for each in found.pairs} == {("v1", "v1"), ("v1", "v2")}


def test_what_was_judged_is_not_chosen_again_and_counts_for_the_budget() -> None:
    pairs = [pair(number) for number in range(100)]
    first = select(pairs, 30)
    answered = {(each.request_id, each.output) for each in first.pairs}

    rest = select([*pairs, *(pair(number) for number in range(100, 200))], 50, answered=answered)

    assert len(rest.pairs) == 20
    assert rest.answered == 30
    assert not {*ids(first.pairs)} & {*ids(rest.pairs)}


def test_a_pair_that_occurs_twice_is_chosen_once() -> None:
    pairs = [pair(number) for number in range(20)] * 2

    assert sorted(ids(select(pairs, 100).pairs)) == sorted({each.request_id for each in pairs})


def test_several_texts_share_the_budget() -> None:
    pairs = [pair(number, output=output) for number in range(50) for output in ("title", "body")]

    outputs = [each.output for each in select(pairs, 20).pairs]

    assert outputs.count("title") == outputs.count("body") == 10


def test_texts_are_read_from_pair_files_and_from_what_was_compacted(tmp_path: Path) -> None:
    folder = text_pairs(tmp_path / "pairs", 30, alike=3)
    compact(folder, tmp_path / "compacted")

    def key(each: TextPair) -> str:
        return each.request_id

    written = sorted(read_text_pairs(folder), key=key)

    assert len(written) == 33
    assert written == sorted(read_text_pairs(tmp_path / "compacted"), key=key)
    assert {each.prompt for each in written} >= {"prompt 0", "aa 2"}
    assert written[0].primary == "text 0"


def test_texts_with_escapes_and_other_scripts_are_read_as_they_were(tmp_path: Path) -> None:
    file = TextPairFile(tmp_path)
    text = 'a "quoted"\n\\ line, ünïcode, 漢字 and \U0001f600'
    file.texts(text, "plain", prompt=text)

    (found,) = read_text_pairs(tmp_path)

    assert (found.primary, found.prompt) == (text, text)


def test_the_frame_of_pairs_holds_no_texts(tmp_path: Path) -> None:
    folder = text_pairs(tmp_path / "pairs", 3)
    compact(folder, tmp_path / "compacted")

    for place in (folder, tmp_path / "compacted"):
        assert not [
            name for name in load_pairs(place).columns if "text" in name or "prompt" in name
        ]


def test_several_messages_are_read_with_their_roles() -> None:
    recorded = (
        '[{"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},'
        ' {"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]'
    )

    assert prompt_text(recorded) == "system: Be brief.\n\nuser: Why?"
    assert prompt_text(messages("Why?")) == "Why?"
    assert prompt_text("no JSON") == "no JSON"


def test_flags_are_told_apart(tmp_path: Path) -> None:
    for flag in ("one", "two"):
        TextPairFile(tmp_path, worker=flag, flag=flag).texts("a", "b")

    assert len([*read_text_pairs(tmp_path, "one")]) == 1
    with pytest.raises(SeveralFlagsError):
        list(read_text_pairs(tmp_path))
    with pytest.raises(FlagNotFoundError):
        list(read_text_pairs(tmp_path, "three"))


def test_pairs_without_texts_are_said_to_lack_them(tmp_path: Path) -> None:
    PairFile(tmp_path).pair()

    with pytest.raises(TextsMissingError, match=r"record"):
        select(read_text_pairs(tmp_path), 10)
