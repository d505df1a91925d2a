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
import tempfile
import threading
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.engine import SETTINGS, code_settings, installed_engine, make_config
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.job import Job
from hatch_wazcache.misses import make_entries
from hatch_wazcache.report import Report
from hatch_wazcache.targets import native_target
from hatch_wazcache.wasm import Kind, read_wasm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from types import TracebackType

    import wasmtime
    import wasmtime.component

    Profile = Mapping[str, bool | int | str]
    Source = bytes | str | os.PathLike[str] | Traversable

__all__ = ["CompilationCache"]

_TIMEOUT = 1800.0


class CompilationCache:
    """Compiled modules and components, in memory and mostly in a directory too.

    All methods can be called from several threads.
    """

    def __init__(self) -> None:
        """Make a cache in memory only; what it compiles is gone with `close`."""
        self._resources = ExitStack()
        folder = self._resources.enter_context(tempfile.TemporaryDirectory(prefix="wazcache-"))
        self._open(Path(folder) / "cache")

    @classmethod
    def in_directory(cls, path: str | os.PathLike[str]) -> CompilationCache:
        """Make a cache that is also on disk, shared with builds and other processes.

        Args:
            path: created (0700) if it is missing; a relative one is made absolute.

        Raises:
            WazcacheError: the path is no directory, or one that others can write to.
        """
        cache = cls.__new__(cls)
        cache._resources = ExitStack()
        cache._open(Path(path).expanduser().absolute())
        if cache._directory.distrusted:
            raise WazcacheError(f"{path} {cache._directory.distrusted}")
        return cache

    def _open(self, root: Path) -> None:
        self._directory = CacheDirectory(root, _warn)
        self._closed = False
        self._engines: dict[Any, wasmtime.Engine] = {}
        self._loaded: dict[tuple[Any, str], Any] = {}
        self._locks: dict[Any, threading.Lock] = {}
        self._lock = threading.Lock()
        engine = installed_engine()
        self._musl, self._version = engine.musl, self._directory.engine_version(engine)

    def __enter__(self) -> CompilationCache:
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
            self._closed = True
            self._engines.clear()
            self._loaded.clear()
            self._directory.close()
            self._resources.close()

    def engine(self, profile: Profile | None = None) -> wasmtime.Engine:
        """Return the engine with these settings: one for each profile, whoever asks.

        Args:
            profile: settings, named as wasmtime-py's `Config` attributes with hyphens.

        Raises:
            WazcacheError: a setting is unknown or has a wrong value, or the cache is closed.
        """
        import wasmtime

        settings = _checked(profile)
        with self._lock:
            self._refuse_if_closed()
            key = tuple(sorted(settings.items()))
            if key not in self._engines:
                self._engines[key] = wasmtime.Engine(_run_time_config(settings))
            return self._engines[key]
