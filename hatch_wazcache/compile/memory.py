"""How much memory there is, and how much a job takes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_wazcache.job import Job

__all__ = ["free_memory", "job_memory"]

_MIB = 1 << 20


def job_memory(job: Job) -> int:
    """Estimate the peak of the process that does a job, in bytes.

    For a compiler 70 MB and 55 MB per MiB of code cover 44 of 45 modules measured; a module full
    of exception handlers took five times as much. Beside it there are copies of the `.wasm`.
    """
    if job.compiles:
        return 70 * 10**6 + 55 * 10**6 * job.wasm.code_size // _MIB + 2 * job.wasm.size
    return 40 * 10**6 + 2 * job.wasm.size


def free_memory() -> int:
    """Return the bytes that can be used without swapping: the machine's, or its container's."""
    free = _machine()
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        with suppress(OSError, ValueError):  # none here, or "max"
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(free, 0)


def _machine() -> int:
    if sys.platform == "win32":
        return _windows()
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return (
            int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) << 10
        )
    # macOS does not say what it would give up; half of all is seldom taken for good.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _windows() -> int:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            ("total", ctypes.c_uint64),
            ("available", ctypes.c_uint64),
            ("rest", ctypes.c_uint64 * 5),
        )

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return int(status.available)
