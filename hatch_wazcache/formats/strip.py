"""Removes custom sections that no compiler needs from a WebAssembly binary."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from hatch_wazcache.formats.sections import (
    CUSTOM_SECTION,
    DEEPEST,
    NESTED_SECTIONS,
    WASM_HEADERS,
    DamagedError,
    read_leb128,
    walk_sections,
    write_leb128,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from hatch_wazcache.formats.sections import Kind, Section

__all__ = ["STRIP", "STRIP_ALLOWED", "read_strip", "without_sections"]

STRIP = ("name", "debug")
"""The kinds of sections that can be removed before a `.wasm` is compiled."""
STRIP_ALLOWED = 'a list of "name", "debug", each once'
"""For messages."""

_NAME_SECTIONS: dict[Kind, str] = {"module": "name", "component": "component-name"}
# https://github.com/WebAssembly/tool-conventions/blob/main/Debugging.md
_DEBUG_SECTIONS = ("sourceMappingURL", "external_debug_info")
_DEBUG_PREFIX = ".debug_"
_LONGEST_NAME = 100_000
"""Bytes; wasmtime refuses longer names."""


def read_strip(value: object) -> tuple[str, ...] | None:
    """Return the parts to remove, in the order of `STRIP`; None if the value is not allowed."""
    if not isinstance(value, list) or not all(item in STRIP for item in value):
        return None
    found = tuple(name for name in STRIP if name in value)
    return found if len(found) == len(value) else None


def without_sections(wasm: bytes, strip: Collection[str]) -> bytes:
    """Remove custom sections, also from nested modules and components.

    The other sections stay as they are, byte for byte; only the sizes of enclosing sections are
    written again.

    Args:
        wasm: the binary. A damaged one is returned unchanged; the compiler reports it.
        strip: `name` for the names of functions and the like, `debug` for debug information.
    """
    if not strip:
        return wasm
    try:
        # BytesIO and memoryview do not copy the binary.
        pieces = _without(io.BytesIO(wasm), memoryview(wasm), 0, len(wasm), strip)
    except DamagedError:
        return wasm
    return b"".join(pieces) if len(pieces) > 1 else wasm


def _without(
    file: BinaryIO, wasm: memoryview, start: int, end: int, strip: Collection[str], depth: int = 0
) -> list[bytes | memoryview]:
    """Return the rest of the module or component between two offsets, in pieces.

    Raises:
        DamagedError: there is no module or component, or its sections do not fill it exactly.
    """
    if depth > DEEPEST:
        return [wasm[start:end]]
    if (kind := WASM_HEADERS.get(bytes(wasm[start : start + 8]))) is None:
        raise DamagedError
    pieces: list[bytes | memoryview] = []
    kept = start
    for section in walk_sections(file, start + 8, end):
        if section.id == CUSTOM_SECTION:
            if not _is_removed(_custom_name(file, section), kind, strip):
                continue
            replacement: list[bytes | memoryview] = []
        elif kind == "component" and section.id in NESTED_SECTIONS:
            inside = _without(file, wasm, section.content, section.end, strip, depth + 1)
            if len(inside) == 1:
                continue
            replacement = [bytes([section.id]), write_leb128(sum(map(len, inside))), *inside]
        else:
            continue
        pieces += [wasm[kept : section.start], *replacement]
        kept = section.end
    return [*pieces, wasm[kept:end]]


def _is_removed(name: str | None, kind: Kind, strip: Collection[str]) -> bool:
    if name is None:
        return False
    is_debug = name in _DEBUG_SECTIONS or name.startswith(_DEBUG_PREFIX)
    return ("debug" in strip and is_debug) or ("name" in strip and name == _NAME_SECTIONS[kind])


def _custom_name(file: BinaryIO, section: Section) -> str | None:
    """Return a custom section's name; None for a name that compilers refuse."""
    file.seek(section.content)
    length, length_size = read_leb128(file.read(5))
    start = section.content + length_size
    if length is None or start + length > section.end or length > _LONGEST_NAME:
        return None
    file.seek(start)
    try:
        return file.read(length).decode()
    except UnicodeDecodeError:
        return None
