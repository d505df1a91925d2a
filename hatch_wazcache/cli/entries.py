"""How items of the cache are shown: as data, and as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache import search
from hatch_wazcache.cache.entry import BrokenEntryError
from hatch_wazcache.cache.explain import value_text
from hatch_wazcache.cache.items import WheelItem
from hatch_wazcache.cli.display import ago_text, entries_text
from hatch_wazcache.util.sizes_and_times import size_text, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_wazcache.cache.items import EntryItem, Item
    from hatch_wazcache.cache.usage import Usage

__all__ = ["describe", "describe_wheel", "items_text", "row", "wheel_row"]


def items_text(items: Sequence[Item]) -> str:
    """Write how many entries there are, and how many fetched wheels if there are any."""
    wheels = sum(isinstance(item, WheelItem) for item in items)
    text = entries_text(len(items) - wheels)
    return text + (f" and {wheels} fetched wheel{'s' if wheels > 1 else ''}" if wheels else "")


def describe(item: EntryItem, usage: Usage | None) -> dict[str, Any]:
    """Describe an entry, without reading its data.

    Args:
        item: the entry.
        usage: its known uses; None if there are none.
    """
    description: dict[str, Any] = {
        "key": item.key,
        "path": str(item.path),
        "engine": item.engine,
        "target": item.target,
        "size_on_disk": item.size,
        "used": item.used,
        "files": list(usage.files) if usage else [],
        "builds": dict(sorted(usage.builds.items())) if usage else {},
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


def describe_wheel(item: WheelItem) -> dict[str, Any]:
    """Describe a fetched wheel, without reading its files."""
    return {
        "name": item.key,
        "path": str(item.path),
        "distribution": item.wheel.distribution,
        "version": str(item.wheel.version),
        "system": item.wheel.system,
        "size_on_disk": item.size,
        "used": item.used,
    }


def wheel_row(item: WheelItem) -> tuple[str, ...]:
    """Make the row of a fetched wheel in a table."""
    return item.key, size_text(item.size), ago_text(item.used)


def row(description: dict[str, Any]) -> tuple[str, ...]:
    """Make the row of an entry in a table.

    Args:
        description: the result of `describe`.
    """
    key, used = description["key"][: search.SHORT], ago_text(description["used"])
    scope = description["engine"] or "source", description["target"] or "-"
    size = size_text(description["size_on_disk"])
    projects = _some(list(description["builds"])) or "-"
    if description["problem"] is not None:
        return key, *scope, "broken", projects, size, "-", used
    inputs = description["inputs"]
    wasm = _some(description["files"]) or value_text(inputs.get("wasm"))[: search.SHORT]
    made_in = time_text(description["seconds"])
    return key, *scope, wasm, projects, size, made_in, used, _special(inputs)


def _some(names: list[str]) -> str:
    """Write the first name, and how many there are beside it; empty if there is none."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + more if names else ""


def _special(inputs: dict[str, Any]) -> str:
    """Name the inputs that differ from the defaults."""
    cpu, settings, strip = (inputs.get(name) for name in ("cpu", "settings", "strip"))
    special = [] if cpu in (None, "baseline") else [value_text(cpu)]
    if isinstance(settings, dict):  # another program may have written the entry
        special += [f"{name}={value_text(value)}" for name, value in settings.items()]
    special += [f"strip={value_text(strip)}"] if strip else []
    return " ".join(special)
