"""Transfers beside a build: threads that never keep a process alive, and when to give one up."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from hatch_wazcache.cache.remote.stores import TransferDroppedError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["POLL", "TRANSFERS", "Limit", "Threads", "Transfer"]

TRANSFERS = 4
"""Downloads, and uploads, at a time."""

POLL = 0.2
"""Seconds between two looks at transfers that may have become hopeless."""

_GRACE = 1.0
"""Seconds before which no throughput is measured."""

_SHARE = 0.1
"""The part of the time limit after which the throughput is measured: a connection begins slowly."""


class Transfer:
    """One download or upload, and the time that it may need."""

    def __init__(self, size: int, limit: float) -> None:
        """Prepare a transfer; `begin` starts its time.

        Args:
            size: bytes.
            limit: seconds after which it is not worth its time any more.
        """
        self.size = size
        self._limit = limit
        self._began: float | None = None
        self._bytes = 0
        self.seconds = 0.0
        """How long it took, after `end`."""
        self.is_dropped = False
        """Whether nobody waits for it any more."""

    def begin(self) -> None:
        """Note that it begins now."""
        self._began = time.monotonic()

    def pause(self) -> None:
        """Let no time count until it begins again."""
        self._began = None

    def end(self) -> None:
        """Note that it has ended now."""
        assert self._began is not None
        self.seconds = time.monotonic() - self._began

    def watch(self, done: int) -> None:
        """Note the bytes so far: the `watch` of a store.

        Raises:
            TransferDroppedError: nobody waits for it, or it is hopeless.
        """
        self._bytes = done
        if self.is_dropped or self.is_hopeless():
            raise TransferDroppedError

    @property
    def share(self) -> float:
        """The part that is done, from 0 to 1."""
        return min(self._bytes / max(self.size, 1), 1.0)

    def is_hopeless(self) -> bool:
        """Say whether it cannot end in time, judged by its throughput until now."""
        if self._began is None:
            return False
        elapsed = time.monotonic() - self._began
        if elapsed < max(_GRACE, self._limit * _SHARE):
            return False
        whole = elapsed if not self._bytes else elapsed * self.size / self._bytes
        return whole > self._limit + _GRACE


class Limit:
    """Until when a build waits for answers. Threads read it meanwhile."""

    def __init__(self, usual: float, latest: float) -> None:
        """Begin to wait.

        Args:
            usual: seconds to wait if nothing extends them.
            latest: seconds to wait at most.
        """
        now = time.monotonic()
        self._latest = now + max(usual, latest)
        self.deadline = now + usual
        self.is_too_short = False
        """Whether questions were not answered because of it."""

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Wait longer, because an answer saves so much."""
        self.deadline = min(self.deadline + seconds, self._latest)


class Threads:
    """Threads that do small tasks in the order of their arrival.

    They are daemons, so a process that ends does not wait for a server.
    """

    def __init__(self, most: int) -> None:
        """Make threads; each starts with a task.

        Args:
            most: how many tasks run at the same time.
        """
        self._most = most
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._started = 0

    def do(self, task: Callable[[], None]) -> None:
        """Do a task soon. It must catch its exceptions.

        Raises:
            RuntimeError: the system allows no thread at all.
        """
        self._tasks.put(task)
        if self._started < self._most:
            try:
                threading.Thread(target=self._run, daemon=True).start()
            except RuntimeError:
                if not self._started:
                    raise
                self._most = self._started
            else:
                self._started += 1

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def close(self) -> None:
        """End the threads, each after the tasks that came before."""
        for _thread in range(self._started):
            self._tasks.put(None)
