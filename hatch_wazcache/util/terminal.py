"""Makes text safe to show: file names and messages of other programs may hold anything."""

from __future__ import annotations

import unicodedata

__all__ = ["encodable", "printable"]


def printable(text: str, *, keep: str = "") -> str:
    """Escape the characters that end a line or control a terminal.

    Args:
        text: any text.
        keep: control characters to leave as they are, such as a line break.
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter in keep or unicodedata.category(letter) == "Zs"
        else letter.encode("unicode_escape", "replace").decode()
        for letter in text
    )


def encodable(text: str, encoding: str | None) -> str:
    """Escape the characters that an encoding lacks.

    Args:
        text: any text.
        encoding: of the stream that the text goes to; None if that is not known.
    """
    encoding = encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)
