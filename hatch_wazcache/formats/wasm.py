"""A WebAssembly binary seen from outside: module or component, its digest, how much code it has.

And what it is without the sections that only tell people something.
"""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = [
    "STRIP",
    "STRIP_ALLOWED",
    "WASM_HEADERS",
    "Kind",
    "Wasm",
    "WasmReader",
    "read_again",
    "read_strip",
    "read_wasm",
    "without_sections",
]

Kind = Literal["module", "component"]

# https://webassembly.github.io/spec/core/binary/modules.html,
# https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
WASM_HEADERS: dict[bytes, Kind] = {
    b"\0asm\x01\0\0\0": "module",
    b"\0asm\x0d\0\x01\0": "component",
}
STRIP = ("name", "debug")
"""What can be left out before a `.wasm` is compiled."""
STRIP_ALLOWED = 'a list out of "name", "debug", each once'
"""For messages."""

_NAME_SECTIONS: dict[Kind, str] = {"module": "name", "component": "component-name"}
# https://github.com/WebAssembly/tool-conventions/blob/main/Debugging.md
_DEBUG_SECTIONS = ("sourceMappingURL", "external_debug_info")
_DEBUG_PREFIX = ".debug_"

_CUSTOM_SECTION = 0
_LONGEST_NAME = 100_000
"""Bytes; wasmtime refuses a longer one."""
_CODE_SECTION = 10
_NESTED_SECTIONS = (1, 4)  # in a component: a core module, a component
_DEEPEST = 100


class FileStamp(NamedTuple):
    """Values of a file that change with its bytes, and are compared without reading them.

    A copy can keep the time of the last change (`cp -p`, tar), but not `ctime_ns`. On Windows that
    is the time of the creation, so there a stamp proves nothing.
    """

    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """Return the stamp of a file by its status."""
        return cls(status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Wasm(NamedTuple):
    """What is known of a `.wasm` file before it is compiled."""

    sha256: str
    """Hexadecimal."""
    size: int
    """Bytes."""
    kind: Kind
    stamp: FileStamp
    """As it was when the file was read."""
    code_size: int
    """Bytes of all code sections: what a compiler's time and memory grow with."""


def read_wasm(path: Path, name: str) -> Wasm:
    """Read and digest a `.wasm` file, in memory that does not grow with it.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        WazcacheError: the file cannot be read or is no complete WebAssembly binary.
    """
    try:
        if not path.is_file():
            raise WazcacheError(f"{name}: {_no_file(path)}; an asset must be a .wasm file")
        with path.open("rb") as file:
            stamp = FileStamp.of(os.fstat(file.fileno()))
            if not (head := file.read(8)):
                raise WazcacheError(f"{name}: the file is empty")
            if (kind := WASM_HEADERS.get(head)) is None:
                raise WazcacheError(f"{name}: {_what_it_is(head + file.read(64))}")
            size = file.seek(0, os.SEEK_END)
            try:
                code_size = _code_size(file, 8, size, kind)
            except _DamagedError:
                raise WazcacheError(
                    f"{name}: truncated or damaged: a section does not end where it should"
                ) from None
            return Wasm(_sha256(file, size), size, kind, stamp, code_size)
    except OSError as error:
        raise WazcacheError(f"{name}: cannot be read: {error.strerror or error}") from error


class WasmReader:
    """Reads and digests each file once, for the wheels of several targets."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[os.stat_result, Wasm]] = {}

    def read(self, path: Path, name: str) -> Wasm:
        """Do as `read_wasm` does, unless the file is as it was when it was last read.

        Another build hook may make it anew for each wheel.
        """
        try:
            now = path.stat()
        except OSError:
            return read_wasm(path, name)  # which says what is wrong
        if path not in self._known or not _is_same(self._known[path][0], now):
            self._known[path] = now, read_wasm(path, name)
        return self._known[path][1]


def _is_same(before: os.stat_result, now: os.stat_result) -> bool:
    fields = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    return all(getattr(before, field) == getattr(now, field) for field in fields)


def read_again(path: str | Path, sha256: str) -> bytes:
    """Read the binary that `read_wasm` has seen.

    Args:
        path: the file.
        sha256: what it was then, hexadecimal.

    Raises:
        WazcacheError: it cannot be read, or is another by now; the message does not name it.
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
        return "is a symlink that leads nowhere"
    return "is not a regular file"


def _what_it_is(head: bytes) -> str:
    if len(head) < 8 and any(header.startswith(head) for header in WASM_HEADERS):
        return "truncated or damaged: it ends within its header"
    if head.lstrip().startswith((b"(module", b"(component", b";;", b"(;")):
        return "WebAssembly text, not binary; convert it first (wasm-tools parse, or wat2wasm)"
    if head.startswith(b"\x7fELF"):
        return "an ELF file, not WebAssembly; a .cwasm artifact cannot be compiled again"
    if head.startswith(b"\0asm"):
        return f"WebAssembly of an unknown version ({head[4:8].hex(' ')})"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not WebAssembly; run `git lfs pull`"
    return "not WebAssembly (it does not begin with \\0asm)"


def _sha256(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(size, 1 << 20)))
    file.seek(0)
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
    return digest.hexdigest()


def read_strip(value: object) -> tuple[str, ...] | None:
    """Return what is to be left out, in the order of `STRIP`; None for what is no list of such."""
    if not isinstance(value, list) or not all(item in STRIP for item in value):
        return None
    found = tuple(name for name in STRIP if name in value)
    return found if len(found) == len(value) else None


def without_sections(wasm: bytes, strip: Collection[str]) -> bytes:
    """Leave out custom sections, those of nested modules and components too.

    All others stay byte for byte; only the sizes of sections around those that are left out are
    written anew.

    Args:
        wasm: the binary; one that is damaged stays as it is, for the compiler to say so.
        strip: `name` for the names of functions and the like, `debug` for what a debugger reads.
    """
    if not strip:
        return wasm
    try:
        # Neither of the two copies it.
        pieces = _without(io.BytesIO(wasm), memoryview(wasm), 0, len(wasm), strip)
    except _DamagedError:
        return wasm
    return b"".join(pieces) if len(pieces) > 1 else wasm


def _without(
    file: BinaryIO, wasm: memoryview, start: int, end: int, strip: Collection[str], depth: int = 0
) -> list[bytes | memoryview]:
    """Return what is left of the module or component between two offsets, in pieces.

    Raises:
        _DamagedError: it is none, or its sections do not add up.
    """
    if depth > _DEEPEST:
        return [wasm[start:end]]
    if (kind := WASM_HEADERS.get(bytes(wasm[start : start + 8]))) is None:
        raise _DamagedError
    pieces: list[bytes | memoryview] = []
    kept = start
    for section in _sections(file, start + 8, end):
        if section.id == _CUSTOM_SECTION:
            if not _is_left_out(_custom_name(file, section), kind, strip):
                continue
            anew: list[bytes | memoryview] = []
        elif kind == "component" and section.id in _NESTED_SECTIONS:
            inside = _without(file, wasm, section.content, section.end, strip, depth + 1)
            if len(inside) == 1:
                continue
            anew = [bytes([section.id]), _to_leb128(sum(map(len, inside))), *inside]
        else:
            continue
        pieces += [wasm[kept : section.start], *anew]
        kept = section.end
    return [*pieces, wasm[kept:end]]


def _is_left_out(name: str | None, kind: Kind, strip: Collection[str]) -> bool:
    if name is None:
        return False
    is_debug = name in _DEBUG_SECTIONS or name.startswith(_DEBUG_PREFIX)
    return ("debug" in strip and is_debug) or ("name" in strip and name == _NAME_SECTIONS[kind])


def _custom_name(file: BinaryIO, section: _Section) -> str | None:
    """Return a custom section's name; None for one that a compiler refuses."""
    file.seek(section.content)
    length, taken = _leb128(file.read(5))
    start = section.content + taken
    if length is None or start + length > section.end or length > _LONGEST_NAME:
        return None
    file.seek(start)
    try:
        return file.read(length).decode()
    except UnicodeDecodeError:
        return None


class _Section(NamedTuple):
    id: int
    start: int
    """Where its header is."""
    content: int
    """Where what it holds begins."""
    end: int


class _DamagedError(Exception):
    """A section does not end where it should."""


def _sections(file: BinaryIO, start: int, end: int) -> Iterator[_Section]:
    """Walk over the sections between two offsets.

    Raises:
        _DamagedError: they do not add up.
    """
    while start < end:
        file.seek(start)
        head = file.read(6)
        size, taken = _leb128(head[1:])
        content = start + 1 + taken
        if size is None or content + size > end:
            raise _DamagedError
        yield _Section(head[0], start, content, content + size)
        start = content + size


def _code_size(file: BinaryIO, start: int, end: int, kind: Kind, depth: int = 0) -> int:
    """Add up the code sections between two offsets.

    Raises:
        _DamagedError: the sections do not add up.
    """
    if depth > _DEEPEST:
        return 0  # a part of the estimate is lost, nothing else
    total = 0
    for section in _sections(file, start, end):
        if kind == "module":
            total += section.end - section.content if section.id == _CODE_SECTION else 0
        elif section.id in _NESTED_SECTIONS:
            file.seek(section.content)
            if (nested := WASM_HEADERS.get(file.read(8))) is None:
                raise _DamagedError
            total += _code_size(file, section.content + 8, section.end, nested, depth + 1)
    return total


def _leb128(data: bytes) -> tuple[int | None, int]:
    """Decode an unsigned integer; return it and how many bytes it took."""
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, index + 1
    return None, len(data)


def _to_leb128(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
