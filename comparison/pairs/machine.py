"""How much of the machine this process may use: processors, and memory."""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

CGROUPS: Final = Path("/sys/fs/cgroup")


def cores(cgroups: Path = CGROUPS) -> int:
    """Return their number: those it may run on, or its container's share of them if that is less.

    A limit such as Kubernetes sets is a quota of time; a process sees all processors nevertheless.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(allowed or 1, _quota(cgroups))))


def memory(cgroups: Path = CGROUPS) -> int:
    """Return the bytes of memory that there are, or those that its container may take if less."""
    limits = [int(psutil.virtual_memory().total)]
    for file in (cgroups / "memory.max", cgroups / "memory" / "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limits.append(int(file.read_text()))
    return min(limits)


def _quota(cgroups: Path) -> float:
    """Return how many processors the container may keep busy; inf if that is not limited."""
    first = cgroups / "cpu"
    for files in ([cgroups / "cpu.max"], [first / "cpu.cfs_quota_us", first / "cpu.cfs_period_us"]):
        with suppress(OSError, ValueError):
            quota, period = map(int, " ".join(each.read_text() for each in files).split())
            if quota > 0 and period > 0:
                return quota / period
    return math.inf
