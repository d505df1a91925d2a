"""Asks the wasmtime CLI for its version."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading

from hatch_wazcache.util.child_process import compiler_environment, kill_tree

__all__ = ["UnfitError", "cli_version"]

_PATIENCE = 60.0
"""The time limit in seconds. It usually needs a hundredth of one."""

_LONGEST_VERSION = 200
"""The most bytes of output that are read as a version."""

_LONGEST_REASON = 300
"""The most bytes of an error that a message quotes."""


class UnfitError(Exception):
    """The wasmtime CLI cannot replace wasmtime-py; the message is the end of a sentence."""


def cli_version(path: str, timeout: float) -> str:
    """Return the version that the CLI prints, three numbers.

    Args:
        path: the program.
        timeout: seconds that it may need, if that is less than a minute.

    Raises:
        UnfitError: it is not the wasmtime CLI, or fails.
    """
    printed = _printed_version(path, min(timeout, _PATIENCE))
    found = re.fullmatch(r"wasmtime(?:-cli)? (\d+\.\d+\.\d+)\b.*", printed)
    if found is None:
        raise UnfitError(f"{path} is not the wasmtime CLI: `--version` printed {printed!r}")
    return found[1]


def _printed_version(path: str, patience: float) -> str:
    """Return what `--version` prints; only its beginning if it is too long."""
    try:
        process = subprocess.Popen(
            [path, "--version"],
            # As for compiling: a version manager chooses the version by the folder.
            cwd=tempfile.gettempdir(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,  # if it prints more than a pipe holds, it waits
            env=compiler_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise UnfitError(f"{path} cannot be run: {error.strerror or error}") from error
    late = threading.Event()
    timer = threading.Timer(patience, _kill, [process, late])
    try:
        timer.start()
        assert process.stdout is not None
        with process.stdout as output:
            printed = output.read(_LONGEST_VERSION)
        status = process.wait() if len(printed) < _LONGEST_VERSION else 0
    finally:
        timer.cancel()
        kill_tree(process)
        process.wait()
    assert process.stderr is not None
    with process.stderr as errors:
        reason = _last_line(errors.read())
    if late.is_set():
        raise UnfitError(f"{path} --version does not end within {patience:g} s")
    if status != 0:
        raise UnfitError(f"{path} --version ends with status {status}{reason}")
    return printed.decode("utf-8", "replace").strip()


def _last_line(output: bytes) -> str:
    """Return the last line that a program printed, after a colon; empty if it printed none."""
    lines = output[-_LONGEST_REASON:].decode("utf-8", "replace").split("\n")
    return next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    kill_tree(process)
