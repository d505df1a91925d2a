"""Says in words how the inputs of a key differ from those of the entries in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.cache.items import entries
from hatch_wazcache.cache.search import SHORT, differences, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_wazcache.cache.search import Difference

__all__ = ["difference_text", "miss_text", "value_text"]


def value_text(value: object) -> str:
    """Write the value of an input as in TOML, but a string without quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or "none"
    return "not set" if value is None else str(value)


def difference_text(unlike: Difference) -> str:
    """Write the two values of an input that differs; digests are shortened."""
    wanted, stored = value_text(unlike.wanted), value_text(unlike.stored)
    if unlike.name == "wasm":
        wanted, stored = wanted[:SHORT], stored[:SHORT]
    return f"{wanted} in the project, {stored} in the entry"


def miss_text(root: Path, wanted: Mapping[str, object]) -> str:
    """Say why the cache has no entry with these inputs: how the nearest entry differs.

    Args:
        root: the cache.
        wanted: the inputs of an artifact's key.

    Raises:
        OSError: the cache cannot be read.
    """
    entry = nearest(entries(root), wanted)
    if entry is None:
        return "the cache has no similar entry"
    texts = (
        f"{unlike.name} ({difference_text(unlike)})" for unlike in differences(wanted, entry.inputs)
    )
    return f"the nearest entry, {entry.key[:SHORT]}, differs in {', '.join(texts)}"
