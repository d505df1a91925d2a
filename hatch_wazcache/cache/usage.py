"""Says which projects used an entry, and for which files, as far as the known builds tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hatch_wazcache.cache.statistics import recent_builds

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Usage", "usages"]


@dataclass(frozen=True)
class Usage:
    """The known uses of an entry or of a fetched wheel."""

    builds: Counter[str] = field(default_factory=Counter)
    """How many builds of each project used it."""
    files: dict[str, None] = field(default_factory=dict)
    """The paths of the `.wasm` files in these projects, the last used first."""


def usages(root: Path) -> dict[str, Usage]:
    """Return the known uses in a cache, by the keys of entries and the names of fetched wheels.

    Only builds with a file of their own are known: at least the last fifty.
    """
    found: dict[str, Usage] = {}
    for build in reversed(recent_builds(root)):
        for key in build.keys:
            usage = found.setdefault(key, Usage())
            usage.builds[build.project] += 1
            if key in build.files:
                usage.files[build.files[key]] = None
    return found
