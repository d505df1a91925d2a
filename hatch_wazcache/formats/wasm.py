"""Reads the facts about a WebAssembly binary: module or component, digest, size of the code."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.sections import (
    DEEPEST,
    NESTED_SECTIONS,
    WASM_HEADERS,
    DamagedError,
    walk_sections,
)
from hatch_wazcache.util.digests import file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_wazcache.formats.sections import Kind

__all__ = ["FileStamp", "Wasm", "WasmReader", "check_wasm", "read_again", "read_wasm"]

_CODE_SECTION = 10

_MOST_SECTIONS = 100_000
"""A file that consists of empty sections would keep a build busy for minutes."""


class FileStamp(NamedTuple):
    """Values that change when the bytes of a file change. Comparing them does not read the file.

    A copy can keep `mtime_ns` (`cp -p`, tar), but not `ctime_ns`. On Windows `ctime_ns` is the time
    of the file's creation, so there a stamp proves nothing.
    """

    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """Return the stamp of a file from its status."""
        return cls(status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Wasm(NamedTuple):
    """The facts about a `.wasm` file that a build needs before it compiles."""

    sha256: str
    """Hexadecimal."""
    size: int
    """Bytes."""
    kind: Kind
    stamp: FileStamp
    """The stamp when the file was read."""
    code_size: int
    """Bytes of all code sections: the time and memory of a compiler grow with it."""


def read_wasm(path: Path, name: str) -> Wasm:
    """Read and digest a `.wasm` file, in memory that does not grow with the file.

    Args:
        path: the file.
        name: its name in messages.

    Raises:
        WazcacheError: the file cannot be read or is not a complete WebAssembly binary.
    """
    with _opened(path, name) as file:
        stamp = FileStamp.of(os.fstat(file.fileno()))
        kind, size, code_size = _read_sections(file, name)
        file.seek(0)
        return Wasm(file_sha256(file), size, kind, stamp, code_size)


def check_wasm(path: Path, name: str) -> None:
    """Read the header and the sections of a `.wasm` file, for a build that does not compile it.

    Args:
        path: the file.
        name: its name in messages.

    Raises:
        WazcacheError: as for `read_wasm`.
    """
    with _opened(path, name) as file:
        _read_sections(file, name)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    try:
        if not path.is_file():
            raise WazcacheError(f"{name}: {_no_file(path)}; an asset must be a .wasm file")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise WazcacheError(f"{name}: cannot be read: {error.strerror or error}") from error


def _read_sections(file: BinaryIO, name: str) -> tuple[Kind, int, int]:
    """Return the kind of a WebAssembly binary, its size, and the size of all code sections."""
    if not (head := file.read(8)):
        raise WazcacheError(f"{name}: the file is empty")
    if (kind := WASM_HEADERS.get(head)) is None:
        raise WazcacheError(f"{name}: {_what_it_is(head + file.read(64))}")
    size = file.seek(0, os.SEEK_END)
    try:
        return kind, size, _code_size(file, 8, size, kind, count())
    except DamagedError as error:
        raise WazcacheError(f"{name}: truncated or damaged: {error}") from None


class WasmReader:
    """Reads and digests each file once for the wheels of several targets."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[os.stat_result, Wasm]] = {}

    def read(self, path: Path, name: str) -> Wasm:
        """Return the facts as `read_wasm` does; read the file again only if it has changed.

        It can change: another build hook may generate it again for each wheel.
        """
        try:
            now = path.stat()
        except OSError:
            return read_wasm(path, name)  # raises the right error
        if path not in self._known or not _is_same(self._known[path][0], now):
            self._known[path] = now, read_wasm(path, name)
        return self._known[path][1]


def _is_same(before: os.stat_result, now: os.stat_result) -> bool:
    fields = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    return all(getattr(before, field) == getattr(now, field) for field in fields)


def read_again(path: str | Path, sha256: str) -> bytes:
    """Read the whole binary, after `read_wasm` has read it.

    Args:
        path: the file.
        sha256: its digest from `read_wasm`, hexadecimal.

    Raises:
        WazcacheError: it cannot be read, or has changed since; the message does not name the file.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise WazcacheError(f"cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WazcacheError("has changed while it was being built; build again")
    return data


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "is a directory"
    if path.is_symlink() and not path.exists():
        return "is a broken symlink"
    return "is not a regular file"


def _what_it_is(head: bytes) -> str:
    if len(head) < 8 and any(header.startswith(head) for header in WASM_HEADERS):
        return "truncated or damaged: it ends within its header"
    if head.lstrip().startswith((b"(module", b"(component", b";;", b"(;")):
        return "WebAssembly text, not binary; convert it first (wasm-tools parse, or wat2wasm)"
    if head.startswith(b"\x7fELF"):
        return "an ELF file, not WebAssembly; a .cwasm artifact cannot be compiled"
    if head.startswith(b"\0asm"):
        return f"WebAssembly of an unknown version ({head[4:8].hex(' ')})"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not WebAssembly; run `git lfs pull`"
    return "not WebAssembly (it does not begin with \\0asm)"


def _code_size(
    file: BinaryIO, start: int, end: int, kind: Kind, seen: Iterator[int], depth: int = 0
) -> int:
    """Return the size of all code sections between two offsets.

    Args:
        file: the binary.
        start: the offset of the first section.
        end: the offset behind the last one.
        kind: the kind of what holds the sections.
        seen: counts the sections of the whole file.
        depth: the number of components around it.

    Raises:
        DamagedError: the sections do not fill the space exactly, or are far too many.
    """
    if depth > DEEPEST:
        return 0  # only makes the estimate too low
    total = 0
    for section in walk_sections(file, start, end):
        if next(seen) > _MOST_SECTIONS:
            raise DamagedError(f"it has more than {_MOST_SECTIONS} sections")
        if kind == "module":
            total += section.end - section.content if section.id == _CODE_SECTION else 0
        elif section.id in NESTED_SECTIONS:
            file.seek(section.content)
            if (nested := WASM_HEADERS.get(file.read(8))) is None:
                raise DamagedError
            total += _code_size(file, section.content + 8, section.end, nested, seen, depth + 1)
    return total
