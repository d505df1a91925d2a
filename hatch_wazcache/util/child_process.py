"""Helps to start and kill child processes: their Python, import path and environment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hatch_wazcache.util.environment import PYTHON, read_variable, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "clean_environment",
    "compiler_environment",
    "import_path",
    "kill_tree",
    "python_executable",
    "why_no_python",
]

_CHANGE_OUTPUT = ("WASMTIME_", "RUST_")
_CREDENTIALS = ("AWS_", "AZURE_", "GOOGLE_")
"""The beginnings of the variables of object stores. A compiler needs no server."""

_PYTHON_NAME = re.compile(r"(python|pypy)[\w.-]*", re.IGNORECASE)


def python_executable() -> str | None:
    """Return the Python that runs child processes; None if there is none.

    `sys.executable` is not always a Python. In a frozen program it is the program, which would
    start itself again and again. In an embedded Python it is the host program, or empty.
    """
    if getattr(sys, "frozen", False):
        return None  # no other Python could import the modules of a frozen program
    if named := read_variable(PYTHON):
        return os.path.abspath(os.path.expanduser(named))
    for path in _candidates():
        if _PYTHON_NAME.fullmatch(os.path.basename(path)) and os.access(path, os.X_OK):
            return path
    return None


def _candidates() -> Iterator[str]:
    yield sys.executable or ""
    names = [f"python{sys.version_info[0]}.{sys.version_info[1]}", "python3", "python"]
    for prefix in (sys.prefix, sys.base_prefix):
        if sys.platform == "win32":
            yield os.path.join(prefix, "python.exe")
            yield os.path.join(prefix, "Scripts", "python.exe")
        else:
            yield from (os.path.join(prefix, "bin", name) for name in names)


def why_no_python() -> str:
    """Return the warning for a process that has no Python for child processes."""
    if getattr(sys, "frozen", False):
        reason = "a frozen program can start no compiler"
    else:
        reason = (
            f"there is no Python to run the compiler (sys.executable is {sys.executable!r}; set "
            f"{PYTHON} to one)"
        )
    return f"{reason}, so this process compiles: a crash of the compiler would end it"


def import_path() -> list[str]:
    """Return `sys.path` for a child that may run in another folder."""
    return [os.getcwd() if entry == "" else str(entry) for entry in sys.path]


def isolated(python: str) -> list[str]:
    """Return the words that start a Python without site-packages and without `PYTHON…` variables.

    It encodes paths as this process does, which may be in UTF-8 mode, or in another encoding.
    """
    is_utf8 = sys.getfilesystemencoding() == "utf-8"
    return [python, "-I", "-S", "-X", f"utf8={is_utf8:d}"]


def kill_tree(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads its own session, and its descendants."""
    if sys.platform == "win32":
        # By its full path: Windows looks for programs in the working directory first.
        folder = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32")
        words = [os.path.join(folder, "taskkill.exe"), "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(words, check=False, capture_output=True, env=without_secrets())
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def clean_environment() -> dict[str, str]:
    """Return the environment without secrets and variables that change artifacts or output."""
    return {
        name: value
        for name, value in without_secrets().items()
        if not name.upper().startswith(_CHANGE_OUTPUT)
    }


def compiler_environment() -> dict[str, str]:
    """Return the clean environment for a process that compiles, without any credentials.

    Where this process compiles itself, other threads may need the credentials of object stores.
    """
    return {
        name: value
        for name, value in clean_environment().items()
        if not name.upper().startswith(_CREDENTIALS)
    }
