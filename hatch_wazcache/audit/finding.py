"""A finding: the result of one failed check."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Finding"]


class Finding(NamedTuple):
    """Something in a wheel that is wrong."""

    member: str | None
    """The file in the wheel; None for the wheel as a whole."""
    text: str
    """What the file is, and what it should be."""
