"""Go's own formatter: gofmt, compiled to WebAssembly."""

from __future__ import annotations

import threading

import wasmtime

from gofmt._command import Command
from gofmt._wazcache import engine, load_module

__all__ = ["FormatError", "format"]


class FormatError(ValueError):
    """The source is not valid Go; the message is gofmt's, as `3:7: expected ';', found x`."""


_gofmt: Command | None = None
_loading = threading.Lock()


def format(source: str) -> str:
    """Format Go source, a whole file or a list of declarations or statements.

    Raises FormatError for a syntax error. Any thread may call it, and so may a forked child.
    """
    try:
        result = _load().run(source.encode())
    except wasmtime.Trap as trap:
        if trap.trap_code is not wasmtime.TrapCode.STACK_OVERFLOW:
            raise
        raise FormatError("1:1: the source is nested too deeply") from None
    if result.exit_code == 0:
        return result.stdout.decode()
    message = result.stderr.decode(errors="replace").strip()
    if result.exit_code == 1:
        raise FormatError(message)
    raise RuntimeError(f"gofmt.wasm ended with exit code {result.exit_code}: {message}")


def _load() -> Command:
    """Load gofmt.wasm at the first call: importing this package starts no engine."""
    global _gofmt
    if _gofmt is None:
        with _loading:
            if _gofmt is None:
                _gofmt = Command(engine(), load_module("gofmt.wasm"))
    return _gofmt
