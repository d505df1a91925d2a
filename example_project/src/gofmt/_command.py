"""Runs a WASI program with standard input, output and error in memory.

wasmtime-py can connect them to files, but reads a file through threads that a forked child does not
have: there the child of a process that has already formatted something would wait forever. So the
two WASI functions that read and write are ours. The rest of WASI is wasmtime's, with no folder, no
argument and no environment variable of the host.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import cast

from wasmtime import (
    Caller,
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Linker,
    Memory,
    Module,
    Store,
    ValType,
    WasiConfig,
)

__all__ = ["Command", "Result"]

_SUCCESS = 0
_BAD_FILE_DESCRIPTOR = 8


@dataclass(frozen=True)
class Result:
    """What a finished run left behind."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class _Streams:
    stdin: io.BytesIO
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


# One linker serves every thread, so its functions find the streams of their own run here.
_streams: ContextVar[_Streams] = ContextVar("_streams")


class Command:
    """A WASI program. Each run is a new instance with a memory of its own."""

    def __init__(self, engine: Engine, module: Module) -> None:
        self._module = module
        self._linker = Linker(engine)
        self._linker.define_wasi()
        self._linker.allow_shadowing = True
        # (file descriptor, vectors, number of vectors, where the number of bytes goes) -> errno
        signature = FuncType([ValType.i32()] * 4, [ValType.i32()])
        for function in (fd_read, fd_write):
            self._linker.define_func(
                "wasi_snapshot_preview1",
                function.__name__,
                signature,
                function,
                access_caller=True,
            )

    def run(self, stdin: bytes) -> Result:
        """Run the program to its end; a trap is raised as wasmtime.Trap."""
        streams = _Streams(io.BytesIO(stdin))
        token = _streams.set(streams)
        try:
            exit_code = self._start()
        finally:
            _streams.reset(token)
        return Result(exit_code, bytes(streams.stdout), bytes(streams.stderr))

    def _start(self) -> int:
        with Store(self._linker.engine) as store:
            store.set_wasi(WasiConfig())
            instance = self._linker.instantiate(store, self._module)
            start = cast("Func", instance.exports(store)["_start"])
            try:
                start(store)
            except ExitTrap as exit_trap:
                return exit_trap.code
        return 0


def fd_read(caller: Caller, fd: int, vectors: int, count: int, total_at: int) -> int:
    """WASI's fd_read, for standard input alone."""
    if fd != 0:
        return _BAD_FILE_DESCRIPTOR
    memory = cast("Memory", caller["memory"])
    stdin = _streams.get().stdin
    total = 0
    for address, size in _vectors(caller, memory, vectors, count):
        total += memory.write(caller, stdin.read(size), address)
    memory.write(caller, struct.pack("<I", total), _unsigned(total_at))
    return _SUCCESS


def fd_write(caller: Caller, fd: int, vectors: int, count: int, total_at: int) -> int:
    """WASI's fd_write, for standard output and error."""
    if fd not in (1, 2):
        return _BAD_FILE_DESCRIPTOR
    memory = cast("Memory", caller["memory"])
    stream = _streams.get().stdout if fd == 1 else _streams.get().stderr
    total = 0
    for address, size in _vectors(caller, memory, vectors, count):
        stream += memory.read(caller, address, address + size)
        total += size
    memory.write(caller, struct.pack("<I", total), _unsigned(total_at))
    return _SUCCESS


def _vectors(caller: Caller, memory: Memory, at: int, count: int) -> Iterator[tuple[int, int]]:
    """The address and size of each piece of memory that a call reads or writes."""
    start = _unsigned(at)
    return struct.iter_unpack("<II", memory.read(caller, start, start + 8 * _unsigned(count)))


def _unsigned(value: int) -> int:
    """An i32 as the address that it is: wasmtime-py hands over signed numbers."""
    return value & 0xFFFFFFFF
