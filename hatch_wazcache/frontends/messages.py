"""The form of an error that every front end shows."""

from __future__ import annotations

__all__ = ["with_prefix"]


def with_prefix(text: object) -> str:
    """Begin each line with the name of the tool: other tools write to the same output."""
    return "\n".join(f"wazcache: {line}" for line in str(text).splitlines())
