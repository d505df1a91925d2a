"""The commands that look into the cache, and look after it."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache import maintenance, records, search
from hatch_wazcache.cache.entry import BrokenEntryError
from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import ago_text, entries_text, reading, table
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import ExitStatus, WazcacheError
from hatch_wazcache.util.sizes_and_times import size_text, time_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from pathlib import Path

    from hatch_wazcache.cache.maintenance import Item, Pruned
    from hatch_wazcache.cache.records import BuildRecord, Statistics

__all__ = ["clear", "dir_", "info", "list_", "prune", "show", "verify"]


def dir_(options: Namespace) -> Result:
    """Say where the cache is, or would be."""
    cache = str(Context(options.project).cache)
    return Result({"cache": cache}, [cache])


def info(options: Namespace) -> Result:
    """Say where the cache is, how big, and what it has saved."""
    place = Context(options.project)
    exists = maintenance.exists(place.cache)
    items, statistics = maintenance.items(place.cache), records.statistics(place.cache)
    size = sum(item.size for item in items)
    scopes = [_about_scope(scope, items) for scope in sorted({item.scope for item in items})]
    data = {
        "cache": str(place.cache),
        "exists": exists,
        "entries": len(items),
        "size": size,
        "max_size": place.max_size,
        "scopes": scopes,
        "statistics": asdict(statistics),
    }
    bound = "" if place.max_size is None else f" of at most {size_text(place.max_size)}"
    head = table(
        [
            ("cache", f"{place.cache}{'' if exists else ' (not made yet)'}"),
            ("entries", f"{len(items)}, {size_text(size)}{bound}"),
            *_statistics_rows(statistics),
        ]
    )
    counts = [(about["scope"], str(about["entries"]), size_text(about["size"])) for about in scopes]
    return Result(data, [*head[:2], *table(counts, indent="  "), *head[2:]])


def _about_scope(scope: str, items: list[Item]) -> dict[str, Any]:
    inside = [item for item in items if item.scope == scope]
    return {
        "scope": scope,
        "engine": inside[0].engine,
        "target": inside[0].target,
        "entries": len(inside),
        "size": sum(item.size for item in inside),
    }


def _statistics_rows(statistics: Statistics) -> list[tuple[str, str]]:
    last = statistics.last
    if not statistics.builds:
        return [("builds", "none on record")]
    rows = [("builds", f"{statistics.builds}: {_counts_text(statistics)}")]
    if last is not None:
        rows.append(("last", f"{last.project}, {ago_text(last.time)}: {_counts_text(last)}"))
    return rows


def _counts_text(counted: Statistics | BuildRecord) -> str:
    compiled = f"{counted.misses} compiled"
    if counted.misses:
        compiled += f" in {time_text(counted.seconds_compiled)}"
    found = f"{counted.hits} found"
    if counted.hits:
        found += f" ({time_text(counted.seconds_saved)} saved)"
    return f"{compiled}, {found}"


def list_(options: Namespace) -> Result:
    """List all entries."""
    cache = _cache(options)
    about = [_about(item) for item in reversed(maintenance.items(cache))]
    rows = [("KEY", "ENGINE", "TARGET", "WASM", "SIZE", "MADE IN", "USED", "")]
    lines = table([*rows, *map(_row, about)]) if about else ["the cache is empty"]
    return Result({"cache": str(cache), "entries": about}, lines)


def _about(item: Item) -> dict[str, Any]:
    """Say of an entry what can be said without reading all of it."""
    about: dict[str, Any] = {
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
        return {**about, "problem": str(error)}
    return {
        **about,
        "size": entry.size,
        "sha256": entry.sha256,
        "seconds": entry.seconds,
        "inputs": dict(entry.inputs),
    }


def _row(about: dict[str, Any]) -> tuple[str, ...]:
    key, used = about["key"][: search.SHORT], ago_text(about["used"])
    scope = about["engine"] or "source", about["target"] or "-"
    size = size_text(about["size_on_disk"])
    if about["problem"] is not None:
        return key, *scope, "broken", size, "-", used
    inputs = about["inputs"]
    wasm = inputs["wasm"][: search.SHORT]
    return key, *scope, wasm, size, time_text(about["seconds"]), used, _special(inputs)


def _special(inputs: dict[str, Any]) -> str:
    """Name the inputs that are not the default."""
    special = [inputs["cpu"]] if inputs.get("cpu", "baseline") != "baseline" else []
    special += [f"{name}={input_text(value)}" for name, value in inputs.get("settings", {}).items()]
    special += [f"strip={input_text(inputs['strip'])}"] if inputs.get("strip") else []
    return " ".join(special)


def show(options: Namespace) -> Result:
    """Show all inputs of a key, and who used its entry."""
    cache = _cache(options)
    item = search.by_prefix(maintenance.items(cache), options.key)
    about = _about(item)
    builds = [build for build in records.records(cache) if item.key in build.keys]
    projects = Counter(build.project for build in builds)
    data = {**about, "builds": dict(projects)}
    rows = [("key", item.key), ("path", str(item.path))]
    if about["problem"] is not None:
        return Result(data, table([*rows, ("broken", about["problem"])]), ExitStatus.FINDINGS)
    inputs = search.differences(about["inputs"], {})
    rows += [(given.name, input_text(given.here)) for given in inputs]
    rows += [
        ("sha256", about["sha256"]),
        ("size", f"{size_text(about['size'])}, {size_text(item.size)} on disk"),
        ("made in", time_text(about["seconds"])),
        ("used", f"{ago_text(item.used)}{_builds_text(projects)}"),
    ]
    return Result(data, table(rows))


def _builds_text(projects: Counter[str]) -> str:
    return "".join(f", by {count} x {name}" for name, count in sorted(projects.items()))


def input_text(value: object) -> str:
    """Write the value of an input: as in TOML, a string bare."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(input_text, value)) or "none"
    return "not set" if value is None else str(value)


def verify(options: Namespace) -> Result:
    """Check every digest, and remove what is broken if that is asked for."""
    cache = _cache(options)
    checked: list[Item] = []
    with reading(sum(item.size for item in maintenance.items(cache))) as is_read:

        def is_checked(item: Item) -> None:
            checked.append(item)
            is_read(item)

        broken = maintenance.verify(cache, repair=options.repair, checked=is_checked)
    left = [item for item, _problem in broken if os.path.lexists(item.path)]
    found = [
        {"key": item.key, "path": str(item.path), "problem": problem, "removed": item not in left}
        for item, problem in broken
    ]
    size = sum(item.size for item in checked)
    lines = [problem for _item, problem in broken]
    lines.append(
        f"{entries_text(len(checked))} checked, {size_text(size)}: {len(broken)} broken"
        f"{f', {len(broken) - len(left)} removed' if options.repair and broken else ''}"
    )
    data = {"cache": str(cache), "checked": len(checked), "size": size, "broken": found}
    return Result(data, lines, ExitStatus.FINDINGS if left else ExitStatus.DONE)


def prune(options: Namespace) -> Result:
    """Remove what the options name, or bring the cache within its bounds."""
    place = Context(options.project)
    maintenance.exists(place.cache)
    wishes = _wishes(options, place.cache)
    max_size = options.max_size
    if max_size is None and not wishes:
        max_size = place.max_size
    pruned = maintenance.prune(
        place.cache,
        max_size=max_size,
        wanted=lambda item: not any(is_to_go(item) for is_to_go in wishes),
        dry_run=options.dry_run,
    )
    return _pruned(place.cache, pruned, dry_run=options.dry_run)


def _wishes(options: Namespace, cache: Path) -> list[Callable[[Item], bool]]:
    """Turn the options into conditions, each of which lets an entry go."""
    wishes: list[Callable[[Item], bool]] = []
    if options.older_than is not None:
        since = time.time() - options.older_than
        wishes.append(lambda item: item.used < since)
    if options.engine is not None:
        wishes.append(lambda item: _is_of(item.engine, options.engine))
    if options.unused or options.ci:
        used = _used_keys(cache, only_last=options.ci)
        wishes.append(lambda item: item.key not in used)
    return wishes


def _is_of(engine: str | None, versions: tuple[str, ...]) -> bool:
    """Say whether an engine is of a version, which may be its first numbers only."""
    return engine is not None and any(f"{engine}.".startswith(f"{v}.") for v in versions)


def _used_keys(cache: Path, *, only_last: bool) -> set[str]:
    """Return the keys of what builds have used: all on record, or the last of each kind.

    Raises:
        WazcacheError: there are entries but no builds on record: all would go.
    """
    builds = records.records(cache)
    if not builds and maintenance.items(cache):
        raise WazcacheError(
            f"the cache {cache} has no build on record, so it cannot be told what is used; "
            "`hatch-wazcache clear` removes all"
        )
    if only_last:
        builds = list({(b.project, b.target): b for b in builds if b.is_of_project}.values())
    return {key for build in builds for key in build.keys}


def clear(options: Namespace) -> Result:
    """Remove everything."""
    cache = _cache(options)
    pruned = maintenance.clear(cache, dry_run=options.dry_run)
    return _pruned(cache, pruned, dry_run=options.dry_run)


def _pruned(cache: Path, pruned: Pruned, *, dry_run: bool) -> Result:
    """Say what is gone, or would be."""
    data = {
        "cache": str(cache),
        "dry_run": dry_run,
        "removed": pruned.removed,
        "freed": pruned.freed,
        "in_use": pruned.in_use,
        "failed": pruned.failed,
        "keys": [item.key for item in pruned.items],
    }
    removed = entries_text(pruned.removed)
    lines = [f"{removed} removed, {size_text(pruned.freed)} freed"]
    if dry_run:
        lines = table([_row(_about(item)) for item in pruned.items])
        lines.append(f"{removed} would be removed, {size_text(pruned.freed)} freed")
    if pruned.in_use:
        lines.append(f"{entries_text(pruned.in_use)} kept: in use by a build")
    failed = f"{entries_text(pruned.failed)} could not be removed: is {cache} read-only?"
    return Result(data, lines, problem=failed if pruned.failed else "")


def _cache(options: Namespace) -> Path:
    """Return the cache's directory, which may be missing but is not anybody else's."""
    cache = Context(options.project).cache
    maintenance.exists(cache)
    return cache
