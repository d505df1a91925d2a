"""The two compilers, as the child process calls them. Both make the same bytes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_wazcache.engine.compiler_config import make_config, wasmtime_cli_arguments

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CompileError",
    "WasmtimeCli",
    "compile_with_wasmtime_cli",
    "compile_with_wasmtime_py",
    "delete_leftover_files",
    "import_wasmtime",
]

_LONGEST_MESSAGE = 2000
"""Bytes."""

_HINTS = {
    # An assertion in wasmtime. Windows describes the length of a function on Arm in 18 bits:
    # https://learn.microsoft.com/en-us/cpp/build/arm64-exception-handling
    "function too large": (
        "wasmtime cannot compile a function of over 1 MiB of machine code for Windows on Arm, so "
        "the package cannot run there: leave that target out of targets"
    ),
    "Support for this target": (
        "this wasmtime CLI was built without that architecture: use one of wasmtime's releases, or "
        "build it with --features all-arch"
    ),
}
"""Parts of the wasmtime CLI's messages, each with advice."""


class CompileError(Exception):
    """The compiler refuses the asset, the system or a setting; the message says why."""


class WasmtimeCli(NamedTuple):
    """The wasmtime CLI, with the size and time stamp that it had when it was checked."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """Read size and time stamp.

        Raises:
            OSError: the file does not exist.
        """
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns)

    def is_unchanged(self) -> bool:
        try:
            return self.at(Path(self.path)) == self
        except OSError:
            return False


def compile_with_wasmtime_py(wasm: bytes, kind: str, package: str, **config: Any) -> bytearray:
    """Compile with the installed wasmtime-py.

    Args:
        wasm: the binary.
        kind: `module` or `component`.
        package: the folder of the installed wasmtime.
        config: the arguments of `make_config`.

    Raises:
        CompileError: wasmtime refuses the binary or the configuration.
    """
    wasmtime = import_wasmtime(package)
    try:
        engine = wasmtime.Engine(make_config(**config))
        if kind == "module":
            return wasmtime.Module(engine, wasm).serialize()  # type: ignore[no-any-return]
        try:
            from wasmtime import component
        except ImportError:
            raise CompileError("components need wasmtime 39 or later") from None
        return component.Component(engine, wasm).serialize()
    except (wasmtime.WasmtimeError, ValueError) as error:
        raise CompileError(str(error).partition("Stack backtrace:")[0]) from error


@cache
def import_wasmtime(package: str) -> Any:
    """Import the wasmtime whose version is in the key.

    A folder `wasmtime` in the project or on PYTHONPATH may come first on the path. An artifact
    that it compiles must never be published under this key.

    Args:
        package: the folder of the installed wasmtime.

    Raises:
        ImportError: another wasmtime is imported already, or this one is broken.
        OSError: its library cannot be loaded.
    """
    sys.path.insert(0, os.path.dirname(package))
    try:
        import wasmtime
    finally:
        del sys.path[0]
    if not os.path.samefile(os.path.dirname(wasmtime.__file__), package):
        raise ImportError(f"wasmtime is imported from {wasmtime.__file__}, not from {package}")
    return wasmtime


def compile_with_wasmtime_cli(wasm: bytes, wasmtime_cli: WasmtimeCli, **config: Any) -> bytes:
    """Compile with the wasmtime CLI.

    The CLI reads a copy of the asset, because the asset itself may have an odd name, may change,
    or may have a `.dwp` file beside it.

    Args:
        wasm: the binary.
        wasmtime_cli: the CLI, as it was when it was checked. It is refused if it has changed.
        config: the arguments of `make_config`.

    Raises:
        CompileError: the CLI refuses the binary or the configuration, or fails.
    """
    import tempfile  # not needed for wasmtime-py

    from hatch_wazcache.util import temporary_files

    try:
        folder = Path(tempfile.gettempdir())
        with temporary_files.temporary(folder) as source, temporary_files.temporary(folder) as out:
            source.write_bytes(wasm)
            arguments = ["-o", str(out), *wasmtime_cli_arguments(**config)]
            _run([wasmtime_cli.path, "compile", *arguments, str(source)], folder)
            artifact = out.read_bytes()
    except OSError as error:
        folder_name = tempfile.tempdir or "no temporary file"
        raise CompileError(f"{folder_name}: {error.strerror or error}; see TMPDIR") from error
    if not wasmtime_cli.is_unchanged():
        raise CompileError(f"{wasmtime_cli.path} has been replaced during the build; build again")
    return artifact


def delete_leftover_files() -> None:
    """Delete the wasmtime CLI's temporary files that killed processes left behind."""
    import tempfile

    from hatch_wazcache.util import temporary_files

    with suppress(OSError):
        temporary_files.sweep(Path(tempfile.gettempdir()))


def _run(words: list[str], folder: Path) -> None:
    """Run the wasmtime CLI.

    Raises:
        CompileError: it cannot start, or fails; the message has the end of its output.
    """
    import subprocess

    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
    except OSError as error:
        raise CompileError(f"{words[0]} cannot be run: {error.strerror or error}") from error
    assert process.stderr is not None
    tail = b""
    with process.stderr as errors:
        while chunk := errors.read(1 << 16):
            tail = (tail + chunk)[-_LONGEST_MESSAGE:]
    status = process.wait()
    if status != 0:
        message = tail.decode("utf-8", "replace").strip().removeprefix("Error: ")
        if hint := next((hint for part, hint in _HINTS.items() if part in message), ""):
            message = f"{message}; {hint}"
        ending = f"status {status}" if status > 0 else f"signal {-status}"
        raise CompileError(f"{words[0]} ended with {ending}: {message}")
