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
import weakref
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.statistics import DEFAULT_MAX_SIZE
from hatch_wazcache.compilation_cache.artifacts import Artifacts, load_artifact
from hatch_wazcache.compilation_cache.once_per_key import OncePerKey
from hatch_wazcache.engine.compiler_config import apply_settings
from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.util.sizes_and_times import parse_size
from hatch_wazcache.util.temporary_folder import TemporaryFolder

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
        self._artifacts = Artifacts(Path(directory).expanduser().absolute(), max_size, temporary)
        _import_all()
        self._engines: OncePerKey[wasmtime.Engine] = OncePerKey()
        self._loaded: OncePerKey[Any] = OncePerKey()
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
                return load_artifact(job, kind, artifact, self._engine(settings))

            return self._loaded.get((_as_key(settings), job.key.digest), load)


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


def _import_all() -> None:
    """Import what a load needs: a fork cannot import what another thread was importing."""
    import wasmtime

    with suppress(ImportError):
        import wasmtime.component  # noqa: F401


def _renew_all_locks() -> None:
    for cache in list(_caches):
        cache._renew_locks()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all_locks)
