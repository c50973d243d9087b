"""The table of the overhead benchmark, with and without nginx."""

import pytest

from load_tests.bench_overhead import print_spread, result
from load_tests.load import Measured


def measured(milliseconds: float) -> Measured:
    return Measured(
        durations=(milliseconds,),
        cpu=milliseconds,
        cpu_at_full_load=milliseconds,
        throughput=1.0,
        failed=0,
    )


@pytest.mark.parametrize("rounds", [1, 5])
def test_without_nginx_its_columns_hold_a_dash(
    rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    each = [{"bare": measured(1.0), "embedded": measured(2.0)}] * rounds
    print_spread(each)
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        *("embedded", "2.00", "(2.00-2.00)", "2.00", "(2.00-2.00)", "-", "-")
    ]
    assert result(each).startswith("embedded p50 2.00x cpu 2.00x of bare, p50 - cpu - of nginx")
