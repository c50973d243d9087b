import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from comparison.evidence.labelling import coverage, coverage_p
from flags.gate.evidence import Count, LabelledCell

counts = st.integers(0, 60)


@settings(deadline=None)  # the reference library takes its time on first use
@given(counts, counts, counts, counts)
def test_the_test_equals_fisher_s(labelled: int, rest: int, other: int, other_rest: int) -> None:
    found = coverage(
        (
            LabelledCell("primary", True, True, labelled, labelled, 0),
            LabelledCell("primary", None, None, rest, 0, 0),
            LabelledCell("candidate", False, True, other, 0, other),
            LabelledCell("candidate", False, False, other_rest, 0, 0),
            LabelledCell(None, None, None, 5, 0, 0),
        )
    )
    table = {"primary": Count(labelled, labelled + rest)} if labelled + rest else {}
    if other + other_rest:
        table["candidate"] = Count(other, other + other_rest)
    assert found == table
    if len(table) < 2 or not labelled + other:
        assert coverage_p(found) is None
    else:
        # The two-sided p-value from its definition: the tables that are no more likely.
        law = stats.hypergeom(
            labelled + rest + other + other_rest, labelled + other, labelled + rest
        )
        chances = law.pmf(range(min(labelled + rest, labelled + other) + 1))
        expected = chances[chances <= law.pmf(labelled) * (1 + 1e-7)].sum()
        assert coverage_p(found) == pytest.approx(min(1.0, expected), rel=1e-6, abs=1e-12)


def test_one_side_that_served_everything_cannot_be_tested() -> None:
    found = coverage((LabelledCell("primary", True, True, 10, 7, 0),))
    assert found == {"primary": Count(7, 10)}
    assert coverage_p(found) is None
    assert coverage_p({}) is None


def test_millions_of_pairs_are_no_trouble() -> None:
    found = {"primary": Count(4_500_000, 9_000_000), "candidate": Count(499_000, 1_000_000)}
    p = coverage_p(found)
    expected = stats.chi2_contingency(
        [[4_500_000, 4_500_000], [499_000, 501_000]], correction=False
    ).pvalue
    assert p == pytest.approx(expected, rel=0.02)
