"""The cache for use in a process: the counterpart of wazero's `CompilationCache`.

| wazero | here |
| --- | --- |
| `NewCompilationCache()` | `CompilationCache()` |
| `NewCompilationCacheWithDir(dirname)` | `CompilationCache.in_directory(path)` |
| one engine per kind, shared by all runtimes | `engine(profile)`: one per profile |
| `CompileModule` asks memory, then the directory, then compiles | `load_module`, `load_component` |
| two at once compile twice | one compilation per key, across threads and processes |
| a corrupt entry is an error at every compile | a miss, and replaced |
| a failed write fails the compile | one warning |
| `Close` | `close`, or `with` |

It needs wasmtime in the process and nothing of hatchling. Compilers run in child processes, as in a
build: so a process that forks afterwards is safe, and an abort of wasmtime is an exception.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import warnings
import weakref
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.statistics import (
    DEFAULT_MAX_SIZE,
    PROCESS,
    BuildStatistics,
    record_and_prune,
)
from hatch_wazcache.compile.job import DEFAULT_TIMEOUT, Job
from hatch_wazcache.compile.make_entries import make_entries
from hatch_wazcache.compile.memory import Room, job_memory
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.settings import SETTINGS, apply_settings, code_settings
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.report import Report
from hatch_wazcache.util.sizes_and_times import parse_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from types import TracebackType

    import wasmtime
    import wasmtime.component
    from typing_extensions import Self

    from hatch_wazcache.formats.sections import Kind

    Profile = Mapping[str, bool | int | str]
    Source = bytes | str | os.PathLike[str] | Traversable

__all__ = ["CompilationCache"]

_EMPTY = b"\0asm\1\0\0\0"
"""A module with nothing in it."""


class CompilationCache:
    """Compiled modules and components: loaded in memory, artifacts in a directory.

    All methods can be called from several threads.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        max_size: int | None = parse_size(DEFAULT_MAX_SIZE),
    ) -> None:
        """Make a cache that lasts until `close`, or with `in_directory`'s argument one that stays.

        Args:
            directory: as for `in_directory`.
            max_size: bytes that the directory is kept under when something was compiled; None for
                any. The least recently used entries go first.

        Raises:
            WazcacheError: the path is no directory or one that others can write to, or wasmtime is
                not installed.
        """
        self._resources = ExitStack()
        if directory is None:
            folder = tempfile.mkdtemp(prefix="wazcache-")
            self._resources.callback(weakref.finalize(self, _remove, folder, os.getpid()))
            directory = Path(folder) / "cache"
        root = Path(directory).expanduser().absolute()
        troubles: list[str] = []
        opening = True
        self._directory = CacheDirectory(
            root, lambda text: troubles.append(text) if opening else _warn(text)
        )
        opening = False
        if self._directory.distrusted:
            raise WazcacheError(f"the cache {root} {self._directory.distrusted}")
        for text in troubles:
            _warn(text)
        self._max_size = max_size
        self._used = BuildStatistics(0.0, PROCESS, 0, 0, 0.0, 0.0)
        self._closed = False
        self._engines: dict[Any, wasmtime.Engine] = {}
        self._loaded: dict[Any, Any] = {}
        self._locks: dict[Any, threading.Lock] = {}
        self._lock = threading.Lock()
        self._room = Room()
        self._installed = installed_wasmtime().engine(self._directory.notes)

    @classmethod
    def in_directory(
        cls, path: str | os.PathLike[str], *, max_size: int | None = parse_size(DEFAULT_MAX_SIZE)
    ) -> Self:
        """Make a cache that stays on disk, shared with builds and other processes.

        Args:
            path: created (0700) if it is missing; a relative one is made absolute.
            max_size: bytes; as for `CompilationCache()`.

        Raises:
            WazcacheError: as for `CompilationCache()`.
        """
        return cls(path, max_size=max_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release engines, modules and temporary files; a directory keeps its entries.

        Can be called twice. What was loaded stays usable for whoever holds it.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._engines.clear()
                self._loaded.clear()
                self._directory.close()
                self._settle()
                self._resources.close()

    def _settle(self) -> None:
        """Keep what was found and compiled, and the directory within its bounds."""
        if self._used.keys:
            used = replace(self._used, time=time.time())
            record_and_prune(self._directory, used, self._max_size, _warn)

    def _count(self, entry: Entry, *, hit: bool) -> None:
        with self._lock:
            used = self._used
            self._used = replace(
                used,
                hits=used.hits + hit,
                misses=used.misses + (not hit),
                seconds_saved=used.seconds_saved + (entry.seconds if hit else 0),
                seconds_compiled=used.seconds_compiled + (0 if hit else entry.seconds),
                keys=(*used.keys, entry.key),
            )

    def engine(self, profile: Profile | None = None) -> wasmtime.Engine:
        """Return the engine with these settings: one for each profile, whoever asks.

        Args:
            profile: settings, named as wasmtime-py's `Config` attributes with hyphens.

        Raises:
            WazcacheError: a setting is unknown or has a wrong value, or the cache is closed.
        """
        settings = _checked(profile)
        with self._lock:
            self._refuse_if_closed()
            known = _as_key(settings) in self._engines
        if settings and not known:
            # Some settings make wasmtime abort: should they, then let it be in a child.
            self._load(_EMPTY, "module", settings)
        return self._engine(settings)

    def _engine(self, settings: Profile) -> wasmtime.Engine:
        """Return the engine with settings that a compiler has survived."""
        import wasmtime

        with self._lock:
            self._refuse_if_closed()
            key = _as_key(settings)
            if key not in self._engines:
                config = wasmtime.Config()
                try:
                    apply_settings(config, settings)
                except ValueError as error:
                    raise WazcacheError(str(error)) from None
                self._engines[key] = wasmtime.Engine(config)
            return self._engines[key]

    def load_module(self, wasm: Source, *, profile: Profile | None = None) -> wasmtime.Module:
        """Return the compiled module; the same object for the same bytes and profile.

        Args:
            wasm: the binary, a path to it, or a file as of importlib.resources.
            profile: settings of the engine, as for `engine`, which the module belongs to.

        Raises:
            WazcacheError: it is not a module, cannot be compiled, or the cache is closed.
        """
        return self._load(wasm, "module", profile)  # type: ignore[no-any-return]

    def load_component(
        self, wasm: Source, *, profile: Profile | None = None
    ) -> wasmtime.component.Component:
        """Return the compiled component, as `load_module` a module. Needs wasmtime 39 or later."""
        return self._load(wasm, "component", profile)  # type: ignore[no-any-return]

    def _load(self, wasm: Source, kind: Kind, profile: Profile | None) -> Any:
        settings = _checked(profile)
        self._refuse_if_closed()
        with ExitStack() as files:
            path, name = _as_file(wasm, files)
            about = read_wasm(path, name)
            if about.kind != kind:
                raise WazcacheError(f"{name} is a {about.kind}: use load_{about.kind}")
            job = Job(self._key(about.sha256, settings), name, path, about)
            key = (_as_key(settings), job.key.digest)
            with self._lock:
                lock = self._locks.setdefault(key, threading.Lock())
            with lock:
                loaded = self._loaded.get(key)
                if loaded is None:
                    loaded = _instantiate(job, kind, self._artifact(job), self._engine(settings))
                    with self._lock:
                        self._refuse_if_closed()
                        self._loaded[key] = loaded
                return loaded

    def _key(self, sha256: str, settings: Profile) -> ArtifactKey:
        """Return the key that a build for this machine has."""
        system = native_system()
        if system is None:
            raise WazcacheError("wasmtime-py has no wheels for this machine")
        version, triple = self._installed.version, self._installed.triple(system)
        code = code_settings(settings)
        return ArtifactKey(sha256, version, system.name, triple, "baseline", (), code)

    def _artifact(self, job: Job) -> bytes:
        """Return the artifact's bytes, from the directory or from a compiler."""
        try:
            return self._look_up_or_compile(job)
        finally:
            if self._closed:  # meanwhile: nothing may stay held
                self._directory.close()

    def _look_up_or_compile(self, job: Job) -> bytes:
        entry, hit = self._directory.get(job.key), True
        if entry is None:
            entry, hit = self._make(job, again=False)
        try:
            artifact = b"".join(entry.data())
        except BrokenEntryError:
            entry, hit = self._make(job, again=True)
            try:
                artifact = b"".join(entry.data())
            except BrokenEntryError as error:
                raise WazcacheError(f"{error}, again; is the disk damaged?") from error
        self._count(entry, hit=hit)
        return artifact

    def _make(self, job: Job, *, again: bool) -> tuple[Entry, bool]:
        """Have the artifact compiled; say too whether another process was quicker."""
        entries: dict[str, Entry] = {}
        report = Report(_silent, _warn)
        with self._room.taken(job_memory(job)):
            make_entries(
                [job],
                entries,
                self._directory,
                self._installed,
                DEFAULT_TIMEOUT,
                report,
                again=again,
            )
        return entries[job.key.digest], bool(report.found)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise WazcacheError("this CompilationCache is closed")


def _as_file(wasm: Source, files: ExitStack) -> tuple[Path, str]:
    """Return a path to the binary and what messages call it."""
    if isinstance(wasm, bytes | bytearray | memoryview):
        folder = files.enter_context(tempfile.TemporaryDirectory(prefix="wazcache-"))
        path = Path(folder) / "binary.wasm"
        path.write_bytes(wasm)
        return path, "the binary"
    if isinstance(wasm, str | os.PathLike):
        return Path(wasm).absolute(), str(wasm)
    from importlib.resources import as_file

    return files.enter_context(as_file(wasm)), str(wasm)


def _instantiate(job: Job, kind: Kind, artifact: bytes, engine: wasmtime.Engine) -> Any:
    """Make the object out of an artifact, or where this process refuses it, out of the binary."""
    import wasmtime

    made: Any = wasmtime.Module
    if kind == "component":
        from wasmtime import component

        made = component.Component
    try:
        return made.deserialize(engine, artifact)
    except wasmtime.WasmtimeError as error:
        # WASMTIME_BACKTRACE_DETAILS, which reaches every engine of a process and no compiler.
        _warn(f"{job.label}: compiled in this process and not kept: {error}")
        return made(engine, job.path.read_bytes())


def _as_key(settings: Profile) -> tuple[tuple[str, bool | int | str], ...]:
    return tuple(sorted(settings.items()))


def _checked(profile: Profile | None) -> dict[str, bool | int | str]:
    settings = dict(profile or {})
    problems = [
        f"{name} = {value!r}: must be {SETTINGS[name].allowed()}"
        if name in SETTINGS
        else f"{name}: there is no such setting"
        for name, value in settings.items()
        if name not in SETTINGS or not SETTINGS[name].accepts(value)
    ]
    if problems:
        raise WazcacheError("\n".join(problems))
    return settings


def _remove(folder: str, owner: int) -> None:
    """Remove a temporary folder, unless this is a fork of the process that made it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _silent(_text: str) -> None:
    """Say nothing: a library does not talk while it compiles."""
