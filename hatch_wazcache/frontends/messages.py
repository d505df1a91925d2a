"""The form of an error that every front end shows."""

from __future__ import annotations

from hatch_wazcache.util.ci_log import ci_log
from hatch_wazcache.util.terminal import printable

__all__ = ["with_prefix"]


def with_prefix(text: object) -> str:
    """Begin each line with the name of the tool: other tools write to the same output."""
    log = ci_log()
    return "\n".join(log.line(f"wazcache: {printable(line)}") for line in str(text).splitlines())
