# The loader of hatch-wazcache: generated into this package, do not edit.
# ruff: noqa: PGH004
# flake8: noqa
# pylint: skip-file
# isort: skip_file
# fmt: off
# mypy: disable-error-code="import-not-found"
# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false
"""Loads this package's WebAssembly, precompiled where that is possible.

A wheel holds each `.wasm` file (an asset) and artifacts of it: machine code, compiled when the
wheel was built. `load_module` and `load_component` ask wasmtime to load an artifact for this
system, which takes a millisecond. wasmtime itself checks version, architecture, CPU and nearly all
settings. If this package has a companion, a distribution with artifacts only, those are tried, too.
If wasmtime refuses every artifact, the `.wasm` is compiled here, which is slow, and a warning gives
the reason. The compiled code is kept in the user's cache folder, so the next start is fast.

    from wasmtime import Store
    from gofmt._wazcache import engine, load_module

    module = load_module("gofmt.wasm")
    store = Store(engine())  # a plain Store() has an engine of its own, which wasmtime refuses
"""

from __future__ import annotations

import os
import stat
import sys
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal, Protocol

    import wasmtime
    import wasmtime.component

    class ResourceFile(Protocol):
        """A file of `importlib.resources`. In a zip file it is no path."""

        def is_file(self) -> bool: ...

        def read_bytes(self) -> bytes: ...

    Fallback = Literal["cache", "compile", "error"]


__all__ = [
    "LoadError",
    "Status",
    "WazcacheWarning",
    "assets",
    "engine",
    "load_component",
    "load_module",
    "status",
]

_FILE = os.path.abspath(__file__)
_FOLDER = os.path.dirname(_FILE)
_PROCESS = os.getpid()
_SCHEMA = 2
_OTHER_WASMTIME = "it is for another wasmtime"
_FALLBACKS = ("cache", "compile", "error")
_KEPT = "wazcache-fallback"  # the folder of compiled code, in the user's cache folder
_MOST_KEPT = 2 << 30  # bytes
_DAY = 86400.0  # seconds
_EMPTY = b"\0asm\1\0\0\0"
_TWO_FUNCTIONS = _EMPTY + b"\1\4\1\x60\0\0\3\3\2\0\0\x0a\7\2\2\0\x0b\2\0\x0b"

# Filled with setdefault, which needs no lock: a lock held during a fork stays locked in the child.
_compiled: dict[str, Any] = {}  # one entry, which is by engine
_digests: dict[tuple[Any, ...], str] = {}
_engines: dict[tuple[str, bool], Any] = {}
_installed: dict[str, str] = {}
_locks: dict[tuple[Any, ...], Any] = {}
_manifests: dict[str, dict[str, Any]] = {}
_probes: dict[int, bool] = {}
_warned: dict[tuple[str, ...], object] = {}


class LoadError(Exception):
    """An asset cannot be loaded in the way that the caller asked for. The message says why."""


class WazcacheWarning(UserWarning):
    """An asset loads more slowly than it could. The message says why, and what to do."""


class Status(NamedTuple):
    """How an asset loads on this system."""

    name: str
    profile: str
    precompiled: bool
    artifact: str | None
    """The path of the artifact that loads, if one does."""
    reason: str | None
    """Why no artifact loads, if none does."""

    def __bool__(self) -> bool:
        return self.precompiled


def load_module(
    name: str | os.PathLike[str] | ResourceFile,
    engine: wasmtime.Engine | None = None,
    *,
    profile: str | None = None,
    strict: bool = False,
    fallback: Fallback | None = None,
) -> wasmtime.Module:
    """Load a module.

    If no artifact loads, the `.wasm` is compiled. A process compiles an asset once for each engine:
    later calls return the same object.

    Args:
        name: the asset's name, which is its path in this package; or a path to it, also one of
            importlib.resources.
        engine: your own engine, which must have the settings of the profile. wasmtime does not
            check all of them: an artifact that was compiled without NaN canonicalization loads
            into an engine that has it. The default is `engine(profile)`, which is always right.
        profile: the name of one of the asset's profiles. The default is `default`, or the only
            profile of this package.
        strict: raise an error instead of compiling the `.wasm`; the same as `fallback="error"`.
        fallback: what to do if no artifact loads. `cache` compiles the `.wasm` and keeps the code
            in the user's cache folder for the next start; `compile` compiles it in each process;
            `error` raises LoadError. The default is the choice of this package, mostly `cache`.

    Raises:
        LoadError: there is no such asset or profile; the asset is a component; no artifact loads
            and there is no `.wasm` to compile, or `fallback` forbids it, or this process is a fork
            in which wasmtime cannot compile.
        wasmtime.WasmtimeError: wasmtime cannot compile the `.wasm`.
    """
    module: wasmtime.Module = _load(name, "module", engine, profile, strict, fallback)
    return module


def load_component(
    name: str | os.PathLike[str] | ResourceFile,
    engine: wasmtime.Engine | None = None,
    *,
    profile: str | None = None,
    strict: bool = False,
    fallback: Fallback | None = None,
) -> wasmtime.component.Component:
    """Load a component, as `load_module` loads a module. Needs wasmtime 39 or later."""
    component: wasmtime.component.Component = _load(
        name, "component", engine, profile, strict, fallback
    )
    return component


def engine(profile: str | None = None, cache: bool = False) -> wasmtime.Engine:
    """Return the engine with a profile's settings. A process has one for each profile.

    Args:
        profile: a profile's name. The default is `default`, or the only profile of this package.
        cache: turn on wasmtime's own compilation cache, for modules that you compile with this
            engine yourself. Assets do not need it. wasmtime writes to the user's cache folder. If
            it cannot, there is a warning and no cache.

    Raises:
        LoadError: there is no such profile, or the installed wasmtime lacks one of its settings.
    """
    made: wasmtime.Engine = _engine(_profile(profile), cache)
    return made


def status(
    name: str | os.PathLike[str] | ResourceFile,
    engine: wasmtime.Engine | None = None,
    *,
    profile: str | None = None,
) -> Status:
    """Tell whether an asset loads precompiled: from which artifact, or why not. Compiles nothing.

    Raises:
        LoadError: there is no such asset or profile.
    """
    name, asset = _find(name)
    profile = _profile(profile)
    try:
        kind = _kind(asset["kind"])
    except LoadError as error:
        return Status(name, profile, False, None, str(error))
    loaded, found = _load_artifact(name, asset, kind, engine or _engine(profile), profile)
    if loaded is not None:
        return Status(name, profile, True, found, None)
    if found and engine is not None:
        found += _other_profile(name, asset, kind, engine, profile)
    return Status(name, profile, False, None, found or _why_none())


def assets() -> list[str]:
    """Return the names of the assets in this package."""
    return sorted(_manifest()["assets"])


def _load(
    name: Any,
    wanted: str,
    engine_: Any,
    profile: str | None,
    strict: bool,
    fallback: str | None,
) -> Any:
    name, asset = _find(name)
    profile = _profile(profile)
    if asset["kind"] != wanted:
        raise LoadError(f"{name} is a {asset['kind']}: use load_{asset['kind']}")
    fallback = fallback or _manifest().get("fallback", "cache")
    if fallback not in _FALLBACKS:
        raise LoadError(f"fallback is {fallback!r}; it must be one of {', '.join(_FALLBACKS)}")
    kind = _kind(wanted)
    is_own = engine_ is not None
    if engine_ is None:
        engine_ = _engine(profile)
    loaded, refusal = _load_artifact(name, asset, kind, engine_, profile)
    if loaded is not None:
        return loaded
    if refusal and is_own:
        refusal += _other_profile(name, asset, kind, engine_, profile)
    if strict or fallback == "error":
        why = "strict" if strict else 'fallback "error"'
        raise LoadError(f"{name} is not precompiled ({why}): {refusal or _why_none()}")
    if asset["wasm"] is None:
        reason = refusal or _why_none()
        raise LoadError(f"{name} cannot be loaded, and there is no .wasm to compile: {reason}")
    try:
        return _fall_back(name, asset, kind, engine_, profile, fallback == "cache", refusal)
    except OSError as error:
        reason = refusal or _why_none()
        raise LoadError(
            f"{name} cannot be loaded, and its .wasm cannot be read ({error}): {reason}"
        ) from None


# The fallback. An asset that loads from an artifact uses nothing of it.


def _fall_back(
    name: str,
    asset: dict[str, Any],
    kind: Any,
    engine_: Any,
    profile: str,
    keep: bool,
    refusal: str | None,
) -> Any:
    """Return the asset as this process has compiled it, or an earlier one, or compile it now.

    Raises:
        OSError: the `.wasm` cannot be read.
    """
    from threading import RLock

    wasm = _read(asset["wasm"]) if _has_changed(asset) else None
    digest = _sha256(wasm) if wasm else asset["sha256"]
    compiled = _compiled_with(engine_)
    # A forked child has another process number, so it never waits for a lock of its parent.
    with _locks.setdefault((os.getpid(), digest), RLock()):
        loaded = compiled.get((digest, kind))
        if loaded is not None and not _is_closed(loaded):
            return loaded
        file = _kept_file(name, digest, kind, engine_) if keep else None
        loaded = _load_kept(file, kind, engine_) if file else None
        if loaded is None:
            wasm = wasm or _read(asset["wasm"])
            if refusal and _is_first("compiled", name, profile):
                _warn(f"{name} is compiled now, which takes time: {refusal}")
            loaded = _compile(name, kind, engine_, wasm, profile)
            if file and _sha256(wasm) == digest:
                _keep(name, file, loaded.serialize())
        compiled[digest, kind] = loaded
        return loaded


def _compiled_with(engine_: Any) -> dict[tuple[str, Any], Any]:
    """Return what this process has compiled for an engine. It is forgotten with the engine."""
    if not _compiled:
        from weakref import WeakKeyDictionary

        _compiled.setdefault("", WeakKeyDictionary())
    found: dict[tuple[str, Any], Any] = _compiled[""].setdefault(engine_, {})
    return found


def _is_closed(loaded: Any) -> bool:
    """Say whether the caller has closed a module or component."""
    try:
        loaded.ptr()
    except ValueError:
        return True
    return False


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _compile(name: str, kind: Any, engine_: Any, wasm: bytes, profile: str) -> Any:
    if not _is_forked():
        return kind(engine_, wasm)
    # If the parent has compiled something, wasmtime's threads exist in the parent only, and this
    # process would wait for them forever. An engine that uses no threads makes the same code.
    single = _single_threaded(profile)
    if _fingerprint(engine_) == _fingerprint(single):
        return kind.deserialize(engine_, kind(single, wasm).serialize())
    if _threads_answer():
        return kind(engine_, wasm)
    raise LoadError(
        f"{name} cannot be compiled in this process: it was forked from one that had compiled "
        "something, and wasmtime's threads stayed there. Load it before the fork; or start the "
        "process with spawn or forkserver; or use engine(profile) instead of your own engine"
    )


def _single_threaded(profile: str) -> Any:
    """Return an engine with a profile's settings that compiles without threads."""
    import wasmtime

    config = _config(profile)
    config.parallel_compilation = False
    return wasmtime.Engine(config)


def _fingerprint(engine_: Any) -> bytes:
    """Return bytes that are the same for engines that make the same code.

    wasmtime writes its major version, the CPU and all settings into what it compiles, also the
    settings that it does not check when it loads that. An empty module needs no threads, but
    starts them. So an engine of this loader is asked through one that has none.
    """
    import wasmtime

    for (profile, _), ours in list(_engines.items()):
        if engine_ is ours:
            engine_ = _single_threaded(profile)
    return bytes(wasmtime.Module(engine_, _EMPTY).serialize())


def _is_forked() -> bool:
    """Say whether this process may lack wasmtime's threads, as a forked one does."""
    if sys.platform == "win32":
        return False
    if os.getpid() != _PROCESS:
        return True
    try:
        with open("/proc/self/stat", "rb") as file:
            flags = int(file.read().rpartition(b")")[2].split()[6])
    except (OSError, ValueError, IndexError):
        flags = 0
    if flags:
        return bool(flags & 0x40)  # PF_FORKNOEXEC: forked, and no program was started since
    return not _threads_answer()  # not Linux, or not a real one


def _threads_answer() -> bool:
    """Say whether wasmtime can compile with threads in this process. If it cannot, it hangs."""
    process = os.getpid()
    if process not in _probes:
        import threading

        import wasmtime

        engine_ = wasmtime.Engine()
        probe = threading.Thread(
            target=wasmtime.Module, args=(engine_, _TWO_FUNCTIONS), daemon=True
        )
        probe.start()
        for _ in range(40):  # ten seconds of waiting, in steps: the process may be stopped
            if probe.is_alive():
                probe.join(0.25)
        _probes.setdefault(process, not probe.is_alive())
    return _probes[process]


# The files that the fallback keeps


def _kept_file(name: str, digest: str, kind: Any, engine_: Any) -> str | None:
    """Return the file for the code of an asset. If there can be none, warn and return None.

    Its name is a digest of all that decides the code: the `.wasm`, the exact version of wasmtime,
    the settings of the engine and the CPU.
    """
    version = _installed_wasmtime() or _version_of("wasmtime")
    if not version:
        _not_kept(name, "the installed wasmtime has no metadata, so its version is unknown")
        return None
    try:
        folder = _kept_folder()
    except OSError as error:
        _not_kept(name, f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return None
    key = f"{digest} {kind.__name__} {version} ".encode() + _fingerprint(engine_)
    return os.path.join(folder, f"{_sha256(key)}.cwasm")


def _not_kept(name: str, problem: str) -> None:
    if _is_first("not kept", problem):
        _warn(
            f"the compiled code of {name} cannot be kept, so the next start compiles it again: "
            f'{problem}. With fallback="compile" nothing is kept, and there is no such warning'
        )


def _kept_folder() -> str:
    """Make the folder of the compiled code. Only this user and root may write to it.

    Raises:
        OSError: there can be none.
    """
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        default = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        default = os.path.join(home, "Library", "Caches")
    else:
        default = os.path.join(home, ".cache")
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    folder = os.path.join(cache if os.path.isabs(cache) else default, _KEPT)
    if not os.path.isabs(folder):
        raise OSError("there is no home directory")
    _check_writers(folder)  # before a folder is made in another user's
    _make_private(folder)
    _check_writers(folder)
    return folder


def _make_private(folder: str) -> None:
    """Make a folder, and those above it, for this user alone, whatever the umask."""
    missing = []
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:  # there may be no drive
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):  # no other process has made it
                raise


def _check_writers(folder: str) -> None:
    """Raise an error if another user can write to a folder, or replace it.

    The compiled code is native code: who can write it can run code as this user.
    """
    itself = [folder, os.path.realpath(folder)]
    paths = list(itself)
    for path in paths:  # and all that is added on the way: the folders and links above
        above = [os.path.dirname(path)]
        if os.path.islink(path):
            above.append(os.path.join(above[0], os.readlink(path)))
        paths += [one for one in above if one not in paths]
        if os.path.isdir(path) or os.path.islink(path):
            _check_writer(path, is_parent=path not in itself)


def _check_writer(path: str, is_parent: bool) -> None:
    if sys.platform == "win32":  # protects a user's profile by its own access list
        return
    status = os.lstat(path)
    if status.st_uid not in (0, os.geteuid()):
        raise OSError(f"{path} belongs to another user (uid {status.st_uid})")
    if stat.S_ISLNK(status.st_mode):  # its target is checked too
        return
    others = stat.S_IWOTH | stat.S_IWGRP
    if is_parent and status.st_gid == os.getegid():
        others = stat.S_IWOTH  # many systems give each user a group alone
    if is_parent and status.st_mode & stat.S_ISVTX:
        others = 0  # others cannot rename what is in it
    if status.st_mode & others:
        mode = stat.S_IMODE(status.st_mode)
        raise OSError(f"{path} can be written by other users (mode {mode:o}; chmod go-w)")


def _load_kept(path: str, kind: Any, engine_: Any) -> Any:
    """Load compiled code that an earlier process kept. Return None if there is none that loads."""
    import time

    import wasmtime

    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        _check_writer(path, is_parent=False)
        place = _Place(os.path.dirname(path))
        loaded = _from_file_or_memory(place, os.path.basename(path), kind, engine_)
    except (OSError, wasmtime.WasmtimeError):
        return None
    if time.time() - status.st_mtime > _DAY:
        try:
            os.utime(path)  # used: the files that were not used for the longest time go first
        except OSError:
            pass
    return loaded


def _keep(name: str, path: str, code: bytes) -> None:
    """Write compiled code to its file, whole or not at all. If that fails, warn."""
    import tempfile

    folder, temporary = os.path.dirname(path), None
    try:
        opened, temporary = tempfile.mkstemp(".tmp", "", folder)
        with open(opened, "wb") as file:
            file.write(code)
            file.flush()
            os.fsync(opened)  # a crash of the system leaves no file of zeros under the name
        os.replace(temporary, path)
        temporary = None
        _remove_oldest(path, len(code))
    except OSError as error:
        # On Windows nothing replaces a file that another process has kept meanwhile, and loaded.
        if sys.platform != "win32" or not os.path.isfile(path):
            # Not the name of the temporary file: it would make each warning another one.
            _not_kept(name, f"{error.filename2 or folder}: {error.strerror}")
    finally:
        if temporary:
            _remove(temporary)


def _remove_oldest(newest: str, size: int) -> None:
    """Remove what was not used for the longest time, and what killed processes left behind."""
    import time

    kept = []
    with os.scandir(os.path.dirname(newest)) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:  # another process has removed it
                continue
            if entry.name.endswith(".cwasm") and entry.path != newest:
                kept.append((status.st_mtime, status.st_size, entry.path))
            elif entry.name.endswith(".tmp") and time.time() - status.st_mtime > _DAY:
                _remove(entry.path)
    for _, bytes_, path in sorted(kept, reverse=True):
        size += bytes_
        if size > _MOST_KEPT:
            _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # gone already; or in use, on Windows
        pass


def _is_first(*what: str) -> bool:
    """Say whether something is warned of for the first time in this process."""
    first = object()
    return _warned.setdefault(what, first) is first


def _warn(message: str) -> None:
    """Warn of the line that called this module."""
    level, frame = 1, sys._getframe()  # noqa: SLF001
    while frame.f_back and frame.f_globals is globals():
        level, frame = level + 1, frame.f_back
    warnings.warn(message, WazcacheWarning, stacklevel=level)


# Artifacts


def _kind(word: str) -> Any:
    """Return wasmtime's class for a module or a component."""
    import wasmtime

    if word == "module":
        return wasmtime.Module
    try:
        from wasmtime import component
    except ImportError:
        raise LoadError("components need wasmtime 39 or later") from None
    return component.Component


def _load_artifact(
    name: str, asset: dict[str, Any], kind: Any, engine_: Any, profile: str
) -> tuple[Any, str | None]:
    """Load the first artifact that wasmtime accepts: one of this package, or of its companion.

    Returns:
        The module or component, and the artifact's path. If no artifact loads: None and the
        reasons, or None twice if there is no artifact for this system, as `_why_none` explains.
    """
    problems: dict[str, None] = {}
    refused: dict[str, list[str]] = {}
    for place, artifacts, problem in _candidates(name, asset, profile):
        if problem:
            problems[problem] = None
        for artifact in _installed_first(artifacts):
            loaded, reason = _deserialize(place, artifact, asset, kind, engine_)
            if loaded is not None:
                return loaded, os.path.abspath(place.path(artifact["file"]))
            about = artifact["wasmtime" if reason == _OTHER_WASMTIME else "file"]
            refused.setdefault(reason, []).append(about)
    engines = refused.pop(_OTHER_WASMTIME, [])
    reasons = [f"{', '.join(dict.fromkeys(files))}: {reason}" for reason, files in refused.items()]
    if engines and not reasons:
        reasons.append(_for_other_wasmtimes(engines))
    return None, "; ".join([*reasons, *problems]) or None


def _candidates(
    name: str, asset: dict[str, Any], profile: str
) -> Iterator[tuple[_Place, list[dict[str, Any]], str]]:
    """Yield each place with artifacts that may load, or with the reason why none of it may."""
    yield (_own_place(), *_for_here(asset["artifacts"], profile))
    for place in _companion_places():
        yield (place, *_of_companion(place, name, asset, profile))


def _for_here(artifacts: Any, profile: str) -> tuple[list[dict[str, Any]], str]:
    """Return the artifacts for this system and a profile, or the reason why there are none."""
    system = _system()
    for_system = [artifact for artifact in artifacts if artifact["target"] == system]
    fits = [artifact for artifact in for_system if artifact["profile"] == profile]
    if for_system and not fits:
        others = ", ".join(sorted({artifact["profile"] for artifact in for_system}))
        return [], f"it was compiled for the profile {others}, not for {profile}"
    return fits, ""


def _other_profile(name: str, asset: dict[str, Any], kind: Any, engine_: Any, profile: str) -> str:
    """Say which profile has an artifact for the caller's own engine; empty if none has."""
    for other in _manifest()["profiles"]:
        if other != profile and _load_artifact(name, asset, kind, engine_, other)[0] is not None:
            return f"; the engine has the settings of the profile {other}: pass profile={other!r}"
    return ""


def _installed_first(artifacts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort artifacts: those for the installed wasmtime first. wasmtime refuses all others."""
    if len({_major(artifact["wasmtime"]) for artifact in artifacts}) < 2:
        return artifacts
    installed = _major(_installed_wasmtime())
    return sorted(artifacts, key=lambda artifact: _major(artifact["wasmtime"]) != installed)


def _major(version: str) -> str:
    return version.partition(".")[0]


def _installed_wasmtime() -> str:
    """Return the version of the installed wasmtime, by the name of its `.dist-info` folder.

    It is empty if that is not known: in an archive, or if there are folders of several versions.
    importlib.metadata knows more, but needs ten times as long as loading an artifact.
    """
    import wasmtime

    folder = os.path.dirname(os.path.dirname(wasmtime.__file__ or ""))
    if folder not in _installed:
        # The finder that has imported wasmtime knows the names in its folder. Listing it again
        # takes longer than loading an artifact.
        finder = sys.path_importer_cache.get(folder)
        try:
            names = getattr(finder, "_path_cache", None) or os.listdir(folder)
        except OSError:
            names = []
        begin, end = "wasmtime-", ".dist-info"
        found = [name for name in names if name.startswith(begin) and name.endswith(end)]
        version = found[0][len(begin) : -len(end)] if len(found) == 1 else ""
        _installed.setdefault(folder, version)
    return _installed[folder]


def _deserialize(
    place: _Place, artifact: dict[str, Any], asset: dict[str, Any], kind: Any, engine_: Any
) -> tuple[Any, str]:
    """Load one artifact. Return it and an empty text, or None and the reason."""
    import wasmtime

    path = place.path(artifact["file"])
    try:
        if _has_changed(asset):
            again = "install the project again, or run `hatch-wazcache install`"
            return None, f"the .wasm has changed since; {again}"
        if not os.path.isfile(path) and not place.archive:
            return None, "it is not a file" if os.path.exists(path) else "the file is missing"
        return _from_file_or_memory(place, artifact["file"], kind, engine_), ""
    except wasmtime.WasmtimeError as error:
        size = os.path.getsize(path) if os.path.isfile(path) else artifact["size"]
        if size != artifact["size"]:
            return None, f"it is damaged: it has {size} bytes, not {artifact['size']}"
        cause = _cause(str(error))
        return None, _OTHER_WASMTIME if "ersion" in cause else cause
    except OSError as error:
        return None, str(error)


def _from_file_or_memory(place: _Place, file: str, kind: Any, engine_: Any) -> Any:
    import wasmtime

    path = place.path(file)
    # wasmtime reads a path as UTF-8. In some locales, Python reads it in another way.
    is_utf8 = os.fsencode(path) == path.encode("utf-8", "surrogatepass")
    if is_utf8 and os.path.isfile(path) and not _is_short_of_files():
        try:
            return kind.deserialize_file(engine_, path)
        except wasmtime.WasmtimeError as error:
            if "memory executable" not in str(error):  # a file system mounted noexec
                raise
    return kind.deserialize(engine_, place.read(file))


def _is_short_of_files() -> bool:
    """Say whether half of the files that this process may open are open.

    wasmtime keeps an artifact's file open as long as its module lives. From memory it loads an
    artifact without a file, but has to copy it.
    """
    if sys.platform == "win32":  # has no such limit
        return False
    try:
        free = os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free
    except OSError:
        return False  # wasmtime will say why
    os.close(free)
    return 0 < os.sysconf("SC_OPEN_MAX") <= 2 * free


def _has_changed(asset: dict[str, Any]) -> bool:
    """Say whether the `.wasm` of an editable install has changed since it was compiled.

    A checkout, a copy or a container layer gives the same file other times, so only its digest
    counts. It need not be computed while the file is untouched. On Windows nothing proves that:
    ctime is the time of the file's creation there.
    """
    if "mtime_ns" not in asset:
        return False
    path = _path(asset["wasm"])
    now = os.stat(path)
    untouched = (asset["size"], asset["mtime_ns"], asset.get("ctime_ns"), asset.get("inode"))
    if sys.platform != "win32" and _stamp(now) == untouched:
        return False
    return not _is_the_wasm(path, now, asset)


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _is_the_wasm(path: str, status: os.stat_result, asset: dict[str, Any]) -> bool:
    """Say whether a file has the bytes of an asset. Each file is read once in a process."""
    if status.st_size != asset["size"]:
        return False
    key = (path, *_stamp(status))
    if key not in _digests:
        import hashlib

        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        _digests.setdefault(key, digest.hexdigest())
    return bool(_digests[key] == asset["sha256"])


def _cause(text: str) -> str:
    """Shorten wasmtime's refusal to its cause, and explain the common ones."""
    cause = text.partition("Stack backtrace:")[0].partition("Caused by:")[2] or text
    lines = [line.strip().partition(": ") for line in cause.splitlines() if line.strip()]
    cause = ": ".join(line[2] if line[0].isdigit() else "".join(line) for line in lines)
    if "backtrace support" in cause:
        return f"the environment variable WASMTIME_BACKTRACE_DETAILS is set ({cause})"
    return cause


def _for_other_wasmtimes(engines: list[str]) -> str:
    """Say for which versions of wasmtime there are artifacts, and what to install.

    Args:
        engines: the versions that compiled the artifacts.
    """
    installed = _installed_wasmtime() or _version_of("wasmtime") or "another"
    newest_first = sorted(dict.fromkeys(engines), key=lambda version: -int(_major(version)))
    # From wasmtime 38 on, only the major version counts.
    names = [v if int(_major(v)) < 38 else _major(v) for v in newest_first]
    text = f"compiled for wasmtime {_or(dict.fromkeys(names))}, installed is {installed}"
    package = __name__.rpartition(".")[0]
    if not package:  # run by `hatch-wazcache inspect`, which only asks
        return text
    newest = names[0]
    wanted = f"=={newest}" if "." in newest else f">={newest},<{int(newest) + 1}"
    companion = _manifest().get("companion")
    other = f"a version of {companion['name']}" if companion else f"a release of {package}"
    return f"{text}; install wasmtime{wanted}, or {other} with artifacts for the installed one"


def _or(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution. That takes time, so only errors ask."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _why_none() -> str:
    """Say why there is no artifact that wasmtime could refuse."""
    companion = _manifest().get("companion")
    if companion is None:
        return "the wheel has none for this system"
    name = companion["name"]
    version = _version_of(name)
    if version is None:
        freezer = _freezer(_folder_of(name))
        where = f"in this program; {freezer}" if freezer else "installed"
        return f"{name}, which has the artifacts, is not {where}"
    if version == "0":
        wasmtime = _installed_wasmtime() or _version_of("wasmtime")
        fits = f"this package, {_system()} and wasmtime {wasmtime}"
        return f"{name} 0 is installed, which is empty: the installer found none for {fits}"
    return f"{name} {version} is installed, but its files are not found"


# The companion


def _folder_of(companion: str) -> str:
    return companion.replace("-", "_").replace(".", "_")


def _companion_places() -> Iterator[_Place]:
    """Yield the folders that the companion may have for this package: beside it, and elsewhere.

    Nothing of the companion is imported.
    """
    companion = _manifest().get("companion")
    package = __name__.split(".")[:-1]
    if companion is None or not package:
        return
    root = _own_place()
    for _ in package:
        root = root._replace(folder=os.path.dirname(root.folder))
    top = _folder_of(companion["name"])
    beside = root._replace(folder=os.path.join(root.folder, top, *package))
    yield beside
    from importlib.util import find_spec

    try:
        spec = find_spec(top)
    except Exception:  # noqa: BLE001  # a finder of another package is broken
        return
    if spec is None:
        return
    for folder in spec.submodule_search_locations or ():
        archive = None if os.path.isdir(folder) else spec.loader
        place = _Place(os.path.join(folder, *package), archive)
        if place.folder != beside.folder:
            yield place


def _of_companion(
    place: _Place, name: str, asset: dict[str, Any], profile: str
) -> tuple[list[dict[str, Any]], str]:
    """Return the artifacts of an asset in the companion, or the reason why none of them fits.

    They must come from the same `.wasm`, with the same settings. The manifests tell: no file is
    hashed. If there is no companion, there is no reason either.
    """
    path = place.path(os.path.basename(_manifest_file()))
    companion = _manifest()["companion"]["name"]
    try:
        if path not in _manifests:
            _manifests[path] = _read_manifest(place, path)
        manifest = _manifests[path]
        other = manifest["assets"].get(name)
        if other is None:
            return [], f"{companion} has no artifact of {name} ({path})"
        if other["sha256"] != asset["sha256"]:
            package = manifest["package"]
            of = f"{package['name']} {package['version']}"
            return [], f"{companion} is for another {name}, that of {of}: install it again"
        if manifest["profiles"].get(profile) != _settings(profile):
            return [], f"{companion} has other settings for the profile {profile} ({path})"
        artifacts, reason = _for_here(other["artifacts"], profile)
        for artifact in artifacts:
            _check_types(place, artifact)
    except (FileNotFoundError, NotADirectoryError):
        return [], ""
    except LoadError as error:
        return [], str(error)
    except OSError as error:
        # An archive does not tell whether the file is there.
        return [], "" if place.archive else f"{path} cannot be read ({error})"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return [], f"{path} is damaged: install {companion} again"
    return artifacts, reason or ("" if artifacts else f"{companion} has none for {_system()}")


def _check_types(place: _Place, artifact: dict[str, Any]) -> None:
    """Fail on an artifact that a companion's manifest describes in an odd way."""
    place.path(artifact["file"])
    int(_major(artifact["wasmtime"]))
    int(artifact["size"])


# Engines


def _engine(profile: str, cache: bool = False) -> Any:
    if (profile, cache) not in _engines:
        _engines.setdefault((profile, cache), _make_engine(profile, cache))
    return _engines[profile, cache]


def _make_engine(profile: str, cache: bool) -> Any:
    import wasmtime

    config = _config(profile)
    if not cache:
        return wasmtime.Engine(config)
    try:
        config.cache = True
        return wasmtime.Engine(config)
    except wasmtime.WasmtimeError as error:
        _warn(f"wasmtime's cache cannot be used: {_cause(str(error))}")
        return _engine(profile)


def _config(profile: str) -> Any:
    import wasmtime

    config = wasmtime.Config()
    for setting, value in _settings(profile).items():
        attribute = setting.replace("-", "_")
        if not hasattr(type(config), attribute):
            raise LoadError(
                f"the installed wasmtime has no setting {attribute} (profile {profile})"
            )
        setattr(config, attribute, value)
    return config


def _profile(profile: str | None) -> str:
    """Check a profile's name, or choose the profile if there is no name."""
    profiles = _manifest()["profiles"]
    if profile is None:
        profile = next(iter(profiles)) if len(profiles) == 1 else "default"
    if profile not in profiles:
        raise LoadError(f"there is no profile {profile}; there is {', '.join(sorted(profiles))}")
    return profile


def _settings(profile: str) -> dict[str, Any]:
    settings: dict[str, Any] = _manifest()["profiles"][profile]
    return settings


# Names and files


def _find(name: Any) -> tuple[str, dict[str, Any]]:
    """Return an asset's name and its part of the manifest.

    A str that is an asset's name means the asset. Every other path must lead to an asset, and a
    relative one starts at the current folder.
    """
    known = _manifest()["assets"]
    text = os.fspath(name) if isinstance(name, os.PathLike) else str(name)
    as_name = _in_manifest(text)
    if isinstance(name, str) and as_name in known:
        if "/" in as_name:
            _refuse_another_file(text, as_name, known[as_name])
        return as_name, known[as_name]
    for found in _names(text):
        if found in known:
            return found, known[found]
        for asset_name, asset in known.items():
            if found == asset["wasm"]:  # an editable install may have it elsewhere
                return asset_name, asset
    message = f"there is no asset {name}; there is {', '.join(sorted(known))}"
    if os.path.isfile(text):
        message += f". To load the file {os.path.abspath(text)}, use wasmtime itself"
    elif as_name in known:
        message += f". A relative path starts at the current folder: pass {as_name!r}, a str"
    raise LoadError(message)


def _names(path: str) -> Iterator[str]:
    """Yield the names that the manifest may have for a file: its paths relative to this package.

    This package may lie behind a symbolic link, and the caller may have resolved the path.
    """
    for resolve in (os.path.abspath, os.path.realpath):
        try:
            relative = os.path.relpath(resolve(path), os.path.dirname(resolve(_FILE)))
        except ValueError:  # it is on another drive, or cannot be encoded
            continue
        yield _in_manifest(relative)


def _refuse_another_file(path: str, name: str, asset: dict[str, Any]) -> None:
    """Raise an error if an asset's name is also the path of a file with other bytes.

    A program passes on the paths that its users give it: the asset would run in place of the file.
    """
    if not os.path.isfile(path):
        return
    try:
        same = _is_the_wasm(os.path.abspath(path), os.stat(path), asset)
    except OSError:
        same = False
    if not same:
        raise LoadError(
            f"{name} is an asset's name, and also another file, {os.path.abspath(path)}. For the "
            f"asset, pass its full path, {_path(name)}. To load the file, use wasmtime itself"
        )


def _manifest_file() -> str:
    return os.path.splitext(_FILE)[0] + ".json"


def _manifest() -> dict[str, Any]:
    path = _manifest_file()
    if path not in _manifests:
        try:
            _manifests[path] = _read_manifest(_own_place(), path)
        except (OSError, ValueError) as error:
            package = __name__.rpartition(".")[0]
            who = _freezer(package) or "hatch-wazcache writes it when it builds this package"
            raise LoadError(f"{path} cannot be read ({error}); {who}") from None
    return _manifests[path]


def _read_manifest(place: _Place, path: str) -> dict[str, Any]:
    import json

    manifest = json.loads(place.read(os.path.basename(path)))
    if not isinstance(manifest, dict) or manifest.get("schema") != _SCHEMA:
        raise LoadError(f"{path} is of another version of hatch-wazcache than {_FILE}")
    return manifest


def _freezer(package: str) -> str:
    """Say which freezer left the files of a package out, and how to call it; empty if none did."""
    options = {
        "PyInstaller": f"--collect-data {package}, or install hatch-wazcache beside it, "
        "which has a hook",
        "Nuitka": f"--include-package-data={package}",
        "cx_Freeze": f"--packages={package}",
    }
    if "__compiled__" in globals():
        freezer = "Nuitka"
    elif getattr(sys, "frozen", False):
        freezer = "PyInstaller" if hasattr(sys, "_MEIPASS") else "cx_Freeze"
    else:
        return ""
    return f"{freezer} left it out: call it with {options[freezer]}"


class _Place(NamedTuple):
    """A folder with files of a package, on disk or in an archive."""

    folder: str
    archive: Any = None
    """Reads the files of an archive; None for a folder on disk."""

    def path(self, file: str) -> str:
        return os.path.join(self.folder, *_on_disk(file).split("/"))

    def read(self, file: str) -> bytes:
        if self.archive:
            data: bytes = self.archive.get_data(os.path.join(self.folder, *file.split("/")))
            return data
        with open(self.path(file), "rb") as opened:
            return opened.read()


def _own_place() -> _Place:
    """Return the folder of this package."""
    if os.path.isdir(_FOLDER) or not hasattr(__spec__.loader, "get_data"):
        return _Place(_FOLDER)
    # Not _FOLDER: an archive knows its files by the path that it was imported from.
    return _Place(os.path.dirname(__file__), __spec__.loader)


def _read(file: str) -> bytes:
    """Read a file of this package."""
    return _own_place().read(file)


def _path(file: str) -> str:
    return os.path.join(_FOLDER, *_on_disk(file).split("/"))


def _on_disk(file: str) -> str:
    """Return a name as Python reads it from disk. Installers write UTF-8 in every locale."""
    return os.fsdecode(file.encode())


def _in_manifest(path: str) -> str:
    """Return a path in the way that the manifest has it: the reverse of `_on_disk`."""
    try:
        path = os.fsencode(path).decode()
    except UnicodeError:  # no path of this locale, or not in UTF-8
        pass
    return path.replace(os.sep, "/")


def _system() -> str:
    """Return this system's name among the targets."""
    if sys.platform == "win32":
        # Python counts, not the machine: a Python for x86_64 runs on Arm too.
        return f"{'aarch64' if 'arm64' in sys.version.lower() else 'x86_64'}-windows"
    import platform

    machine = platform.machine().lower()
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    systems = {"darwin": "macos", "android": "linux"}
    return f"{arch}-{systems.get(sys.platform, sys.platform)}"
