"""Finds entries for a person: by the beginning of a key, and the one nearest to a key's inputs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatch_wazcache.cache.maintenance import Item

__all__ = ["SHORT", "Difference", "by_prefix", "differences", "nearest"]

SHORT = 12
"""Letters of a key that tell it from others, for people."""

_NAMED = 10
"""Candidates that a message names."""


@dataclass(frozen=True)
class Difference:
    """An input that two keys do not share; None where one has no such input."""

    name: str
    """As in an entry, a setting as `settings.NAME`."""
    here: object
    there: object


def by_prefix(listed: Sequence[Item], prefix: str) -> Item:
    """Return the one entry whose key begins so.

    Args:
        listed: all entries, the least recently used first.
        prefix: the beginning of a key.

    Raises:
        WazcacheError: none does, or several do; names the candidates.
    """
    matches = [item for item in listed if prefix and item.key.startswith(prefix.lower())]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise WazcacheError(
            f"{len(matches)} keys begin with {prefix!r}: {_names(matches)}; give more of it"
        )
    there_are = f"there are {_names(listed)}" if listed else "the cache is empty"
    raise WazcacheError(f"no key begins with {prefix!r}; {there_are}")


def _names(listed: Sequence[Item]) -> str:
    newest = [item.key for item in reversed(listed)]
    length = next(n for n in range(SHORT, 65) if len({key[:n] for key in newest}) == len(newest))
    names = [key[:length] for key in newest]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def nearest(listed: Iterable[Item], inputs: Mapping[str, object]) -> Entry | None:
    """Return the artifact's entry whose inputs are the most like these.

    One of the same `.wasm` is nearer than any other; among those that are as near, the one that
    was used last.

    Args:
        listed: entries, the least recently used first; what cannot be read is passed over.
        inputs: an artifact's, as of its key.
    """
    best: Entry | None = None
    least = (True, float("inf"))
    for item in listed:
        if item.engine is None:
            continue
        with suppress(BrokenEntryError, OSError):
            entry = item.read()
            unlike = differences(inputs, entry.inputs)
            distance = (entry.inputs.get("wasm") != inputs["wasm"], float(len(unlike)))
            if distance <= least:
                best, least = entry, distance
    return best


def differences(here: Mapping[str, object], there: Mapping[str, object]) -> list[Difference]:
    """Name the inputs that differ, settings one by one."""
    ours, theirs = _flat(here), _flat(there)
    names = dict.fromkeys((*ours, *theirs))
    return [
        Difference(name, ours.get(name), theirs.get(name))
        for name in names
        if ours.get(name) != theirs.get(name)
    ]


def _flat(inputs: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in inputs.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": setting for inner, setting in value.items()})
        else:
            flat[name] = value
    return flat
