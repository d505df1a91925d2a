"""Artifacts for a process: from the directory of a cache, or from a compiler.

It counts what it finds and compiles, prunes the directory, and asks wasmtime to load an artifact.
"""

from __future__ import annotations

import threading
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache import items, maintenance
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.statistics import PROCESS, BuildStatistics, record_and_prune
from hatch_wazcache.compile.job import DEFAULT_TIMEOUT, Job
from hatch_wazcache.compile.make_entries import make_entries
from hatch_wazcache.compile.memory import Room, job_memory
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.settings import code_settings
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import wasmtime

    from hatch_wazcache.engine.settings import SettingValue
    from hatch_wazcache.formats.sections import Kind
    from hatch_wazcache.formats.wasm import Wasm
    from hatch_wazcache.util.temporary_folder import TemporaryFolder

__all__ = ["Artifacts", "load_artifact"]


class Artifacts:
    """Artifacts from a directory, or from a compiler if the directory lacks them; counts both."""

    def __init__(self, root: Path, max_size: int | None, temporary: TemporaryFolder | None) -> None:
        """Open the directory.

        Args:
            root: the directory.
            max_size: its largest size in bytes; None for any size.
            temporary: a folder to remove when the cache is closed.

        Raises:
            WazcacheError: as for `CompilationCache()`.
        """
        self._temporary = temporary
        self._directory = _open_directory(root)
        self._engine = installed_wasmtime().engine(self._directory.notes)
        self._max_size = max_size
        self._size: int | None = None
        """Bytes of all entries, as far as this process knows; None before it has added one."""
        self._used = BuildStatistics(0.0, PROCESS, 0, 0, 0.0, 0.0)
        self._closed = False
        self.renew_locks()

    def renew_locks(self) -> None:
        """Forget the locks of other threads, which do not exist in a fork."""
        self._room = Room()
        self._lock = threading.Lock()
        self._loads = 0
        """The number of calls of `get` that are running."""
        self._directory.renew_lease()

    def job(self, path: Path, name: str, wasm: Wasm, settings: Mapping[str, SettingValue]) -> Job:
        """Return a job with the key that a build for this machine gives the artifact."""
        system = native_system()
        if system is None:
            raise WazcacheError("wasmtime-py has no wheels for this machine")
        version, triple = self._engine.version, self._engine.triple(system)
        code = code_settings(settings)
        key = ArtifactKey(wasm.sha256, version, system.name, triple, "baseline", (), code)
        return Job(key, name, path, wasm, self._engine)

    def get(self, job: Job) -> bytes:
        """Return the artifact of a job."""
        with self._load():
            entry, artifact, is_hit = self._look_up_or_compile(job)
            self._count(entry, is_hit=is_hit)
        if not is_hit:
            self._prune(entry)
        return artifact

    @contextmanager
    def _load(self) -> Iterator[None]:
        """Keep the directory open; the last load ends its lease, so that others can prune."""
        with self._lock:
            self._loads += 1
        try:
            yield
        finally:
            with self._lock:
                self._loads -= 1
                if not self._loads:
                    self._directory.close()
                    if self._closed:
                        self._finish()

    def close(self) -> None:
        """Write the statistics and remove the temporary folder, now or after the last load."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if not self._loads:
                    self._finish()

    def _finish(self) -> None:
        if self._used.keys:
            used = replace(self._used, time=time.time())
            record_and_prune(self._directory, used, self._max_size, _warn)
        if self._temporary is not None:
            self._temporary.cleanup()

    def _count(self, entry: Entry, *, is_hit: bool) -> None:
        with self._lock:
            used = self._used
            self._used = replace(
                used,
                hits=used.hits + is_hit,
                misses=used.misses + (not is_hit),
                seconds_saved=used.seconds_saved + (entry.seconds if is_hit else 0),
                seconds_compiled=used.seconds_compiled + (0 if is_hit else entry.seconds),
                keys=(*used.keys, entry.key),
            )

    def _prune(self, added: Entry) -> None:
        """Keep the directory within its size: a long-running service must not fill the disk.

        Listing all entries of a large cache is slow. So it is done once, and again only when the
        entries that were added since then do not fit.
        """
        if self._max_size is None or not self._directory.usable:
            return
        root = self._directory.root
        with self._lock:
            if self._size is None:
                self._size = sum(item.size for item in items.items(root))
            else:
                with suppress(OSError):  # another process has removed the entry
                    self._size += items.size_on_disk(added.path.stat())
            if self._size > self._max_size:
                maintenance.prune_to_size(root, self._max_size, _warn)
                self._size = sum(item.size for item in items.items(root))

    def _look_up_or_compile(self, job: Job) -> tuple[Entry, bytes, bool]:
        """Return the entry of a job, its artifact, and whether it was a hit."""
        entry, is_hit = self._directory.get(job.key), True
        if entry is None:
            entry, is_hit = self._make(job, again=False)
        try:
            return entry, b"".join(entry.data()), is_hit
        except BrokenEntryError:
            entry, is_hit = self._make(job, again=True)
        try:
            return entry, b"".join(entry.data()), is_hit
        except BrokenEntryError as error:
            raise WazcacheError(f"{error}, again; is the disk damaged?") from error

    def _make(self, job: Job, *, again: bool) -> tuple[Entry, bool]:
        """Compile the artifact. The second result says whether another process has made it."""
        entries: dict[str, Entry] = {}
        report = Report(_silent, _warn)
        with self._room.taken(job_memory(job)):
            make_entries([job], entries, self._directory, DEFAULT_TIMEOUT, report, again=again)
        return entries[job.key.digest], bool(report.found)


def load_artifact(job: Job, kind: Kind, artifact: bytes, engine: wasmtime.Engine) -> Any:
    """Load an artifact. If this process refuses it, compile the binary instead."""
    import wasmtime

    made: Any = wasmtime.Module
    if kind == "component":
        from wasmtime import component

        made = component.Component
    try:
        return made.deserialize(engine, artifact)
    except wasmtime.WasmtimeError as error:
        # WASMTIME_BACKTRACE_DETAILS changes each engine of this process, but not the compilers.
        _warn(f"{job.label}: compiled in this process and not kept: {error}")
        return made(engine, job.path.read_bytes())


def _open_directory(root: Path) -> CacheDirectory:
    """Open the directory of a cache. Its problems are warnings, unless it cannot be trusted.

    Raises:
        WazcacheError: others can write to it.
    """
    problems: list[str] = []
    opening = True
    directory = CacheDirectory(root, lambda text: problems.append(text) if opening else _warn(text))
    opening = False
    if directory.distrusted:
        raise WazcacheError(f"the cache {root} {directory.distrusted}")
    for text in problems:
        _warn(text)
    return directory


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _silent(_text: str) -> None:
    """Show nothing: a library prints no progress."""
