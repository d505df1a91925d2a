"""The commands that check the cache and remove entries from it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hatch_wazcache.cache import maintenance, statistics
from hatch_wazcache.cache.items import EntryItem, WheelItem, items
from hatch_wazcache.cache.usage import usages
from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import reading, table
from hatch_wazcache.cli.entries import describe, items_text, row, wheel_row
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import ExitStatus, WazcacheError
from hatch_wazcache.util.sizes_and_times import size_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from pathlib import Path

    from hatch_wazcache.cache.items import Item
    from hatch_wazcache.cache.maintenance import Pruned

__all__ = ["clear", "prune", "pruned_result", "verify"]


def verify(options: Namespace) -> Result:
    """Check every digest, and with `--repair` remove broken entries."""
    context = Context(options.project)
    cache = context.trusted_cache
    checked: list[Item] = []
    with reading(sum(item.size for item in items(cache))) as is_read:

        def is_checked(item: Item) -> None:
            checked.append(item)
            is_read(item)

        broken = maintenance.verify(
            cache, context.root_of_project, repair=options.repair, checked=is_checked
        )
    left = [item for item, _problem in broken if os.path.lexists(item.path)]
    found = [
        {"key": item.key, "path": str(item.path), "problem": problem, "removed": item not in left}
        for item, problem in broken
    ]
    size = sum(item.size for item in checked)
    lines = [problem for _item, problem in broken]
    lines.append(
        f"{items_text(checked)} checked, {size_text(size)}: {len(broken)} broken"
        f"{f', {len(broken) - len(left)} removed' if options.repair and broken else ''}"
    )
    data = {"cache": str(cache), "checked": len(checked), "size": size, "broken": found}
    return Result(data, lines, ExitStatus.FINDINGS if left else ExitStatus.DONE)


def prune(options: Namespace) -> Result:
    """Remove the entries that the options select, or prune the cache to its largest size."""
    context = Context(options.project)
    cache = context.trusted_cache
    conditions = _conditions(options, cache)
    max_size = options.max_size
    if max_size is None and not conditions:
        max_size = context.max_size
    pruned = maintenance.prune(
        cache,
        max_size=max_size,
        wanted=lambda item: not any(is_unwanted(item) for is_unwanted in conditions),
        dry_run=options.dry_run,
    )
    return pruned_result(cache, pruned, dry_run=options.dry_run)


def _conditions(options: Namespace, cache: Path) -> list[Callable[[Item], bool]]:
    """Turn the options into conditions. An entry is removed if one of them is true for it."""
    conditions: list[Callable[[Item], bool]] = []
    if options.older_than is not None:
        since = time.time() - options.older_than
        conditions.append(lambda item: item.used < since)
    if options.engine is not None:
        conditions.append(lambda item: _is_of(item.engine, options.engine))
    if options.unused or options.ci:
        used = _used_keys(cache, only_last=options.ci)
        conditions.append(lambda item: item.key not in used)
    return conditions


def _is_of(engine: str | None, versions: tuple[str, ...]) -> bool:
    """Say whether an engine has one of the versions; `47` means all versions `47.x.y`."""
    return engine is not None and any(f"{engine}.".startswith(f"{v}.") for v in versions)


def _used_keys(cache: Path, *, only_last: bool) -> set[str]:
    """Return the keys that the known builds used, or the last build of each project and target.

    Raises:
        WazcacheError: there are entries but no known builds, so all entries would be removed.
    """
    builds = statistics.recent_builds(cache)
    if not builds and items(cache):
        raise WazcacheError(
            f"the cache {cache} knows no build, so it does not know which entries are used; "
            "`hatch-wazcache clear` removes all entries"
        )
    if only_last:
        builds = list({(b.project, b.target): b for b in builds if b.is_of_project}.values())
    return {key for build in builds for key in build.keys}


def clear(options: Namespace) -> Result:
    """Remove all entries."""
    cache = Context(options.project).trusted_cache
    pruned = maintenance.clear(cache, dry_run=options.dry_run)
    return pruned_result(cache, pruned, dry_run=options.dry_run)


def pruned_result(cache: Path, pruned: Pruned, *, dry_run: bool) -> Result:
    """Say which entries are removed, or would be."""
    data = {
        "cache": str(cache),
        "dry_run": dry_run,
        "removed": pruned.removed,
        "freed": pruned.freed,
        "in_use": pruned.in_use,
        "failed": pruned.failed,
        "keys": [item.key for item in pruned.items],
    }
    removed = items_text(pruned.items)
    lines = [f"{removed} removed, {size_text(pruned.freed)} freed"]
    if dry_run:
        known = usages(cache)
        gone = [item for item in pruned.items if isinstance(item, EntryItem)]
        lines = table([row(describe(item, known.get(item.key))) for item in gone])
        lines += table([wheel_row(i) for i in pruned.items if isinstance(i, WheelItem)])
        lines.append(f"{removed} would be removed, {size_text(pruned.freed)} freed")
    if pruned.in_use:
        lines.append(f"{items_text(pruned.kept)} kept: in use by a build")
    failed = f"{items_text(pruned.stuck)} could not be removed: is {cache} read-only?"
    return Result(data, lines, problem=failed if pruned.failed else "")
