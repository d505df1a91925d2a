"""A WebAssembly binary seen from outside: module or component, its digest, how much code it has."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WASM_HEADERS", "Kind", "Wasm", "read_again", "read_wasm"]

Kind = Literal["module", "component"]

# https://webassembly.github.io/spec/core/binary/modules.html,
# https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
WASM_HEADERS: dict[bytes, Kind] = {
    b"\0asm\x01\0\0\0": "module",
    b"\0asm\x0d\0\x01\0": "component",
}
_CODE_SECTION = 10
_NESTED_SECTIONS = (1, 4)  # in a component: a core module, a component
_DEEPEST = 100


class Wasm(NamedTuple):
    """What is known of a `.wasm` file before it is compiled."""

    sha256: str
    """Hexadecimal."""
    size: int
    """Bytes."""
    kind: Kind
    mtime_ns: int
    """When it was last changed, as it was read."""
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
            mtime_ns = os.fstat(file.fileno()).st_mtime_ns
            if not (head := file.read(8)):
                raise WazcacheError(f"{name}: the file is empty")
            if (kind := WASM_HEADERS.get(head)) is None:
                raise WazcacheError(f"{name}: {_what_it_is(head + file.read(64))}")
            size = file.seek(0, os.SEEK_END)
            code_size = _code_size(file, 8, size, kind)
            if code_size is None:
                raise WazcacheError(
                    f"{name}: truncated or damaged: a section does not end where it should"
                )
            return Wasm(_sha256(file, size), size, kind, mtime_ns, code_size)
    except OSError as error:
        raise WazcacheError(f"{name}: cannot be read: {error.strerror or error}") from error


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


def _code_size(file: BinaryIO, start: int, end: int, kind: Kind, depth: int = 0) -> int | None:
    """Add up the code sections between two offsets; None where the sections do not add up."""
    if depth > _DEEPEST:
        return 0  # a part of the estimate is lost, nothing else
    total = 0
    while start < end:
        file.seek(start)
        head = file.read(6)
        size, length = _leb128(head[1:])
        start += 1 + length
        if size is None or start + size > end:
            return None
        if kind == "module":
            total += size if head[0] == _CODE_SECTION else 0
        elif head[0] in _NESTED_SECTIONS:
            file.seek(start)
            nested = WASM_HEADERS.get(file.read(8))
            inside = nested and _code_size(file, start + 8, start + size, nested, depth + 1)
            if inside is None:
                return None
            total += inside
        start += size
    return total


def _leb128(data: bytes) -> tuple[int | None, int]:
    """Decode an unsigned integer; return it and how many bytes it took."""
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, index + 1
    return None, len(data)
