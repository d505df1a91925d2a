"""The results of checks."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "Note"]


@dataclass(frozen=True)
class Finding:
    """Something in a wheel that is wrong."""

    member: str | None
    """The file in the wheel; None for the wheel as a whole."""
    text: str
    """The problem: the present state, and the expected one if it is known."""


@dataclass(frozen=True)
class Note:
    """Something in a wheel that may be intended, but may surprise its author or its users."""

    member: str | None
    text: str
