"""How an entry of the cache is shown: as data, as a table row, and the values of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache import search
from hatch_wazcache.cache.entry import BrokenEntryError
from hatch_wazcache.cli.display import ago_text
from hatch_wazcache.util.sizes_and_times import size_text, time_text

if TYPE_CHECKING:
    from hatch_wazcache.cache.maintenance import Item

__all__ = ["describe", "input_text", "row"]


def describe(item: Item) -> dict[str, Any]:
    """Describe an entry, without reading its data."""
    description: dict[str, Any] = {
        "key": item.key,
        "path": str(item.path),
        "engine": item.engine,
        "target": item.target,
        "size_on_disk": item.size,
        "used": item.used,
        "problem": None,
    }
    try:
        entry = item.read()
    except (BrokenEntryError, OSError) as error:
        return {**description, "problem": str(error)}
    return {
        **description,
        "size": entry.size,
        "sha256": entry.sha256,
        "seconds": entry.seconds,
        "inputs": dict(entry.inputs),
    }


def row(description: dict[str, Any]) -> tuple[str, ...]:
    """Make the row of an entry in a table.

    Args:
        description: the result of `describe`.
    """
    key, used = description["key"][: search.SHORT], ago_text(description["used"])
    scope = description["engine"] or "source", description["target"] or "-"
    size = size_text(description["size_on_disk"])
    if description["problem"] is not None:
        return key, *scope, "broken", size, "-", used
    inputs = description["inputs"]
    wasm = input_text(inputs.get("wasm"))[: search.SHORT]
    return key, *scope, wasm, size, time_text(description["seconds"]), used, _special(inputs)


def _special(inputs: dict[str, Any]) -> str:
    """Name the inputs that differ from the defaults."""
    cpu, settings, strip = (inputs.get(name) for name in ("cpu", "settings", "strip"))
    special = [] if cpu in (None, "baseline") else [input_text(cpu)]
    if isinstance(settings, dict):  # another program may have written the entry
        special += [f"{name}={input_text(value)}" for name, value in settings.items()]
    special += [f"strip={input_text(strip)}"] if strip else []
    return " ".join(special)


def input_text(value: object) -> str:
    """Write the value of an input as in TOML, but a string without quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(input_text, value)) or "none"
    return "not set" if value is None else str(value)
