"""What builds came to: a file for each of the last ones, and the sum of all before."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from hatch_wazcache.cache.lock import exclusive
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_wazcache.cache.directory import CacheDirectory

__all__ = [
    "DEFAULT_MAX_SIZE",
    "PROCESS",
    "BuildRecord",
    "Statistics",
    "record",
    "record_and_prune",
    "records",
    "statistics",
]

DEFAULT_MAX_SIZE = "5 GiB"
"""The most that a cache holds after a build."""

PROCESS = "(a process)"
"""Stands where a build has its project, for what a process did with a `CompilationCache`."""

_RECORDS_KEPT = 50
"""Builds that are always known one by one; older ones are added up, fifty at a time."""
_UNREADABLE = (OSError, ValueError, TypeError, KeyError)
"""What a record that is gone, cut or not ours ends in: it does not count."""


@dataclass(frozen=True)
class BuildRecord:
    """What one build came to."""

    time: float
    """When it ended, in seconds since 1970."""
    project: str
    """Its name; or `PROCESS`."""
    hits: int
    misses: int
    seconds_saved: float
    seconds_compiled: float
    keys: tuple[str, ...] = ()
    """Of all the entries that it used, sources too."""
    target: str = ""
    """What it was for; several names where it made several wheels."""

    @property
    def is_of_project(self) -> bool:
        """Whether it was the build of a project, and no process that used a cache of its own."""
        return self.project != PROCESS

    def is_newer_than(self, other: BuildRecord | None) -> bool:
        """Whether it takes the other's place as the last build."""
        return self.is_of_project and (other is None or self.time >= other.time)


@dataclass(frozen=True)
class Statistics:
    """What all builds came to, and the last of them."""

    builds: int = 0
    hits: int = 0
    misses: int = 0
    seconds_saved: float = 0.0
    seconds_compiled: float = 0.0
    last: BuildRecord | None = field(default=None, compare=False)

    def plus(self, build: BuildRecord) -> Statistics:
        """Return the sums with one build more."""
        return Statistics(
            self.builds + 1,
            self.hits + build.hits,
            self.misses + build.misses,
            self.seconds_saved + build.seconds_saved,
            self.seconds_compiled + build.seconds_compiled,
            build if build.is_newer_than(self.last) else self.last,
        )


def record_and_prune(
    cache: CacheDirectory, build: BuildRecord, max_size: int | None, say: Callable[[str], None]
) -> None:
    """Close a cache, keep what a build came to, and the directory within its bounds.

    Args:
        cache: what the build has used.
        build: what it came to; where nothing was compiled, nothing has grown.
        max_size: bytes; None for any.
        say: is told if the directory cannot be pruned.
    """
    cache.close()  # what this build has used may go now, if it is the oldest
    if not cache.usable:
        return
    record(cache.root, build)
    if build.misses and max_size is not None:
        from hatch_wazcache.cache import maintenance  # not for a build that finds everything

        try:
            maintenance.prune(cache.root, max_size=max_size)
        except OSError as error:
            say(f"the cache {cache.root} cannot be pruned: {error.strerror or error}")


def record(root: Path, build: BuildRecord) -> None:
    """Keep what a build came to, as well as that goes."""
    with suppress(OSError):
        _write(root, f"{time.time_ns()}-{secrets.token_hex(4)}.json", json.dumps(vars(build)))
        if len(os.listdir(root / "builds")) > 2 * _RECORDS_KEPT:
            _add_up(root)


def statistics(root: Path) -> Statistics:
    """Add up what all builds came to."""
    total = _read_total(root)
    for _path, build in _records(root):
        total = total.plus(build)
    return total


def records(root: Path) -> list[BuildRecord]:
    """List the builds that are known one by one, the last ones; the newest comes last."""
    return sorted((build for _path, build in _records(root)), key=lambda build: build.time)


def _records(root: Path) -> Iterator[tuple[Path, BuildRecord]]:
    for path in _files(root):
        with suppress(*_UNREADABLE):
            about = json.loads(path.read_bytes())
            build = BuildRecord(
                float(about["time"]),
                str(about["project"]),
                int(about["hits"]),
                int(about["misses"]),
                float(about["seconds_saved"]),
                float(about["seconds_compiled"]),
                tuple(about["keys"]),
                str(about.get("target", "")),
            )
            yield path, build


def _files(root: Path) -> list[Path]:
    """List the files of records, the oldest first."""
    with suppress(FileNotFoundError, NotADirectoryError):
        paths = sorted((root / "builds").iterdir())
        return [path for path in paths if re.fullmatch(r"\d+-[0-9a-f]+\.json", path.name)]
    return []


def _read_total(root: Path) -> Statistics:
    with suppress(*_UNREADABLE):
        about = json.loads((root / "builds" / "total.json").read_bytes())
        return Statistics(
            int(about["builds"]),
            int(about["hits"]),
            int(about["misses"]),
            float(about["seconds_saved"]),
            float(about["seconds_compiled"]),
        )
    return Statistics()


def _add_up(root: Path) -> None:
    """Put the records of builds into the total, but for the newest ones."""
    with exclusive(root):
        total, files, known = _read_total(root), _files(root), dict(_records(root))
        kept = list(known)[-_RECORDS_KEPT:]
        done = [path for path in files if path not in kept]  # those that cannot be read too
        for path in done:
            total = total.plus(known[path]) if path in known else total
        about = asdict(total)
        del about["last"]
        _write(root, "total.json", json.dumps(about))
        for path in done:
            path.unlink()


def _write(root: Path, name: str, text: str) -> None:
    for folder in (root / "builds", root / "tmp"):
        folder.mkdir(mode=0o700, exist_ok=True)
    temporary_files.write(text.encode(), root / "builds" / name, root / "tmp")
