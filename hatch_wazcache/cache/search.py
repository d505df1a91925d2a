"""Finds entries for a person: by the first characters of a key, or by similar inputs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatch_wazcache.cache.items import EntryItem

__all__ = ["SHORT", "Difference", "by_prefix", "differences", "nearest"]

SHORT = 12
"""The number of characters of a key that people see."""

_NAMED = 10
"""The most candidates that a message lists."""


@dataclass(frozen=True)
class Difference:
    """An input that differs between a project and an entry. None: that side lacks the input."""

    name: str
    """As in an entry, a setting as `settings.NAME`."""
    wanted: object
    stored: object


def by_prefix(listed: Sequence[EntryItem], prefix: str) -> EntryItem:
    """Return the one entry whose key begins with the prefix.

    Args:
        listed: all entries, the least recently used first.
        prefix: a key, or its first characters.

    Raises:
        WazcacheError: no key begins with the prefix, or several do; the message lists candidates.
    """
    matches = [item for item in listed if prefix and item.key.startswith(prefix.lower())]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise WazcacheError(
            f"{len(matches)} keys begin with {prefix!r}: {_names(matches)}; give more characters"
        )
    there_are = f"there are {_names(listed)}" if listed else "the cache is empty"
    raise WazcacheError(f"no key begins with {prefix!r}; {there_are}")


def _names(listed: Sequence[EntryItem]) -> str:
    newest = [item.key for item in reversed(listed)]
    length = next(n for n in range(SHORT, 65) if len({key[:n] for key in newest}) == len(newest))
    names = [key[:length] for key in newest]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def nearest(listed: Iterable[EntryItem], wanted: Mapping[str, object]) -> Entry | None:
    """Return the entry of an artifact with the most similar inputs.

    An entry of the same `.wasm` comes before all others. Among equally similar entries, the one
    that was used last wins.

    Args:
        listed: entries, the least recently used first. Unreadable ones are skipped.
        wanted: the inputs of an artifact's key.
    """
    best: Entry | None = None
    least = (True, float("inf"))
    for item in listed:
        if item.engine is None:
            continue
        with suppress(BrokenEntryError, OSError):
            entry = item.read()
            unlike = differences(wanted, entry.inputs)
            distance = (entry.inputs.get("wasm") != wanted["wasm"], float(len(unlike)))
            if distance <= least:
                best, least = entry, distance
    return best


def differences(wanted: Mapping[str, object], stored: Mapping[str, object]) -> list[Difference]:
    """List the inputs that differ, each setting separately."""
    wanted, stored = _flat(wanted), _flat(stored)
    names = dict.fromkeys((*wanted, *stored))
    return [
        Difference(name, wanted.get(name), stored.get(name))
        for name in names
        if wanted.get(name) != stored.get(name)
    ]


def _flat(inputs: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in inputs.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": setting for inner, setting in value.items()})
        else:
            flat[name] = value
    return flat
