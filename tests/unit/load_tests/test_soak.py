"""That the soak tells a process that grows from one that does not."""

import math

import pytest

from load_tests.soak import MEMORY_BOUND, Capacity, Sample, Watched


def watched(grows: float = 0.0, handles: int = 20, at_the_end: int = 20) -> Watched:
    """Return half an hour of a process with 300 MB that swing by 2 MB, and a warm-up before."""
    samples = []
    for number in range(360):
        hours = number / 720
        warming_up = 40 * min(1.0, hours / 0.05)
        swing = math.sin(number / 5)
        megabytes = 260 + warming_up + swing + grows * hours
        samples.append(Sample(hours, megabytes, handles if number < 300 else at_the_end, 12))
    return Watched("worker", 1, samples)


def test_a_process_that_swings_and_has_warmed_up_is_flat() -> None:
    assert watched().is_flat
    assert abs(watched().slope) < 1


@pytest.mark.parametrize("grows", [MEMORY_BOUND + 2, 100.0])
def test_a_process_whose_memory_grows_is_not(grows: float) -> None:
    assert watched(grows).slope == pytest.approx(grows, abs=1)
    assert not watched(grows).is_flat


def test_one_jump_is_not_taken_for_growth_without_end() -> None:
    process = watched()
    samples = process.samples
    last = samples[-20:]
    jumped = [Sample(s.hours, s.megabytes + 30, s.handles, s.threads) for s in last]
    assert Watched("worker", 1, [*samples[:-20], *jumped]).slope < MEMORY_BOUND


def test_a_process_that_keeps_handles_open_is_not_flat() -> None:
    assert watched(handles=20, at_the_end=24).is_flat
    assert not watched(handles=20, at_the_end=40).is_flat


def test_the_load_is_a_share_of_the_capacity_and_leaves_half_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert Capacity(per_second=100, cpu=5).rate == pytest.approx(70)
    assert Capacity(per_second=400, cpu=5).rate == pytest.approx(200)
