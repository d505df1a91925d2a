"""A thread of this process that does tasks, for a process that can start no Python."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from hatch_wazcache.util.child_process import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WorkerThread"]

_ENVIRONMENT = threading.Lock()
"""Held while the environment is changed for a compiler."""


class WorkerThread:
    """A thread with the methods of `WorkerProcess`. It cannot be killed: a late task continues."""

    def __init__(self, answers: queue.SimpleQueue[tuple[Any, str | None]]) -> None:
        """Start the thread.

        Args:
            answers: gets each answer, and None when the thread ends.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        self._answers = answers
        self._requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._error = ""
        self.started = 0.0
        """When the task that runs now began."""
        self.last_sign_of_life = 0.0
        """When the task that runs now was last reported."""
        self.timed_out = False
        self.package: Path | None = None
        """As for `WorkerProcess`."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while (request := self._requests.get()) is not None:
                self._answers.put((self, json.dumps(_answer(request))))
        except BaseException:
            self._error = traceback.format_exc().splitlines()[-1]
            raise
        finally:
            self._answers.put((self, None))

    def begin(self) -> None:
        """Note that a task begins now."""
        self.started = self.last_sign_of_life = time.monotonic()

    def send(self, request: dict[str, Any]) -> None:
        self._requests.put(request)

    def time_out(self) -> None:
        """Note that the task has run too long. It cannot be stopped."""
        self.timed_out = True

    def wait(self) -> int:
        """Wait until the thread has ended, and return a status: only an error ends it early."""
        self._thread.join()
        return 1

    def last_errors(self) -> str:
        """Return the error that ended the thread."""
        return self._error

    def end(self) -> None:
        """Let the thread end after its task."""
        self._requests.put(None)


def _answer(request: dict[str, Any]) -> dict[str, str]:
    """Do a task with the environment of a child process: its variables change artifacts."""
    from hatch_wazcache.compile.worker import do_task

    with _ENVIRONMENT:
        hidden = {name: os.environ[name] for name in os.environ.keys() - clean_environment().keys()}
        for name in hidden:
            del os.environ[name]
        try:
            return do_task(request)
        finally:
            os.environ.update(hidden)
