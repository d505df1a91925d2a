"""The sections of a WebAssembly binary: where each begins and ends, without reading its content."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CUSTOM_SECTION",
    "DEEPEST",
    "NESTED_SECTIONS",
    "WASM_HEADERS",
    "DamagedError",
    "Kind",
    "Section",
    "read_leb128",
    "walk_sections",
    "write_leb128",
]

Kind = Literal["module", "component"]

# https://webassembly.github.io/spec/core/binary/modules.html,
# https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
WASM_HEADERS: dict[bytes, Kind] = {
    b"\0asm\x01\0\0\0": "module",
    b"\0asm\x0d\0\x01\0": "component",
}
CUSTOM_SECTION = 0
NESTED_SECTIONS = (1, 4)
"""The sections of a component that hold a core module or a component."""
DEEPEST = 100
"""How many levels of nested components are read."""


class DamagedError(Exception):
    """The sections are not those of a WebAssembly binary. The text says why."""

    def __init__(self, text: str = "a section does not end where it should") -> None:
        super().__init__(text)


class Section(NamedTuple):
    """A section, by its offsets in the file."""

    id: int
    start: int
    """The offset of its header."""
    content: int
    """The offset of its content."""
    end: int


def walk_sections(file: BinaryIO, start: int, end: int) -> Iterator[Section]:
    """Yield the sections between two offsets.

    Raises:
        DamagedError: they do not fill the space exactly.
    """
    while start < end:
        file.seek(start)
        head = file.read(6)
        size, length = read_leb128(head[1:])
        content = start + 1 + length
        if size is None or content + size > end:
            raise DamagedError
        yield Section(head[0], start, content, content + size)
        start = content + size


def read_leb128(data: bytes) -> tuple[int | None, int]:
    """Decode an unsigned integer; return it and its length in bytes."""
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, index + 1
    return None, len(data)


def write_leb128(value: int) -> bytes:
    """Encode an unsigned integer."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
