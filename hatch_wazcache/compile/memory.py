"""The free memory and cores of this machine, and the memory that a job needs."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_wazcache.compile.job import Job

__all__ = ["Room", "free_memory", "job_memory", "usable_cores"]

_MIB = 1 << 20


def job_memory(job: Job) -> int:
    """Estimate the peak memory of the process that does a job, in bytes.

    70 MB, and 55 MB for each MiB of code, are enough for 44 of 45 measured modules. A module with
    many exception handlers needed five times as much. Two copies of the `.wasm` are added.
    """
    if job.compiles:
        return 70 * 10**6 + 55 * 10**6 * job.wasm.code_size // _MIB + 2 * job.wasm.size
    return 40 * 10**6 + 2 * job.wasm.size


def free_memory() -> int:
    """Return the bytes that are free without swapping, in the machine and in its container."""
    free = _machine()
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        with suppress(OSError, ValueError):  # no such file, or "max"
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(free, 0)


class Room:
    """Shares cores and memory among compilers that threads of one process start."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken: list[tuple[int, int]] = []
        """For each compiler, the process that started it and the bytes that it may need."""
        self._memory = 0

    @contextmanager
    def taken(self, memory: int) -> Iterator[None]:
        """Wait until there is room for one more compiler, and hold that room.

        Args:
            memory: the bytes that it may need; a compiler that runs alone always has room.
        """
        compiler = os.getpid(), memory
        with self._changed:
            self._changed.wait_for(lambda: self._is_enough_for(memory))
            self._taken.append(compiler)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(compiler)
                self._changed.notify_all()

    def _is_enough_for(self, memory: int) -> bool:
        # In a fork, the parent's compilers never end.
        taken = [size for process, size in self._taken if process == os.getpid()]
        if not taken:
            self._memory = free_memory()
            return True
        return len(taken) < usable_cores() and sum(taken) + memory <= self._memory


def usable_cores() -> int:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _machine() -> int:
    if sys.platform == "win32":
        return _windows()
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return (
            int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) << 10
        )
    # macOS does not report how much memory it could free; half of all memory is a safe guess.
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
