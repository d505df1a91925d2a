"""Sections of WebAssembly files and of artifacts."""

from __future__ import annotations

import wasmtime

from tests.support.doctored import SECTION, sections


def leb128(value: int, length: int = 0) -> bytes:
    """Encode a number, in more bytes than necessary if a length is given."""
    encoded = []
    while value >= 0x80 or len(encoded) + 1 < length:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def section(number: int, content: bytes, length: int = 0) -> bytes:
    return bytes([number]) + leb128(len(content), length) + content


def custom(name: str, content: bytes = b"") -> bytes:
    return section(0, leb128(len(name.encode())) + name.encode() + content)


def binary(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def content(artifact: bytes, name: str) -> bytes | None:
    """Return a section of an artifact."""
    if name not in sections(artifact):
        return None
    header = SECTION.unpack_from(artifact, sections(artifact)[name])
    return artifact[header[4] : header[4] + header[5]]


def text(value: str | bytes) -> bytes:
    """Encode a text, with its length before it."""
    data = value.encode() if isinstance(value, str) else value
    return leb128(len(data)) + data


def producers(**fields: list[tuple[str | bytes, str | bytes]]) -> bytes:
    """Make a section that names tools and their versions; `processed_by` is `processed-by`."""
    content = leb128(len(fields))
    for name, values in fields.items():
        content += text(name.replace("_", "-")) + leb128(len(values))
        content += b"".join(text(one) + text(version) for one, version in values)
    return custom("producers", content)
