"""The cache for use in a process: the counterpart of wazero's `CompilationCache`.

| wazero | here |
| --- | --- |
| `NewCompilationCache()` | `CompilationCache()` |
| `NewCompilationCacheWithDir(dirname)` | `CompilationCache.in_directory(path)` |
| one engine per kind, shared by all runtimes | `engine(profile)`: one engine per profile |
| `CompileModule` asks memory, then the directory, then compiles | `load_module`, `load_component` |
| two at once compile twice | one compilation per key, across threads and processes |
| a corrupt entry is an error at every compile | a miss, and replaced |
| a failed write fails the compile | one warning |
| `Close` | `close`, or `with` |

It needs wasmtime in the process, but not hatchling. Compilers run in child processes, as in a
build. So a process can fork afterwards, and an abort of wasmtime becomes an exception. If no Python
can be started, as in a frozen program, the process itself compiles: see `python_executable`.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hatch_wazcache.cache import items, maintenance
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
from hatch_wazcache.engine.compiler_config import apply_settings
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.settings import SETTINGS, code_settings
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.report import Report
from hatch_wazcache.util.sizes_and_times import parse_size
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from importlib.resources.abc import Traversable
    from types import TracebackType

    import wasmtime
    import wasmtime.component
    from typing_extensions import Self

    from hatch_wazcache.formats.sections import Kind
    from hatch_wazcache.formats.wasm import Wasm

    Profile = Mapping[str, bool | int | str]
    Source = bytes | str | os.PathLike[str] | Traversable

__all__ = ["CompilationCache"]

Value = TypeVar("Value")

_caches: weakref.WeakSet[CompilationCache] = weakref.WeakSet()

_EMPTY = b"\0asm\1\0\0\0"
"""An empty module."""


class CompilationCache:
    """Compiled modules and components: loaded in memory, their artifacts in a directory.

    All methods can be called from several threads.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        max_size: int | None = parse_size(DEFAULT_MAX_SIZE),
    ) -> None:
        """Make a cache: without a directory it lasts until `close`, with one it stays on disk.

        Args:
            directory: as for `in_directory`.
            max_size: the largest size of the directory in bytes; None for any size. The least
                recently used entries are removed first, after a compilation.

        Raises:
            WazcacheError: the path is not a directory, others can write to it, or wasmtime is not
                installed.
        """
        temporary = None
        if directory is None:
            temporary = TemporaryFolder()
            directory = Path(temporary.name) / "cache"
        self._artifacts = _Artifacts(Path(directory).expanduser().absolute(), max_size, temporary)
        _import_all()
        self._engines: _OncePerKey[wasmtime.Engine] = _OncePerKey()
        self._loaded: _OncePerKey[Any] = _OncePerKey()
        _caches.add(self)

    def _renew_locks(self) -> None:
        """Forget the locks of other threads, which do not exist in a fork."""
        self._engines.renew_locks()
        self._loaded.renew_locks()
        self._artifacts.renew_locks()

    @classmethod
    def in_directory(
        cls, path: str | os.PathLike[str], *, max_size: int | None = parse_size(DEFAULT_MAX_SIZE)
    ) -> Self:
        """Make a cache that stays on disk, shared with builds and other processes.

        Args:
            path: created (0700) if it is missing; a relative path is made absolute.
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

        Can be called twice. Modules that the caller still has stay usable.
        """
        self._engines.close()
        self._loaded.close()
        self._artifacts.close()

    def engine(self, profile: Profile | None = None) -> wasmtime.Engine:
        """Return the engine with these settings; every call with them returns the same one.

        Args:
            profile: settings, named as wasmtime-py's `Config` attributes with hyphens.

        Raises:
            WazcacheError: a setting is unknown or has a wrong value, or the cache is closed.
        """
        settings = _checked(profile)
        if settings and _as_key(settings) not in self._engines:
            # Some settings make wasmtime abort. Compiling with them first, in a child process,
            # turns that into an exception.
            self._load(_EMPTY, "module", settings)
        return self._engine(settings)

    def _engine(self, settings: Profile) -> wasmtime.Engine:
        return self._engines.get(_as_key(settings), lambda: _make_engine(settings))

    def load_module(self, wasm: Source, *, profile: Profile | None = None) -> wasmtime.Module:
        """Return the compiled module; the same object for the same bytes and profile.

        Args:
            wasm: the binary, a path to it, or a file of importlib.resources.
            profile: settings of the module's engine, as for `engine`.

        Raises:
            WazcacheError: it is not a module, cannot be compiled, or the cache is closed.
        """
        return self._load(wasm, "module", profile)  # type: ignore[no-any-return]

    def load_component(
        self, wasm: Source, *, profile: Profile | None = None
    ) -> wasmtime.component.Component:
        """Return the compiled component, like `load_module`. Needs wasmtime 39 or later."""
        return self._load(wasm, "component", profile)  # type: ignore[no-any-return]

    def _load(self, wasm: Source, kind: Kind, profile: Profile | None) -> Any:
        settings = _checked(profile)
        self._loaded.refuse_if_closed()
        with ExitStack() as files:
            path, name = _as_file(wasm, files)
            binary = read_wasm(path, name)
            if binary.kind != kind:
                raise WazcacheError(f"{name} is a {binary.kind}: use load_{binary.kind}")
            job = self._artifacts.job(path, name, binary, settings)

            def load() -> Any:
                artifact = self._artifacts.get(job)
                return _instantiate(job, kind, artifact, self._engine(settings))

            return self._loaded.get((_as_key(settings), job.key.digest), load)


class _OncePerKey(Generic[Value]):
    """Values that are made once for each key, also if several threads ask at the same time."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Value] = {}
        self._closed = False
        self.renew_locks()

    def renew_locks(self) -> None:
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            self.refuse_if_closed()
            return key in self._values

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the key's value, and make it if there is none."""
        with self._lock:
            self.refuse_if_closed()
            if key in self._values:
                return self._values[key]
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                if key in self._values:  # another thread has made it
                    return self._values[key]
            value = make()
            with self._lock:
                self.refuse_if_closed()
                self._values[key] = value
            return value

    def refuse_if_closed(self) -> None:
        """Raise an error if the cache is closed.

        Raises:
            WazcacheError: it is.
        """
        if self._closed:
            raise WazcacheError("this CompilationCache is closed")

    def close(self) -> None:
        """Forget all values, and refuse new ones."""
        with self._lock:
            self._closed = True
            self._values.clear()


class _Artifacts:
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
        self._room = Room()
        self._lock = threading.Lock()
        self._loads = 0
        """The number of calls of `get` that are running."""
        self._directory.renew_lease()

    def job(self, path: Path, name: str, wasm: Wasm, settings: Profile) -> Job:
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


def _make_engine(settings: Profile) -> wasmtime.Engine:
    import wasmtime

    config = wasmtime.Config()
    try:
        apply_settings(config, settings)
    except ValueError as error:
        raise WazcacheError(str(error)) from None
    return wasmtime.Engine(config)


def _as_file(wasm: Source, files: ExitStack) -> tuple[Path, str]:
    """Return a path to the binary, and its name in messages."""
    if isinstance(wasm, bytes | bytearray | memoryview):
        folder = files.enter_context(TemporaryFolder())
        path = Path(folder) / "binary.wasm"
        path.write_bytes(wasm)
        return path, "the binary"
    if isinstance(wasm, str | os.PathLike):
        return Path(wasm).absolute(), str(wasm)
    from importlib.resources import as_file

    return files.enter_context(as_file(wasm)), str(wasm)


def _instantiate(job: Job, kind: Kind, artifact: bytes, engine: wasmtime.Engine) -> Any:
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


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _silent(_text: str) -> None:
    """Show nothing: a library prints no progress."""


def _import_all() -> None:
    """Import what a load needs: a fork cannot import what another thread was importing."""
    import filelock  # noqa: F401
    import wasmtime

    with suppress(ImportError):
        import wasmtime.component  # noqa: F401


def _renew_all_locks() -> None:
    for cache in list(_caches):
        cache._renew_locks()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all_locks)
