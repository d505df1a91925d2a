"""The command that removes an entry, or all entries of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache import maintenance, search
from hatch_wazcache.cache.items import entries, wheels
from hatch_wazcache.cache.usage import Usage, usages
from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import entries_text
from hatch_wazcache.cli.maintenance_commands import pruned_result
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.fields import nearest

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from hatch_wazcache.cli.result import Result

__all__ = ["remove"]


class _Chosen(NamedTuple):
    """What the command removes."""

    keys: set[str]
    """Of entries, and names of fetched wheels."""
    shared: dict[str, list[str]]
    """What stays because other projects use it too: the projects, by key."""


def remove(options: Namespace) -> Result:
    """Remove one entry or fetched wheel, or all that only one project used."""
    cache = Context(options.project).trusted_cache
    chosen = _choose(cache, options.what)
    pruned = maintenance.prune(
        cache, wanted=lambda item: item.key not in chosen.keys, dry_run=options.dry_run
    )
    result = pruned_result(cache, pruned, dry_run=options.dry_run)
    lines = list(result.lines)
    if chosen.shared:
        others = sorted({name for names in chosen.shared.values() for name in names})
        lines.append(
            f"{entries_text(len(chosen.shared))} kept: also used by {', '.join(others)}; "
            "to remove one, name its key"
        )
    data = {**result.data, "shared": chosen.shared}
    return result._replace(data=data, lines=lines)


def _choose(cache: Path, what: str) -> _Chosen:
    """Find what a word of the command line means.

    Raises:
        WazcacheError: it is neither a project nor the beginning of one key, or it is both.
    """
    listed, known = entries(cache), usages(cache)
    names = {item.key for item in wheels(cache)}
    here = names | {item.key for item in listed}
    projects = {project for key in here for project in known.get(key, Usage()).builds}
    begun = [item for item in listed if what and item.key.startswith(what.lower())]
    if what in projects:
        if begun:
            raise WazcacheError(
                f"{what!r} is a project, and {entries_text(len(begun))} have keys that begin so; "
                "give more characters of a key, or the first 12"
            )
        used = {key for key in here if what in known.get(key, Usage()).builds}
        shared = {
            key: sorted(project for project in known[key].builds if project != what)
            for key in sorted(used)
            if len(known[key].builds) > 1
        }
        return _Chosen(used - set(shared), shared)
    if what in names:
        return _Chosen({what}, {})
    if not begun:
        hint = nearest(what, projects)
        there_are = f"the projects are {', '.join(sorted(projects))}" if projects else ""
        more = hint or there_are or ("" if listed else "the cache is empty")
        raise WazcacheError(
            f"no project and no key of an entry is called {what!r}" + (f"; {more}" if more else "")
        )
    return _Chosen({search.by_prefix(listed, what).key}, {})
