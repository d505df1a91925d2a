"""The two compilers, as the child calls them. For the same task they give the same bytes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_wazcache.engine.settings import make_config, wasmtime_cli_arguments

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CompileError",
    "WasmtimeCli",
    "by_wasmtime_cli",
    "by_wasmtime_py",
    "sweep_wasmtime_cli_files",
]

_LONGEST_MESSAGE = 2000


_HINTS = {
    # An assertion of its, since Windows describes a function on Arm by 18 bits of instructions:
    # https://learn.microsoft.com/en-us/cpp/build/arm64-exception-handling
    "function too large": (
        "wasmtime takes no function of over 1 MiB of machine code for Windows on Arm, so the "
        "package cannot run there at all: leave that target out of targets"
    ),
    "Support for this target": (
        "that wasmtime was built without this architecture: take one of its releases, or build it "
        "with --features all-arch"
    ),
}
"""What to do about some words of the program's."""


class CompileError(Exception):
    """The compiler refuses the asset, the system or a setting; the message says why."""


class WasmtimeCli(NamedTuple):
    """The `wasmtime` program, as it was when it was looked at."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """Look at the program.

        Raises:
            OSError: it is not there.
        """
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns)

    def is_unchanged(self) -> bool:
        try:
            return self.at(Path(self.path)) == self
        except OSError:
            return False


def by_wasmtime_py(wasm: bytes, kind: str, package: str, **how: Any) -> bytearray:
    """Compile by the installed wasmtime-py.

    Args:
        wasm: the binary.
        kind: `module` or `component`.
        package: the folder of the wasmtime that is installed.
        how: the arguments of `make_config`.

    Raises:
        CompileError: it refuses them.
    """
    wasmtime = _import_wasmtime(package)
    try:
        engine = wasmtime.Engine(make_config(**how))
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
def _import_wasmtime(package: str) -> Any:
    """Import the wasmtime that the key speaks of.

    Another may come first on the path without being installed, as a folder of this name in the
    project or on PYTHONPATH: what that one compiles must never be published under this key.
    """
    sys.path.insert(0, os.path.dirname(package))
    try:
        import wasmtime
    finally:
        del sys.path[0]
    if not os.path.samefile(os.path.dirname(wasmtime.__file__), package):
        raise ImportError(f"wasmtime is imported from {wasmtime.__file__}, not from {package}")
    return wasmtime


def by_wasmtime_cli(wasm: bytes, program: WasmtimeCli, **how: Any) -> bytes:
    """Compile by the `wasmtime` program.

    It gets the binary in a file of its own, not the asset itself, which may have an odd name, or
    change, or lie beside a `.dwp`.

    Args:
        wasm: the binary.
        program: as it was when it was held against wasmtime-py; another in its place is refused.
        how: the arguments of `make_config`.

    Raises:
        CompileError: it refuses them, or fails.
    """
    import tempfile  # not for what wasmtime-py compiles

    from hatch_wazcache.util import temporary_files

    try:
        folder = Path(tempfile.gettempdir())
        with temporary_files.temporary(folder) as source, temporary_files.temporary(folder) as out:
            source.write_bytes(wasm)
            arguments = ["-o", str(out), *wasmtime_cli_arguments(**how)]
            _run([program.path, "compile", *arguments, str(source)], folder)
            artifact = out.read_bytes()
    except OSError as error:
        where = tempfile.tempdir or "no temporary file"
        raise CompileError(f"{where}: {error.strerror or error}; see TMPDIR") from error
    if not program.is_unchanged():
        raise CompileError(f"{program.path} has been replaced meanwhile; build again")
    return artifact


def sweep_wasmtime_cli_files() -> None:
    """Remove what processes that were killed have left of the program's files."""
    import tempfile

    from hatch_wazcache.util import temporary_files

    with suppress(OSError):
        temporary_files.sweep(Path(tempfile.gettempdir()))


def _run(words: list[str], folder: Path) -> None:
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
    last = b""
    with process.stderr as errors:
        while chunk := errors.read(1 << 16):  # as much as it likes to say; its end is kept
            last = (last + chunk)[-_LONGEST_MESSAGE:]
    status = process.wait()
    if status != 0:
        said = last.decode("utf-8", "replace").strip().removeprefix("Error: ")
        if hint := next((hint for cause, hint in _HINTS.items() if cause in said), ""):
            said = f"{said}; {hint}"
        how = f"status {status}" if status > 0 else f"signal {-status}"
        raise CompileError(f"{words[0]} ended with {how}: {said}")
