"""Build statistics: one file for each recent build, and a running total of older ones.

Failing to write them is not an error.
"""

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
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.cache.directory import CacheDirectory

__all__ = [
    "DEFAULT_MAX_SIZE",
    "PROCESS",
    "BuildStatistics",
    "CacheStatistics",
    "read_statistics",
    "recent_builds",
    "record",
    "record_and_prune",
]

DEFAULT_MAX_SIZE = "5 GiB"
"""The largest size of a cache after a build, unless the project sets another."""

PROCESS = "(a process)"
"""The project name in the statistics of a process that used a `CompilationCache`."""

_RECENT = 50
"""At least this many builds have their own file. Older builds are added to the total."""
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""The exceptions for a file that is missing, damaged or foreign. Such a file is skipped."""
_LARGEST = float(1 << 40)
"""The largest time, and the largest count, that a file may name: what shows them adds them up."""


@dataclass(frozen=True)
class BuildStatistics:
    """The statistics of one build."""

    time: float
    """When it ended, in seconds since 1970."""
    project: str
    """The project's name; or `PROCESS`."""
    hits: int
    misses: int
    seconds_saved: float
    seconds_compiled: float
    keys: tuple[str, ...] = ()
    """The keys of all entries that it used, sources too, and the names of fetched wheels."""
    target: str = ""
    """Its target; several names if it made several wheels."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The path of the `.wasm` file in the project, by the keys of entries."""
    remote_hits: int = 0
    """Entries from the shared cache. They are not among `hits`."""
    uploads: int = 0
    """Entries that were uploaded to the shared cache."""

    @property
    def is_of_project(self) -> bool:
        """Whether it was the build of a project, not a process with a `CompilationCache`."""
        return self.project != PROCESS

    def is_newer_than(self, other: BuildStatistics | None) -> bool:
        """Whether this build replaces the other one as the last build."""
        return self.is_of_project and (other is None or self.time >= other.time)


@dataclass(frozen=True)
class CacheStatistics:
    """The sums over all builds, and the last build."""

    builds: int = 0
    hits: int = 0
    misses: int = 0
    seconds_saved: float = 0.0
    seconds_compiled: float = 0.0
    remote_hits: int = 0
    uploads: int = 0
    last: BuildStatistics | None = field(default=None, compare=False)

    @property
    def all_hits(self) -> int:
        """The artifacts that were found here or in the shared cache."""
        return self.hits + self.remote_hits

    @property
    def wanted(self) -> int:
        """The artifacts that builds looked up."""
        return self.all_hits + self.misses

    def plus(self, build: BuildStatistics) -> CacheStatistics:
        """Return the sums with one more build."""
        return CacheStatistics(
            self.builds + 1,
            self.hits + build.hits,
            self.misses + build.misses,
            self.seconds_saved + build.seconds_saved,
            self.seconds_compiled + build.seconds_compiled,
            self.remote_hits + build.remote_hits,
            self.uploads + build.uploads,
            build if build.is_newer_than(self.last) else self.last,
        )


def record_and_prune(
    cache: CacheDirectory, build: BuildStatistics, max_size: int | None, say: Callable[[str], None]
) -> None:
    """Close a cache, write the build's statistics, and prune the cache to its size.

    Args:
        cache: the cache that the build has used.
        build: its statistics. A build that compiled, downloaded and fetched nothing added nothing,
            so nothing is pruned.
        max_size: bytes; None for any size.
        say: called with the reason if the directory cannot be pruned.
    """
    cache.close()  # ends the lease, so that the prune may remove what this build has used
    if not cache.usable:
        return
    record(cache.root, build)
    grows = build.misses or build.remote_hits or cache.has_fetched
    if grows and max_size is not None:
        from hatch_wazcache.cache import maintenance  # not for a build that finds everything

        maintenance.prune_to_size(cache.root, max_size, say)


def record(root: Path, build: BuildStatistics) -> None:
    """Write the statistics of a build, if the cache can be written."""
    with suppress(OSError):
        _write(root, f"{time.time_ns()}-{secrets.token_hex(4)}.json", json.dumps(vars(build)))
        if len(os.listdir(root / "builds")) > 2 * _RECENT:
            _add_up(root)


def read_statistics(root: Path) -> CacheStatistics:
    """Return the sums over all builds."""
    total = _read_total(root)
    for _path, build in _builds(root):
        total = total.plus(build)
    return total


def recent_builds(root: Path) -> list[BuildStatistics]:
    """List the builds that have a file each, the newest last."""
    return sorted((build for _path, build in _builds(root)), key=lambda build: build.time)


def _builds(root: Path) -> Iterator[tuple[Path, BuildStatistics]]:
    for path in _files(root):
        with suppress(*_UNREADABLE):
            fields = json.loads(path.read_bytes())
            build = BuildStatistics(
                _seconds(fields["time"]),
                str(fields["project"]),
                _count(fields["hits"]),
                _count(fields["misses"]),
                _seconds(fields["seconds_saved"]),
                _seconds(fields["seconds_compiled"]),
                tuple(map(_key, fields["keys"])),
                str(fields.get("target", "")),
                {key: str(name) for key, name in dict(fields.get("files", {})).items()},
                _count(fields.get("remote_hits", 0)),
                _count(fields.get("uploads", 0)),
            )
            yield path, build


def _seconds(value: float | str) -> float:
    """Return a number of a file.

    Raises:
        ValueError: it is negative, too large, or no number.
    """
    if 0 <= (seconds := float(value)) <= _LARGEST:
        return seconds
    raise ValueError


def _count(value: float | str) -> int:
    return int(_seconds(value))


def _key(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _files(root: Path) -> list[Path]:
    """List the files of builds, the oldest first."""
    with suppress(FileNotFoundError, NotADirectoryError):
        paths = sorted((root / "builds").iterdir())
        return [path for path in paths if re.fullmatch(r"\d+-[0-9a-f]+\.json", path.name)]
    return []


def _read_total(root: Path) -> CacheStatistics:
    with suppress(*_UNREADABLE):
        fields = json.loads((root / "builds" / "total.json").read_bytes())
        return CacheStatistics(
            _count(fields["builds"]),
            _count(fields["hits"]),
            _count(fields["misses"]),
            _seconds(fields["seconds_saved"]),
            _seconds(fields["seconds_compiled"]),
            _count(fields.get("remote_hits", 0)),
            _count(fields.get("uploads", 0)),
        )
    return CacheStatistics()


def _add_up(root: Path) -> None:
    """Add all builds except the newest ones to the total, and delete their files."""
    with exclusive(root):
        total, files, known = _read_total(root), _files(root), dict(_builds(root))
        kept = list(known)[-_RECENT:]
        done = [path for path in files if path not in kept]  # unreadable files too
        for path in done:
            total = total.plus(known[path]) if path in known else total
        fields = asdict(total)
        del fields["last"]
        _write(root, "total.json", json.dumps(fields))
        for path in done:
            path.unlink()


def _write(root: Path, name: str, text: str) -> None:
    for folder in (root / "builds", root / "tmp"):
        folder.mkdir(mode=0o700, exist_ok=True)
    temporary_files.write(text.encode(), root / "builds" / name, root / "tmp")
