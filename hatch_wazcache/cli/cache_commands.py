"""The commands that show the cache: its folder, its entries, and the time it has saved."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hatch_wazcache.cache import search, statistics
from hatch_wazcache.cache.explain import value_text
from hatch_wazcache.cache.items import entries, wheels
from hatch_wazcache.cache.usage import Usage, usages
from hatch_wazcache.cli.cache_charts import cache_charts
from hatch_wazcache.cli.charts import chart_lines, chart_svg
from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import ago_text, table
from hatch_wazcache.cli.entries import describe, describe_wheel, row, wheel_row
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import ExitStatus
from hatch_wazcache.util.sizes_and_times import size_text, time_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections import Counter
    from collections.abc import Iterator

    from hatch_wazcache.cache.items import EntryItem
    from hatch_wazcache.cache.statistics import BuildStatistics, CacheStatistics
    from hatch_wazcache.cli.charts import Chart

__all__ = ["dir_", "info", "list_", "show"]


def dir_(options: Namespace) -> Result:
    """Print the folder of the cache, which may not exist."""
    cache = str(Context(options.project).cache)
    return Result({"cache": cache}, [cache])


def info(options: Namespace) -> Result:
    """Show the cache's folder, its size, and the time it has saved."""
    context = Context(options.project)
    exists = context.check_cache()
    items, fetched = entries(context.cache), wheels(context.cache)
    totals = statistics.read_statistics(context.cache)
    size = sum(item.size for item in items)
    of_wheels = sum(wheel.size for wheel in fetched)
    scopes = [_describe_scope(scope, items) for scope in sorted({item.scope for item in items})]
    data = {
        "cache": str(context.cache),
        "exists": exists,
        "entries": len(items),
        "wheels": [describe_wheel(wheel) for wheel in fetched],
        "size": size + of_wheels,
        "max_size": context.max_size,
        "scopes": scopes,
        "statistics": asdict(totals),
        "hit_rate": totals.all_hits / totals.wanted if totals.wanted else None,
    }
    bound = "" if context.max_size is None else f" of at most {size_text(context.max_size)}"
    sizes = [("entries", f"{len(items)}, {size_text(size)}{'' if fetched else bound}")]
    if fetched:
        sizes.append(("fetched", f"{len(fetched)} of wasmtime's wheels, {size_text(of_wheels)}"))
        sizes.append(("together", f"{size_text(size + of_wheels)}{bound}"))
    head = table(
        [
            ("cache", f"{context.cache}{'' if exists else ' (not created yet)'}"),
            *sizes,
            *_statistics_rows(totals),
        ]
    )
    counts = [(scope["scope"], str(scope["entries"]), size_text(scope["size"])) for scope in scopes]
    lines = [*head[:2], *table(counts, indent="  "), *head[2:]]
    if options.plot is not None:
        charts = cache_charts(context.cache, items, fetched)
        data["charts"] = [
            {"title": one.title, "bars": [bar._asdict() for bar in one.bars]} for one in charts
        ]
        lines += _plotted(charts, options.plot)
    return Result(data, lines)


def _plotted(charts: list[Chart], file: str | Literal[True]) -> Iterator[str]:
    """Yield the lines of charts, or write them to a file.

    Args:
        charts: the charts.
        file: the SVG file; True for lines.

    Raises:
        OSError: the file cannot be written.
    """
    if file is not True:
        Path(file).write_text(chart_svg(charts), encoding="utf-8")
        yield f"plot     {file}"
        return
    width = shutil.get_terminal_size().columns
    for chart in charts:
        yield ""
        yield from chart_lines(chart, min(max(width, 30), 120), sys.stdout.encoding)


def _describe_scope(scope: str, items: list[EntryItem]) -> dict[str, Any]:
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
    if totals.wanted:
        percent = _percent(totals.all_hits, totals.wanted)
        rows.append(("hits", f"{totals.all_hits} of {totals.wanted}, {percent}"))
    return rows


def _percent(part: int, whole: int) -> str:
    """Write a part as percents; 100 % only if it is the whole."""
    return f"{int(1000 * part / whole) / 10:g} %"


def _counts_text(counted: CacheStatistics | BuildStatistics) -> str:
    compiled = f"{counted.misses} compiled"
    if counted.misses:
        compiled += f" in {time_text(counted.seconds_compiled)}"
    found = f"{counted.hits} found"
    if counted.remote_hits:
        found += f", {counted.remote_hits} from the shared cache"
    if counted.hits or counted.remote_hits:
        found += f" ({time_text(counted.seconds_saved)} saved)"
    uploaded = f", {counted.uploads} uploaded" if counted.uploads else ""
    return f"{compiled}, {found}{uploaded}"


def list_(options: Namespace) -> Result:
    """List all entries and fetched wheels."""
    cache = Context(options.project).trusted_cache
    known = usages(cache)
    described = [describe(item, known.get(item.key)) for item in reversed(entries(cache))]
    fetched = wheels(cache)[::-1]
    rows = [("KEY", "ENGINE", "TARGET", "WASM", "PROJECT", "SIZE", "MADE IN", "USED", "")]
    lines = table([*rows, *map(row, described)]) if described else []
    if fetched:
        of_wheels = table([("WHEEL", "SIZE", "USED"), *map(wheel_row, fetched)])
        lines += [*([""] if lines else []), *of_wheels]
    data = {"cache": str(cache), "entries": described, "wheels": list(map(describe_wheel, fetched))}
    return Result(data, lines or ["the cache is empty"])


def show(options: Namespace) -> Result:
    """Show all inputs of a key, and the projects that used its entry."""
    cache = Context(options.project).trusted_cache
    item = search.by_prefix(entries(cache), options.key)
    usage = usages(cache).get(item.key, Usage())
    description = describe(item, usage)
    rows = [("key", item.key), ("path", str(item.path))]
    rows += [("file", name) for name in usage.files]
    if description["problem"] is not None:
        lines = table([*rows, ("broken", description["problem"])])
        return Result(description, lines, ExitStatus.FINDINGS)
    inputs = search.differences(description["inputs"], {})
    rows += [(given.name, value_text(given.wanted)) for given in inputs]
    rows += [
        ("sha256", description["sha256"]),
        ("size", f"{size_text(description['size'])}, {size_text(item.size)} on disk"),
        ("made in", time_text(description["seconds"])),
        ("used", f"{ago_text(item.used)}{_builds_text(usage.builds)}"),
    ]
    return Result(description, table(rows))


def _builds_text(projects: Counter[str]) -> str:
    return "".join(f", by {count} x {name}" for name, count in sorted(projects.items()))
