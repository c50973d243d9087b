"""The processors and the memory that this process may use."""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

CGROUPS: Final = Path("/sys/fs/cgroup")


def cores(cgroups: Path = CGROUPS) -> int:
    """Return the number of usable processors: of this process, or of its container if that is less.

    A CPU limit, as Kubernetes sets it, is a quota of time: the process still sees all processors.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(allowed or 1, _quota(cgroups))))


def memory(cgroups: Path = CGROUPS) -> int:
    """Return the machine's memory in bytes, or the limit of the container if that is less."""
    limits = [int(psutil.virtual_memory().total)]
    for file in (cgroups / "memory.max", cgroups / "memory" / "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limits.append(int(file.read_text()))
    return min(limits)


def _quota(cgroups: Path) -> float:
    """Return how many processors the container may keep busy; inf if that is not limited."""
    v1 = cgroups / "cpu"
    for files in ([cgroups / "cpu.max"], [v1 / "cpu.cfs_quota_us", v1 / "cpu.cfs_period_us"]):
        with suppress(OSError, ValueError):
            quota, period = map(int, " ".join(each.read_text() for each in files).split())
            if quota > 0 and period > 0:
                return quota / period
    return math.inf
