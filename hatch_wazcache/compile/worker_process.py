"""The parent's side of a child process that does tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hatch_wazcache.util.child_process import (
    compiler_environment,
    import_path,
    isolated,
    kill_tree,
)

if TYPE_CHECKING:
    import queue
    from pathlib import Path

__all__ = ["WorkerProcess"]

_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from hatch_wazcache.compile.worker import main
main()
"""

_starting = threading.RLock()
"""Held while a process starts. A fork at that moment would inherit the pipe on which Popen waits,
and Popen would wait until the fork has ended."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_starting.acquire,
        after_in_parent=_starting.release,
        after_in_child=_starting.release,
    )


class WorkerProcess:
    """A child process, with the thread that waits for its answers."""

    def __init__(self, python: str, answers: queue.SimpleQueue[tuple[Any, str | None]]) -> None:
        """Start the process.

        Args:
            python: as `python_executable` returns it.
            answers: gets each line that the process answers, and None when the process ends.

        Raises:
            OSError, RuntimeError: the system allows no more processes, files or threads.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        with _starting:
            self._process = subprocess.Popen(
                [*isolated(python), "-c", _BOOT, json.dumps(import_path())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
                env=compiler_environment(),
                start_new_session=True,  # so that the wasmtime CLI can be killed with it
            )
        self.started = 0.0
        """When the task that runs now began."""
        self.last_sign_of_life = 0.0
        """When the task that runs now was last reported."""
        self.timed_out = False
        self.package: Path | None = None
        """The folder of the wasmtime that the process has imported, or will import."""
        try:
            threading.Thread(target=self._listen, args=(answers,), daemon=True).start()
        except RuntimeError:
            self.end()
            raise

    def _listen(self, answers: queue.SimpleQueue[tuple[Any, str | None]]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                answers.put((self, line))
        answers.put((self, None))

    def begin(self) -> None:
        """Note that a task begins now."""
        self.started = self.last_sign_of_life = time.monotonic()

    def send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # the process has died; `_listen` reports that
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def time_out(self) -> None:
        """Kill the process because its task has run too long."""
        self.timed_out = True
        self._kill()

    def _kill(self) -> None:
        if sys.platform == "win32":
            self._process.kill()  # ends the CLI with it; taskkill needs a tenth of a second
        else:
            kill_tree(self._process)  # killing the process alone would leave the CLI running

    def wait(self) -> int:
        """Wait until the process has ended, and return its status."""
        return self._process.wait()

    def last_errors(self) -> str:
        """Return the last lines that the process wrote to stderr."""
        self._errors.seek(max(self._errors.seek(0, 2) - 2000, 0))
        lines = self._errors.read().decode(errors="replace").splitlines()
        kept = [line.strip() for line in lines if line.strip() and "RUST_BACKTRACE" not in line]
        return "; ".join(kept[-3:])

    def end(self) -> None:
        """Kill the process, and the wasmtime CLI if it runs one."""
        self._kill()
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(OSError):  # closing sends the rest of the buffer
            self._process.stdin.close()
        self._errors.close()
