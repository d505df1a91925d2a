"""Programs on a terminal of their own, as a person starts them."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_START = """
import os, signal, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))  # the first that a new session opens controls it
signal.signal(signal.SIGINT, signal.SIG_DFL)  # these tests may run in the background
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A program and its terminal."""

    def __init__(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the program.

        No code of ours runs between fork and exec: this process may have threads, and the fork of
        such a process may wait for their locks without end.
        """
        self._file, inside = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _START, *command],
            cwd=folder, env=env, stdin=inside, stdout=inside, stderr=inside,
            start_new_session=True,
        )  # fmt: skip
        os.close(inside)
        self.output = ""

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def read(self, seconds: float = 20) -> bool:
        """Read what it shows now, if there is anything within the time; say whether there was."""
        ready, _, _ = select.select([self._file], [], [], seconds)
        if ready:
            self.output += os.read(self._file, 65536).decode("utf-8", "replace")
        return bool(ready)

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Read until it shows a text."""
        end = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < end, f"{text!r} is not in {self.output!r}"
            self.read(0.2)

    def end(self) -> int:
        """Read all that comes until the program ends; return its exit status."""
        with contextlib.suppress(OSError):  # Linux raises it when nobody has the terminal open
            while self.read():
                pass
        os.close(self._file)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._file)
