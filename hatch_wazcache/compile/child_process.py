"""How a child process is started and killed: its import path, its environment, its descendants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

__all__ = ["clean_environment", "import_path", "kill_tree"]


def import_path() -> list[str]:
    """Return `sys.path` for a child that may run in another folder."""
    return [os.getcwd() if entry == "" else entry for entry in sys.path]


def kill_tree(process: subprocess.Popen[Any]) -> None:
    """Kill a process that was started in a session of its own, and its descendants."""
    if sys.platform == "win32":
        words = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(words, check=False, capture_output=True)
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def clean_environment() -> dict[str, str]:
    """Return the environment without the variables that change an artifact or the output."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("WASMTIME_", "RUST_"))
    }
