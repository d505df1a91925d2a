"""The commands that show the cache: its folder, its entries, and the time it has saved."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache import maintenance, search, statistics
from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import ago_text, table
from hatch_wazcache.cli.entries import describe, input_text, row
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import ExitStatus
from hatch_wazcache.util.sizes_and_times import size_text, time_text

if TYPE_CHECKING:
    from argparse import Namespace

    from hatch_wazcache.cache.maintenance import Item
    from hatch_wazcache.cache.statistics import BuildStatistics, CacheStatistics

__all__ = ["dir_", "info", "list_", "show"]


def dir_(options: Namespace) -> Result:
    """Print the folder of the cache, which may not exist."""
    cache = str(Context(options.project).cache)
    return Result({"cache": cache}, [cache])


def info(options: Namespace) -> Result:
    """Show the cache's folder, its size, and the time it has saved."""
    context = Context(options.project)
    exists = context.check_cache()
    items = maintenance.items(context.cache)
    totals = statistics.read_statistics(context.cache)
    size = sum(item.size for item in items)
    scopes = [_describe_scope(scope, items) for scope in sorted({item.scope for item in items})]
    data = {
        "cache": str(context.cache),
        "exists": exists,
        "entries": len(items),
        "size": size,
        "max_size": context.max_size,
        "scopes": scopes,
        "statistics": asdict(totals),
    }
    bound = "" if context.max_size is None else f" of at most {size_text(context.max_size)}"
    head = table(
        [
            ("cache", f"{context.cache}{'' if exists else ' (not created yet)'}"),
            ("entries", f"{len(items)}, {size_text(size)}{bound}"),
            *_statistics_rows(totals),
        ]
    )
    counts = [(scope["scope"], str(scope["entries"]), size_text(scope["size"])) for scope in scopes]
    return Result(data, [*head[:2], *table(counts, indent="  "), *head[2:]])


def _describe_scope(scope: str, items: list[Item]) -> dict[str, Any]:
    inside = [item for item in items if item.scope == scope]
    return {
        "scope": scope,
        "engine": inside[0].engine,
        "target": inside[0].target,
        "entries": len(inside),
        "size": sum(item.size for item in inside),
    }


def _statistics_rows(totals: CacheStatistics) -> list[tuple[str, str]]:
    last = totals.last
    if not totals.builds:
        return [("builds", "none known")]
    rows = [("builds", f"{totals.builds}: {_counts_text(totals)}")]
    if last is not None:
        rows.append(("last", f"{last.project}, {ago_text(last.time)}: {_counts_text(last)}"))
    return rows


def _counts_text(counted: CacheStatistics | BuildStatistics) -> str:
    compiled = f"{counted.misses} compiled"
    if counted.misses:
        compiled += f" in {time_text(counted.seconds_compiled)}"
    found = f"{counted.hits} found"
    if counted.hits:
        found += f" ({time_text(counted.seconds_saved)} saved)"
    return f"{compiled}, {found}"


def list_(options: Namespace) -> Result:
    """List all entries."""
    cache = Context(options.project).trusted_cache
    described = [describe(item) for item in reversed(maintenance.items(cache))]
    rows = [("KEY", "ENGINE", "TARGET", "WASM", "SIZE", "MADE IN", "USED", "")]
    lines = table([*rows, *map(row, described)]) if described else ["the cache is empty"]
    return Result({"cache": str(cache), "entries": described}, lines)


def show(options: Namespace) -> Result:
    """Show all inputs of a key, and the projects that used its entry."""
    cache = Context(options.project).trusted_cache
    item = search.by_prefix(maintenance.items(cache), options.key)
    description = describe(item)
    builds = [build for build in statistics.recent_builds(cache) if item.key in build.keys]
    projects = Counter(build.project for build in builds)
    data = {**description, "builds": dict(projects)}
    rows = [("key", item.key), ("path", str(item.path))]
    if description["problem"] is not None:
        return Result(data, table([*rows, ("broken", description["problem"])]), ExitStatus.FINDINGS)
    inputs = search.differences(description["inputs"], {})
    rows += [(given.name, input_text(given.wanted)) for given in inputs]
    rows += [
        ("sha256", description["sha256"]),
        ("size", f"{size_text(description['size'])}, {size_text(item.size)} on disk"),
        ("made in", time_text(description["seconds"])),
        ("used", f"{ago_text(item.used)}{_builds_text(projects)}"),
    ]
    return Result(data, table(rows))


def _builds_text(projects: Counter[str]) -> str:
    return "".join(f", by {count} x {name}" for name, count in sorted(projects.items()))
