"""Reads the sections `producers` of a WebAssembly binary: the tools that say they made it.

A stranger's binary can say anything there. What is not well-formed is left out, as the convention
demands: https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from hatch_wazcache.formats.sections import (
    CUSTOM_SECTION,
    DEEPEST,
    NESTED_SECTIONS,
    WASM_HEADERS,
    DamagedError,
    read_leb128,
    walk_sections,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_wazcache.formats.sections import Kind

__all__ = ["FIELDS", "Producer", "read_producers"]

FIELDS = ("language", "processed-by", "sdk")
"""All fields that the convention knows."""

_NAME = b"\x09producers"
"""The name of the section, behind its length."""

_LARGEST_SECTION = 16 << 10
"""Bytes. Real ones have less than one kilobyte."""

_MOST_SECTIONS = 100_000
"""In the whole binary, as for `read_wasm`."""

_MOST_PRODUCERS = 200
"""In the whole binary; the others are left out."""

_LONGEST_TEXT = 200
"""Characters of a name or a version; a section with a longer one is left out."""


class Producer(NamedTuple):
    """A tool, as a binary names it."""

    field: str
    """`language`, `processed-by` or `sdk`."""
    name: str
    """Any text, such as `rustc`."""
    version: str
    """Any text, such as `1.75.0 (82e1608df 2023-12-21)`; may be empty."""


def read_producers(file: BinaryIO, size: int) -> tuple[Producer, ...]:
    """Return what all sections of a binary name, also those of nested modules, each once; sorted.

    Args:
        file: the binary. A damaged one names what comes before the damage.
        size: its size in bytes.
    """
    found: set[Producer] = set()
    file.seek(0)
    if (kind := WASM_HEADERS.get(file.read(8))) is None:
        return ()
    try:
        for producers in _walk(file, 8, size, kind, count()):
            found.update(producers)
            if len(found) >= _MOST_PRODUCERS:
                break
    except DamagedError:
        pass  # the compiler reports it
    return tuple(sorted(found)[:_MOST_PRODUCERS])


def _walk(
    file: BinaryIO, start: int, end: int, kind: Kind, seen: Iterator[int], depth: int = 0
) -> Iterator[list[Producer]]:
    """Yield what each section between two offsets names."""
    if depth > DEEPEST:
        return
    for section in walk_sections(file, start, end):
        if next(seen) > _MOST_SECTIONS:
            return
        size = section.end - section.content
        if section.id == CUSTOM_SECTION and len(_NAME) <= size <= _LARGEST_SECTION:
            file.seek(section.content)
            if file.read(len(_NAME)) == _NAME:
                yield _parse(file.read(size - len(_NAME)))
        elif kind == "component" and section.id in NESTED_SECTIONS:
            file.seek(section.content)
            if (nested := WASM_HEADERS.get(file.read(8))) is not None:
                yield from _walk(file, section.content + 8, section.end, nested, seen, depth + 1)


def _parse(data: bytes) -> list[Producer]:
    """Return what a section names; nothing if it is not well-formed."""
    reader = _Reader(data)
    try:
        found = [
            Producer(field, reader.text(), reader.text())
            for _field in range(reader.number())
            for field in [reader.text()]
            for _value in range(reader.number())
        ]
    except ValueError:
        return []
    if not reader.is_at_end or any(one.field not in FIELDS for one in found):
        return []
    return found


class _Reader:
    """Reads the values of a section, one after the other; raises ValueError at the first wrong."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def number(self) -> int:
        value, length = read_leb128(self._data[self._place : self._place + 5])
        if value is None:
            raise ValueError
        self._place += length
        return value

    def text(self) -> str:
        length = self.number()
        data = self._data[self._place : self._place + length]
        if len(data) < length or len(text := data.decode()) > _LONGEST_TEXT:
            raise ValueError
        self._place += length
        return text

    @property
    def is_at_end(self) -> bool:
        return self._place == len(self._data)
