"""Usable processors and memory: those of the machine, or a container's limit if that is less."""

import os
from pathlib import Path

import psutil
import pytest

from comparison.pairs.machine import cores, memory

ALLOWED = 8


@pytest.fixture(autouse=True)
def _eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(ALLOWED)), raising=False)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", ALLOWED),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("6400000 100000", ALLOWED),
        ("nonsense", ALLOWED),
    ],
)
def test_a_container_s_share_of_the_processors_counts(
    tmp_path: Path, limit: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", ALLOWED), ("300000", 3)])
def test_a_container_s_share_counts_with_cgroups_v1_too(
    tmp_path: Path, quota: str, expected: int
) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores(tmp_path) == expected


def test_without_a_limit_every_processor_counts_that_the_process_may_use(tmp_path: Path) -> None:
    assert cores(tmp_path) == ALLOWED


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_s_limit_of_memory_counts(tmp_path: Path, file: str) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / file).write_text("268435456\n")
    assert memory(tmp_path) == 2**28


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", "nonsense", None])
def test_without_a_limit_all_memory_counts(tmp_path: Path, limit: str | None) -> None:
    if limit:
        (tmp_path / "memory.max").write_text(limit)
    assert memory(tmp_path) == psutil.virtual_memory().total
