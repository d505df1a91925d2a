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
The manifest, a file beside this one, lists the assets, the artifacts and the settings of engines.

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

# The sections of this file: what the functions pass on; loading an artifact; why no artifact loads;
# the companion; engines; the fallback, and the files that it keeps. Then, how a name becomes an
# asset: of this package, of a checkout, of other packages. Then what is installed, and warnings.

_FILE = os.path.abspath(__file__)
_MANIFEST = os.path.splitext(os.path.basename(_FILE))[0] + ".json"
_DEFAULT_MANIFEST = "_wazcache.json"
_SCHEMA = 2
_FALLBACKS = ("cache", "compile", "error")
_OTHER_WASMTIME = "it is for another wasmtime"
_COMPILER_ONLY = ("address-map",)  # the settings of profiles that no engine has
_TABLES = (  # of options, in pyproject.toml
    "tool.wazcache",
    "tool.hatch.build.hooks.wazcache",
    "tool.hatch.build.targets.wheel.hooks.wazcache",
)
_KEPT = "wazcache-fallback"  # the folder of compiled code, in the user's cache folder
_MOST_KEPT = 2 << 30  # bytes
_DAY = 86400.0  # seconds
_PROCESS = os.getpid()  # of the process that has imported this
_EMPTY = b"\0asm\1\0\0\0"  # a module
# A module that wasmtime compiles with threads.
_TWO_FUNCTIONS = _EMPTY + b"\1\4\1\x60\0\0\3\3\2\0\0\x0a\7\2\2\0\x0b\2\0\x0b"
# What code raises that meets a damaged manifest.
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)

# What this process knows. It is filled with setdefault, which needs no lock: a lock that is held
# during a fork stays locked in the child.
_packages: dict[tuple[str, ...], _Package] = {}  # by folder and manifest; this package is ()
_engines: dict[tuple[str, bool], Any] = {}  # by profile, and whether wasmtime's cache is on
_compiled: dict[str, Any] = {}  # one entry, which is by engine
_digests: dict[tuple[Any, ...], str] = {}  # of files, by path and stamp
_installed: dict[str, str] = {}  # the version of wasmtime, by its folder
_locks: dict[tuple[int, str], Any] = {}  # by process and digest of the .wasm
_probes: dict[int, bool] = {}  # whether wasmtime's threads answer, by process
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
    foreign: bool = False,
) -> wasmtime.Module:
    """Load a module.

    If no artifact loads, the `.wasm` is compiled. A process compiles an asset once for each engine:
    later calls return the same object.

    Args:
        name: the asset's name, which is its path in this package; or a path to it, also one of
            importlib.resources. A path may also lead to the asset of another installed package.
        engine: your own engine, which must have the settings of the profile. wasmtime does not
            check all of them: an artifact that was compiled without NaN canonicalization loads
            into an engine that has it. The default is `engine(profile)`, which is always right.
        profile: the name of one of the asset's profiles. The default is `default`, or the only
            profile of this package.
        strict: raise an error instead of compiling the `.wasm`; the same as `fallback="error"`.
        fallback: what to do if no artifact loads. `cache` compiles the `.wasm` and keeps the code
            in the user's cache folder for the next start; `compile` compiles it in each process;
            `error` raises LoadError. The default is the choice of this package, mostly `cache`.
        foreign: also take a path to a file that is no asset. It is compiled, and kept as `fallback`
            says.

    Raises:
        LoadError: there is no such asset or profile; the asset is a component; no artifact loads
            and there is no `.wasm` to compile, or `fallback` forbids it, or this process is a fork
            in which wasmtime cannot compile.
        wasmtime.WasmtimeError: wasmtime cannot compile the `.wasm`.
    """
    module: wasmtime.Module = _load(name, "module", engine, profile, strict, fallback, foreign)
    return module


def load_component(
    name: str | os.PathLike[str] | ResourceFile,
    engine: wasmtime.Engine | None = None,
    *,
    profile: str | None = None,
    strict: bool = False,
    fallback: Fallback | None = None,
    foreign: bool = False,
) -> wasmtime.component.Component:
    """Load a component, as `load_module` loads a module. Needs wasmtime 39 or later."""
    component: wasmtime.component.Component = _load(
        name, "component", engine, profile, strict, fallback, foreign
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
    made: wasmtime.Engine = _engine_of(_choose_profile(profile), cache)
    return made


def status(
    name: str | os.PathLike[str] | ResourceFile,
    engine: wasmtime.Engine | None = None,
    *,
    profile: str | None = None,
    foreign: bool = False,
) -> Status:
    """Tell whether an asset loads precompiled: from which artifact, or why not. Compiles nothing.

    The arguments mean the same as for `load_module`. So a foreign file has a status, too: it says
    why the file must be compiled.

    Raises:
        LoadError: there is no such asset or profile.
    """
    asset = _find(name, foreign)
    profile = _choose_profile(profile)
    try:
        kind = _class_of(asset.about["kind"])
    except LoadError as error:
        return Status(asset.shown, profile, False, None, str(error))
    loaded, found = _load_artifact(_Wanted(asset, kind, engine, profile))
    if loaded is None:
        return Status(asset.shown, profile, False, None, found or _why_none(asset))
    return Status(asset.shown, profile, True, found, None)


def assets() -> list[str]:
    """Return the names of the assets in this package."""
    return sorted(_known(_own()))


# What the functions pass on. Not NamedTuple: one such class costs a tenth of this import


class _Place:
    """A folder with files of a package, on disk or in an archive."""

    def __init__(self, folder: str, archive: Any = None) -> None:
        self.folder = folder
        self.archive = archive
        """Reads the files of an archive; None for a folder on disk."""

    def path(self, file: str) -> str:
        """Return the path of a file, whose name is that of the manifest."""
        return os.path.join(self.folder, *_on_disk(file).split("/"))

    def read(self, file: str) -> bytes:
        if self.archive:
            data: bytes = self.archive.get_data(os.path.join(self.folder, *file.split("/")))
            return data
        with open(self.path(file), "rb") as opened:
            return opened.read()


class _Package:
    """A package with a manifest: this one, or another."""

    def __init__(
        self,
        place: _Place,
        file: str,
        manifest: dict[str, Any],
        folders: tuple[str, ...] = (),
        label: str = "",
    ) -> None:
        self.place = place
        self.file = file
        """The name of the manifest."""
        self.manifest = manifest
        self.folders = folders
        """The names of its folder and those above it, from the folder that Python imports from."""
        self.label = label
        """Its name in messages."""


class _Asset:
    """An asset, or a foreign file that is treated like one."""

    def __init__(
        self,
        package: _Package,
        name: str,
        shown: str,
        about: dict[str, Any],
        data: bytes | None = None,
        problem: str = "",
    ) -> None:
        self.package = package
        self.name = name
        self.shown = shown
        """Its name in messages: that of another package's asset begins with the package."""
        self.about = about
        """Its part of the manifest."""
        self.data = data
        """The bytes of a foreign file."""
        self.problem = problem
        """Why the manifest that has a foreign file is not used; empty if none has it."""

    def read_wasm(self) -> bytes:
        """Return the bytes of the `.wasm`."""
        return self.package.place.read(self.about["wasm"]) if self.data is None else self.data


class _Wanted:
    """What a caller wants: an asset as a module or component, for an engine."""

    def __init__(self, asset: _Asset, kind: Any, engine: Any, profile: str) -> None:
        self.asset = asset
        self.kind = kind
        """wasmtime's class."""
        self.is_callers_engine = engine is not None
        self.engine = _engine_of(profile) if engine is None else engine
        self.profile = profile


# Loading an artifact


def _load(
    name: Any,
    word: str,
    engine: Any,
    profile: str | None,
    strict: bool,
    fallback: str | None,
    foreign: bool,
) -> Any:
    """Load an asset that is a `word`, a module or a component: an artifact, or else the `.wasm`."""
    asset = _find(name, foreign)
    about = asset.about
    profile = _choose_profile(profile)
    if about["kind"] != word:
        raise LoadError(f"{asset.shown} is a {about['kind']}: use load_{about['kind']}")
    fallback = fallback or asset.package.manifest.get("fallback", "cache")
    if fallback not in _FALLBACKS:
        raise LoadError(f"fallback is {fallback!r}; it must be one of {', '.join(_FALLBACKS)}")
    wanted = _Wanted(asset, _class_of(word), engine, profile)
    loaded, refusal = _load_artifact(wanted)
    if loaded is not None:
        return loaded
    if strict:
        problem = "is not precompiled (strict)"
    elif fallback == "error":
        problem = 'is not precompiled (fallback "error")'
    elif about["wasm"] is None:
        problem = "cannot be loaded, and there is no .wasm to compile"
    else:
        try:
            return _fall_back(wanted, fallback == "cache", refusal)
        except OSError as error:
            problem = f"cannot be loaded, and its .wasm cannot be read ({error})"
    raise LoadError(f"{asset.shown} {problem}: {refusal or _why_none(asset)}")


def _load_artifact(wanted: _Wanted) -> tuple[Any, str]:
    """Load the first artifact that wasmtime accepts: one of its package, or of its companion.

    Returns:
        The module or component, and the artifact's path. If no artifact loads: None and the
        reasons. These are empty if there is none for this system, as `_why_none` explains.
    """
    loaded, found = _first_that_loads(wanted)
    if loaded is None and found and wanted.is_callers_engine:
        for other in _own().manifest["profiles"]:
            fits = _Wanted(wanted.asset, wanted.kind, wanted.engine, other)
            if other != wanted.profile and _first_that_loads(fits)[0] is not None:
                hint = f"the engine has the settings of the profile {other}: pass profile={other!r}"
                return None, f"{found}; {hint}"
    return loaded, found


def _first_that_loads(wanted: _Wanted) -> tuple[Any, str]:
    """Do what `_load_artifact` does, with the artifacts of one profile only."""
    problems: dict[str, None] = {}
    refused: dict[str, list[str]] = {}
    for place, artifacts, problem in _candidates(wanted.asset, wanted.profile):
        if problem:
            problems[problem] = None
        for artifact in _installed_first(artifacts):
            loaded, reason = _try(wanted, place, artifact)
            if loaded is not None:
                return loaded, os.path.abspath(place.path(artifact["file"]))
            about = artifact["wasmtime" if reason == _OTHER_WASMTIME else "file"]
            refused.setdefault(reason, []).append(about)
    engines = refused.pop(_OTHER_WASMTIME, [])
    reasons = [f"{', '.join(dict.fromkeys(files))}: {reason}" for reason, files in refused.items()]
    if engines and not reasons:
        reasons.append(_for_other_wasmtimes(engines, wanted.asset.package))
    return None, "; ".join([*reasons, *problems])


def _candidates(asset: _Asset, profile: str) -> Iterator[tuple[_Place, list[dict[str, Any]], str]]:
    """Yield each place with artifacts that may load, or with the reason why none of it may."""
    package = asset.package
    problem = asset.problem or _other_settings(package, profile)
    if problem:
        yield package.place, [], problem
        return
    yield (package.place, *_for_here(asset.about["artifacts"], profile))
    for place in _companion_places(package):
        yield (place, *_of_companion(place, asset, profile))


def _for_here(artifacts: Any, profile: str) -> tuple[list[dict[str, Any]], str]:
    """Return the artifacts for this system and a profile, or the reason why there are none."""
    system = _system()
    for_system = [artifact for artifact in artifacts if artifact["target"] == system]
    fits = [artifact for artifact in for_system if artifact["profile"] == profile]
    if for_system and not fits:
        others = ", ".join(sorted({artifact["profile"] for artifact in for_system}))
        return [], f"it was compiled for the profile {others}, not for {profile}"
    return fits, ""


def _installed_first(artifacts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort artifacts: those for the installed wasmtime first. wasmtime refuses all others."""
    if len({_major(artifact["wasmtime"]) for artifact in artifacts}) < 2:
        return artifacts
    installed = _major(_wasmtime_by_folder())
    return sorted(artifacts, key=lambda artifact: _major(artifact["wasmtime"]) != installed)


def _try(wanted: _Wanted, place: _Place, artifact: dict[str, Any]) -> tuple[Any, str]:
    """Load one artifact. Return it and an empty text, or None and the reason."""
    import wasmtime

    file, path = artifact["file"], place.path(artifact["file"])
    try:
        if _has_changed(wanted.asset):
            again = "install the project again, or run `hatch-wazcache install`"
            return None, f"the .wasm has changed since; {again}"
        if not os.path.isfile(path) and not place.archive:
            return None, "it is not a file" if os.path.exists(path) else "the file is missing"
        return _deserialize(wanted, place, file), ""
    except wasmtime.WasmtimeError as error:
        size = os.path.getsize(path) if os.path.isfile(path) else artifact["size"]
        if size != artifact["size"]:
            return None, f"it is damaged: it has {size} bytes, not {artifact['size']}"
        cause = _cause(str(error))
        return None, _OTHER_WASMTIME if "version" in cause.lower() else cause
    except OSError as error:
        return None, str(error)


def _deserialize(wanted: _Wanted, place: _Place, file: str) -> Any:
    """Load machine code from a file, or from memory where wasmtime cannot do that."""
    import wasmtime

    path = place.path(file)
    # wasmtime reads a path as UTF-8. In some locales, Python reads it in another way.
    is_utf8 = os.fsencode(path) == path.encode("utf-8", "surrogatepass")
    if is_utf8 and os.path.isfile(path) and not _is_short_of_files():
        try:
            return wanted.kind.deserialize_file(wanted.engine, path)
        except wasmtime.WasmtimeError as error:
            if "memory executable" not in str(error):  # a file system mounted noexec
                raise
    return wanted.kind.deserialize(wanted.engine, place.read(file))


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


def _has_changed(asset: _Asset) -> bool:
    """Say whether the `.wasm` of an editable install has changed since it was compiled.

    A checkout, a copy or a container layer gives the same file other times, so only its digest
    counts. It need not be computed while the file is untouched. On Windows nothing proves that:
    ctime is the time of the file's creation there.
    """
    about = asset.about
    if "mtime_ns" not in about:
        return False
    path = asset.package.place.path(about["wasm"])
    now = os.stat(path)
    untouched = (about["size"], about["mtime_ns"], about.get("ctime_ns"), about.get("inode"))
    if sys.platform != "win32" and _stamp(now) == untouched:
        return False
    return not _is_the_wasm(path, now, about)


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _is_the_wasm(path: str, status: os.stat_result, about: dict[str, Any]) -> bool:
    """Say whether a file has the bytes of an asset."""
    return bool(status.st_size == about["size"] and _digest_of(path, status) == about["sha256"])


def _digest_of(path: str, status: os.stat_result) -> str:
    """Return the digest of a file. Each file is read once in a process."""
    key = (path, *_stamp(status))
    if key not in _digests:
        import hashlib

        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        _digests.setdefault(key, digest.hexdigest())
    return _digests[key]


# Why no artifact loads


def _other_settings(package: _Package, profile: str) -> str:
    """Say why this loader's engine must not get a package's artifacts; empty if it may.

    wasmtime does not check all settings.
    """
    profiles = package.manifest["profiles"]
    if package is _own() or profiles.get(profile) == _settings(profile):
        return ""
    if profile in profiles:
        return f"{package.label} was compiled with other settings for the profile {profile}"
    others = ", ".join(sorted(profiles))
    return f"{package.label} was compiled for the profile {others}, not for {profile}"


def _cause(text: str) -> str:
    """Shorten wasmtime's refusal to its cause, and explain the common ones."""
    cause = text.partition("Stack backtrace:")[0].partition("Caused by:")[2] or text
    lines = [line.strip().partition(": ") for line in cause.splitlines() if line.strip()]
    cause = ": ".join(line[2] if line[0].isdigit() else "".join(line) for line in lines)
    if "backtrace support" in cause:
        return f"the environment variable WASMTIME_BACKTRACE_DETAILS is set ({cause})"
    return cause


def _for_other_wasmtimes(engines: list[str], package: _Package) -> str:
    """Say for which versions of wasmtime there are artifacts, and what to install.

    Args:
        engines: the versions that compiled the artifacts.
        package: the package of the asset.
    """
    newest_first = sorted(dict.fromkeys(engines), key=lambda version: -int(_major(version)))
    # From wasmtime 38 on, only the major version counts.
    names = [v if int(_major(v)) < 38 else _major(v) for v in newest_first]
    installed = _wasmtime_version() or "another"
    text = f"compiled for wasmtime {_or(dict.fromkeys(names))}, installed is {installed}"
    if not package.label:  # run by `hatch-wazcache inspect`, which only asks
        return text
    newest = names[0]
    release = f"=={newest}" if "." in newest else f">={newest},<{int(newest) + 1}"
    companion = package.manifest.get("companion")
    other = f"a version of {companion['name']}" if companion else f"a release of {package.label}"
    return f"{text}; install wasmtime{release}, or {other} with artifacts for the installed one"


def _or(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _major(version: str) -> str:
    return version.partition(".")[0]


def _why_none(asset: _Asset) -> str:
    """Say why there is no artifact that wasmtime could refuse."""
    if asset.data is not None:
        return "it is no asset of an installed package"
    manifest = asset.package.manifest
    if manifest["assets"] is None:
        return "nothing was built yet; a wheel has artifacts, a checkout has none"
    companion = manifest.get("companion")
    if companion is None:
        return "the wheel has none for this system"
    name = companion["name"]
    version = _version_of(name)
    if version is None:
        left_out = _left_out(_folder_of(name))
        where = f"in this program; {left_out}" if left_out else "installed"
        return f"{name}, which has the artifacts, is not {where}"
    if version == "0":
        fits = f"this package, {_system()} and wasmtime {_wasmtime_version()}"
        return f"{name} 0 is installed, which is empty: the installer found none for {fits}"
    return f"{name} {version} is installed, but its files are not found"


# The companion


def _companion_places(package: _Package) -> Iterator[_Place]:
    """Yield the folders that the companion may have for a package: beside it, and elsewhere.

    Nothing of the companion is imported.
    """
    companion = package.manifest.get("companion")
    if companion is None or not package.folders:
        return
    root = package.place.folder
    for _ in package.folders:
        root = os.path.dirname(root)
    top = _folder_of(companion["name"])
    beside = _Place(os.path.join(root, top, *package.folders), package.place.archive)
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
        place = _Place(os.path.join(folder, *package.folders), archive)
        if place.folder != beside.folder:
            yield place


def _folder_of(companion: str) -> str:
    return companion.replace("-", "_").replace(".", "_")


def _of_companion(place: _Place, asset: _Asset, profile: str) -> tuple[list[dict[str, Any]], str]:
    """Return the artifacts of an asset in the companion, or the reason why none of them fits.

    They must come from the same `.wasm`, with the same settings. The manifests tell: no file is
    hashed. If there is no companion, there is no reason either.
    """
    name, file = asset.name, asset.package.file
    path = place.path(file)
    companion = asset.package.manifest["companion"]["name"]
    try:
        manifest = _package_at(place, file).manifest
        other = manifest["assets"].get(name)
        if other is None:
            return [], f"{companion} has no artifact of {name} ({path})"
        if other["sha256"] != asset.about["sha256"]:
            about = manifest["package"]
            of = f"{about['name']} {about['version']}"
            return [], f"{companion} is for another {name}, that of {of}: install it again"
        if manifest["profiles"].get(profile) != _settings(profile):
            return [], f"{companion} has other settings for the profile {profile} ({path})"
        artifacts, reason = _for_here(other["artifacts"], profile)
        for artifact in artifacts:
            _check_shape(place, artifact)
    except (FileNotFoundError, NotADirectoryError):
        return [], ""
    except LoadError as error:
        return [], str(error)
    except OSError as error:
        # An archive does not tell whether the file is there.
        return [], "" if place.archive else f"{path} cannot be read ({error})"
    except _DAMAGED:
        return [], f"{path} is damaged: install {companion} again"
    return artifacts, reason or ("" if artifacts else f"{companion} has none for {_system()}")


def _check_shape(place: _Place, artifact: dict[str, Any]) -> None:
    """Fail on an artifact that another distribution's manifest describes in an odd way."""
    place.path(artifact["file"])
    int(_major(artifact["wasmtime"]))
    int(artifact["size"])
    if not {"target", "profile"} <= artifact.keys():
        raise ValueError(artifact["file"])


# Engines


def _choose_profile(profile: str | None) -> str:
    """Check a profile's name, or choose the profile if there is no name."""
    profiles = _own().manifest["profiles"]
    if profile is None:
        profile = next(iter(profiles)) if len(profiles) == 1 else "default"
    if profile not in profiles:
        raise LoadError(f"there is no profile {profile}; there is {', '.join(sorted(profiles))}")
    return profile


def _settings(profile: str) -> dict[str, Any]:
    settings: dict[str, Any] = _own().manifest["profiles"][profile]
    return settings


def _engine_of(profile: str, cache: bool = False) -> Any:
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
        return _engine_of(profile)


def _config(profile: str) -> Any:
    import wasmtime

    config = wasmtime.Config()
    for setting, value in _settings(profile).items():
        attribute = setting.replace("-", "_")
        if not hasattr(type(config), attribute):
            raise LoadError(
                f"the installed wasmtime has no setting {attribute} (profile {profile})"
            )
        try:
            setattr(config, attribute, value)
        except (TypeError, ValueError, AttributeError, wasmtime.WasmtimeError) as error:
            raise LoadError(
                f"the setting {setting} cannot be {value!r} (profile {profile}): {error}"
            ) from None
    return config


def _class_of(word: str) -> Any:
    """Return wasmtime's class for a module or a component."""
    import wasmtime

    if word == "module":
        return wasmtime.Module
    try:
        from wasmtime import component
    except ImportError:
        raise LoadError("components need wasmtime 39 or later") from None
    return component.Component


# The fallback


def _fall_back(wanted: _Wanted, keep: bool, refusal: str) -> Any:
    """Return the asset as this process has compiled it, or an earlier one, or compile it now.

    Args:
        wanted: the asset, the engine and its profile.
        keep: whether the compiled code is kept for the next process.
        refusal: why no artifact loads; empty if there is none for this system.

    Raises:
        OSError: the `.wasm` cannot be read.
    """
    from threading import RLock

    asset, kind = wanted.asset, wanted.kind
    known = asset.about.get("sha256")
    wasm = asset.read_wasm() if known is None or _has_changed(asset) else None
    digest = _sha256(wasm) if wasm is not None else str(known)
    compiled = _compiled_with(wanted.engine)
    # A forked child has another process number, so it never waits for a lock of its parent.
    with _locks.setdefault((os.getpid(), digest), RLock()):
        loaded = compiled.get((digest, kind))
        if loaded is not None and not _is_closed(loaded):
            return loaded
        file = _kept_file(wanted, digest) if keep else None
        loaded = _load_kept(wanted, file) if file else None
        if loaded is None:
            wasm = asset.read_wasm() if wasm is None else wasm
            if refusal and _is_first("compiled", asset.shown, wanted.profile):
                _warn(f"{asset.shown} is compiled now, which takes time: {refusal}")
            loaded = _compile(wanted, wasm)
            if file and _sha256(wasm) == digest:
                _keep(asset.shown, file, loaded.serialize())
        compiled[digest, kind] = loaded
        return loaded


def _compiled_with(engine: Any) -> dict[tuple[str, Any], Any]:
    """Return what this process has compiled for an engine. It is forgotten with the engine."""
    if not _compiled:
        from weakref import WeakKeyDictionary

        _compiled.setdefault("", WeakKeyDictionary())
    found: dict[tuple[str, Any], Any] = _compiled[""].setdefault(engine, {})
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


def _compile(wanted: _Wanted, wasm: bytes) -> Any:
    """Compile a `.wasm`, also in a process that lacks wasmtime's threads.

    Raises:
        LoadError: it is such a process, and only a thread could make the code for the engine.
    """
    kind, engine = wanted.kind, wanted.engine
    if not _is_forked():
        return kind(engine, wasm)
    # If the parent has compiled something, wasmtime's threads exist in the parent only, and this
    # process would wait for them forever. An engine that uses no threads makes the same code.
    single = _single_threaded(wanted.profile)
    if _fingerprint(engine) == _fingerprint(single):
        return kind.deserialize(engine, kind(single, wasm).serialize())
    if _threads_answer():
        return kind(engine, wasm)
    raise LoadError(
        f"{wanted.asset.shown} cannot be compiled in this process: it was forked from one that had "
        "compiled something, and wasmtime's threads stayed there. Load it before the fork; or "
        "start the process with spawn or forkserver; or use engine(profile) instead of your own "
        "engine"
    )


def _single_threaded(profile: str) -> Any:
    """Return an engine with a profile's settings that compiles without threads."""
    import wasmtime

    config = _config(profile)
    config.parallel_compilation = False
    return wasmtime.Engine(config)


def _fingerprint(engine: Any) -> bytes:
    """Return bytes that are the same for engines that make the same code.

    wasmtime writes its major version, the CPU and all settings into what it compiles, also the
    settings that it does not check when it loads that. An empty module needs no threads, but
    starts them. So an engine of this loader is asked through one that has none.
    """
    import wasmtime

    for (profile, _), ours in list(_engines.items()):
        if engine is ours:
            engine = _single_threaded(profile)
    return bytes(wasmtime.Module(engine, _EMPTY).serialize())


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

        engine = wasmtime.Engine()
        probe = threading.Thread(target=wasmtime.Module, args=(engine, _TWO_FUNCTIONS), daemon=True)
        probe.start()
        for _ in range(40):  # ten seconds of waiting, in steps: the process may be stopped
            if probe.is_alive():
                probe.join(0.25)
        _probes.setdefault(process, not probe.is_alive())
    return _probes[process]


# The files that the fallback keeps


def _kept_file(wanted: _Wanted, digest: str) -> str | None:
    """Return the file for the code of an asset. If there can be none, warn and return None.

    Its name is a digest of all that decides the code: the `.wasm`, the exact version of wasmtime,
    the settings of the engine and the CPU.
    """
    name, version = wanted.asset.shown, _wasmtime_version()
    if not version:
        _not_kept(name, "the installed wasmtime has no metadata, so its version is unknown")
        return None
    try:
        folder = _kept_folder()
    except OSError as error:
        _not_kept(name, f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return None
    key = f"{digest} {wanted.kind.__name__} {version} ".encode() + _fingerprint(wanted.engine)
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


def _load_kept(wanted: _Wanted, path: str) -> Any:
    """Load compiled code that an earlier process kept. Return None if there is none that loads."""
    import time

    import wasmtime

    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        _check_writer(path, is_parent=False)
        loaded = _deserialize(wanted, _Place(os.path.dirname(path)), os.path.basename(path))
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


# The assets of this package


def _find(name: Any, foreign: bool = False) -> _Asset:
    """Return an asset, of this package or of another.

    A str that is an asset's name means the asset. Every other path must lead to an asset, and a
    relative one starts at the current folder.

    Args:
        name: the name or path.
        foreign: treat a file that is no asset like one.
    """
    own = _own()
    known = _known(own)
    path = os.fspath(name) if isinstance(name, os.PathLike) else str(name)
    found = _own_name(name, path, known)
    if found is not None:
        return _Asset(own, found, found, known[found])
    other, problem = _find_elsewhere(path)
    if other is not None:
        return other
    if foreign:
        return _foreign(name, path, problem)
    raise LoadError(_none_found(name, path, known, problem))


def _none_found(name: Any, path: str, known: Iterable[str], problem: str) -> str:
    """Say that there is no such asset, and what the caller may have meant."""
    message = f"there is no asset {name}"
    if known:
        message += f"; there is {', '.join(sorted(known))}"
    if problem:
        message += f". {problem}"
    as_name = _in_manifest(path)
    if os.path.isfile(path):
        message += f". To compile the file {os.path.abspath(path)}, pass foreign=True"
    elif as_name in known:
        message += f". A relative path starts at the current folder: pass {as_name!r}, a str"
    return message


def _own_name(name: Any, path: str, known: dict[str, dict[str, Any]]) -> str | None:
    """Return the name of this package's asset that the caller means, if there is one."""
    as_name = _in_manifest(path)
    if isinstance(name, str) and as_name in known:
        if "/" in as_name:
            _refuse_another_file(path, as_name, known[as_name])
        return as_name
    found = (_name_among(known, spelling) for spelling in _names_of_path(path))
    return next(filter(None, found), None)


def _name_among(known: dict[str, dict[str, Any]], path: str) -> str | None:
    """Return the name of the asset that has a path in its package, if there is one."""
    if path in known:
        return path
    for name, about in known.items():
        if path == about["wasm"]:  # an editable install may have it elsewhere
            return name
    return None


def _names_of_path(path: str) -> Iterator[str]:
    """Yield the names that the manifest may have for a file: its paths relative to this package.

    This package may lie behind a symbolic link, and the caller may have resolved the path.
    """
    for resolve in (os.path.abspath, os.path.realpath):
        try:
            relative = os.path.relpath(resolve(path), os.path.dirname(resolve(_FILE)))
        except ValueError:  # it is on another drive, or cannot be encoded
            continue
        yield _in_manifest(relative)


def _refuse_another_file(path: str, name: str, about: dict[str, Any]) -> None:
    """Raise an error if an asset's name is also the path of a file with other bytes.

    A program passes on the paths that its users give it: the asset would run in place of the file.
    """
    if not os.path.isfile(path):
        return
    try:
        if "sha256" in about:
            same = _is_the_wasm(os.path.abspath(path), os.stat(path), about)
        else:
            same = os.path.samefile(path, _own().place.path(about["wasm"]))
    except OSError:
        same = False
    if not same:
        raise LoadError(
            f"{name} is an asset's name, and also another file, {os.path.abspath(path)}. For the "
            f"asset, pass its full path, {_own().place.path(name)}. To compile the file, pass its "
            "full path, with foreign=True"
        )


def _foreign(name: Any, path: str, problem: str) -> _Asset:
    """Return a file that is no asset, so that it can be compiled and kept like one."""
    try:
        if os.path.isfile(path) or not hasattr(name, "read_bytes"):
            with open(path, "rb") as file:
                data = file.read()
        else:
            data = name.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise LoadError(f"{name} is no asset, and no file that can be read ({error})") from None
    own = _own()
    no_folders = _Package(own.place, own.file, own.manifest)  # so the companion has nothing for it
    about = {"kind": _kind_in(data[:8]), "wasm": path, "artifacts": []}
    path = os.path.abspath(path)
    return _Asset(no_folders, path, path, about, data, problem)


def _own() -> _Package:
    """Return this package."""
    if () not in _packages:
        place, folders = _own_place(), tuple(__name__.split(".")[:-1])
        label = ".".join(folders)
        manifest = _own_manifest(place, label)
        _packages.setdefault((), _Package(place, _MANIFEST, manifest, folders, label))
    return _packages[()]


def _own_place() -> _Place:
    """Return the folder of this package."""
    folder = os.path.dirname(_FILE)
    if os.path.isdir(folder) or not hasattr(__spec__.loader, "get_data"):
        return _Place(folder)
    # Not that folder: an archive knows its files by the path that it was imported from.
    return _Place(os.path.dirname(__file__), __spec__.loader)


def _own_manifest(place: _Place, label: str) -> dict[str, Any]:
    """Return the manifest of this package, or what one would say in a checkout."""
    try:
        return _read_manifest(place, _MANIFEST)
    except (OSError, ValueError) as error:
        problem = error
    left_out = _left_out(label)
    if isinstance(problem, FileNotFoundError) and not left_out and _is_checkout(place):
        return _of_checkout(place.folder)
    path = os.path.join(os.path.dirname(_FILE), _MANIFEST)
    who = left_out or (
        "`hatch-wazcache compile` adds it to a finished wheel; "
        "hatch-wazcache writes it when it builds this package"
    )
    raise LoadError(f"{path} cannot be read ({problem}); {who}")


def _read_manifest(place: _Place, file: str) -> dict[str, Any]:
    import json

    manifest = json.loads(place.read(file))
    if not isinstance(manifest, dict) or manifest.get("schema") != _SCHEMA:
        raise LoadError(f"{place.path(file)} is of another version of hatch-wazcache than {_FILE}")
    return manifest


def _known(package: _Package) -> dict[str, dict[str, Any]]:
    """Return what is known about the assets of a package, by their names."""
    known: dict[str, dict[str, Any]] | None = package.manifest["assets"]
    return _wasm_files(package.place.folder) if known is None else known


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


# A checkout that was never built: the loader is committed, and there is no manifest


def _is_checkout(place: _Place) -> bool:
    """Say whether this package is not installed, so it may have no manifest."""
    name = os.path.basename(_FILE)
    return not place.archive and not any(
        _is_recorded(root, None, [_in_manifest("/".join((*folders, name)))])
        for folders, root in _import_folders(place.folder)
    )


def _of_checkout(folder: str) -> dict[str, Any]:
    """Return what a manifest would say, from the pyproject.toml of a checkout."""
    options, where = _options_above(folder)
    profiles = options.get("profiles") or {"default": {}}
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise LoadError(f"{where}: the profiles of wazcache are not tables")
    for name, settings in profiles.items():
        if "cache" in settings:  # it would name a folder of native code; a build refuses it, too
            raise LoadError(f"{where}: profiles.{name}.cache: there is no such setting")
    return {
        "assets": None,
        "profiles": {
            name: {key: settings[key] for key in settings if key not in _COMPILER_ONLY}
            for name, settings in profiles.items()
        },
        "fallback": options.get("fallback", "cache"),
    }


def _options_above(folder: str) -> tuple[dict[str, Any], str]:
    """Return the options of the nearest pyproject.toml above a folder, and its path."""
    path, text = _pyproject_above(folder)
    if "wazcache" not in text:
        return {}, path
    reader = _toml_reader()
    if reader is None:
        if "profiles" not in text:
            return {}, path
        raise LoadError(
            f"{path} may have profiles of wazcache, and this Python cannot read it: install tomli"
        )
    try:
        read = reader.loads(text)
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{path} cannot be read ({error})") from None
    for name in _TABLES:
        table: Any = read
        for key in name.split("."):
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            return table, path
    return {}, path


def _pyproject_above(folder: str) -> tuple[str, str]:
    """Return the path and the text of the nearest pyproject.toml; empty if there is none.

    That of another user, such as one in /tmp, is none of this checkout.
    """
    path = os.path.join(folder, "pyproject.toml")
    while not os.path.isfile(path):
        parent = os.path.dirname(folder)
        if parent == folder:
            return "", ""
        folder, path = parent, os.path.join(parent, "pyproject.toml")
    if sys.platform != "win32":
        owners = (0, os.geteuid(), os.stat(_FILE).st_uid)
        if os.stat(path).st_uid not in owners:
            return path, ""
    try:
        with open(path, encoding="utf-8") as file:
            return path, file.read()
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} cannot be read ({error})") from None


def _toml_reader() -> Any:
    """Return a module that reads TOML, or None if there is none."""
    from importlib import import_module

    for name in ("tomllib", "tomli"):
        try:
            return import_module(name)
        except ImportError:
            pass
    return None


def _wasm_files(folder: str) -> dict[str, dict[str, Any]]:
    """Return the `.wasm` files of a checkout as its assets. They may change at any time."""
    known = {}
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        for file in files:
            if file.endswith(".wasm"):
                path = os.path.join(above, file)
                name = _in_manifest(os.path.relpath(path, folder))
                known[name] = {"kind": _kind_of(path), "wasm": name, "artifacts": []}
    return known


def _kind_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return _kind_in(file.read(8))
    except OSError:  # to load it will say why
        return "module"


def _kind_in(begin: bytes) -> str:
    return "component" if begin == b"\0asm\x0d\0\1\0" else "module"


# Assets of other packages


def _find_elsewhere(path: str) -> tuple[_Asset | None, str]:
    """Find the asset of another package that a path leads to.

    An artifact is native code. So only a manifest that is installed with the `.wasm` and the
    artifacts is used, and none that came with a file from elsewhere.

    Returns:
        The asset; or None, and a message if there is a manifest that is not used.
    """
    problem = ""
    for place, file, name in _manifests_above(path):
        try:
            asset = _of_other(place, file, name)
        except LoadError as error:
            problem = problem or str(error)
        else:
            if asset is not None and _leads_to(path, asset):
                return asset, ""
    return None, problem


def _manifests_above(path: str) -> Iterator[tuple[_Place, str, str]]:
    """Yield the folders above a path that may have a manifest, its name, and the path from there.

    An archive does not tell whether it has the file.
    """
    for whole in _spellings(path):
        folder = os.path.dirname(whole)
        while folder != os.path.dirname(folder):
            place = _Place(folder, _archive_of(folder))
            for file in dict.fromkeys((_MANIFEST, _DEFAULT_MANIFEST)):
                if place.archive or os.path.isfile(place.path(file)):
                    yield place, file, _in_manifest(os.path.relpath(whole, folder))
            folder = os.path.dirname(folder)


def _spellings(path: str) -> Iterable[str]:
    """Return a path as the caller means it, and without its symbolic links.

    Some installers link each file to their own cache, so the folder alone is resolved, too.
    """
    try:
        whole = os.path.abspath(path)
        folder = os.path.realpath(os.path.dirname(whole))
        named = os.path.join(folder, os.path.basename(whole))
        return dict.fromkeys((whole, named, os.path.realpath(path)))
    except ValueError:  # it cannot be encoded
        return ()


def _archive_of(folder: str) -> Any:
    """Return the reader of the archive on the import path that holds a folder; None on disk."""
    if os.path.isdir(folder):
        return None
    for _, root in _import_folders(folder):
        reader = sys.path_importer_cache.get(root)
        if hasattr(reader, "get_data"):
            return reader
    return None


def _leads_to(path: str, asset: _Asset) -> bool:
    """Say whether a path is that of an asset, as the system follows it."""
    wasm = asset.about["wasm"]
    if wasm is None or asset.package.place.archive:
        return True
    try:
        return os.path.samefile(path, asset.package.place.path(wasm))
    except OSError:
        return False


def _of_other(place: _Place, file: str, name: str) -> _Asset | None:
    """Return the asset that a manifest has for a file, or None if it has none.

    Args:
        place: the folder of the manifest.
        file: its name.
        name: the path of the `.wasm` from there.

    Raises:
        LoadError: the manifest may not be used.
    """
    try:
        for folders, root in _origins(place.folder):
            package = _package_at(place, file, folders)
            known = _name_among(_known(package), name)
            if known is None:
                return None
            about = package.manifest["assets"][known]
            _check_asset(package, about)
            wasm = [] if about["wasm"] is None else [about["wasm"]]
            files = [file, *wasm, *(artifact["file"] for artifact in about["artifacts"])]
            if _is_trusted(package, root, files):
                return _Asset(package, known, "/".join((*folders, known)), about)
    except (OSError, *_DAMAGED) as error:
        if place.archive:  # it does not tell whether it has the file
            return None
        raise LoadError(f"{place.path(file)} is not used: it is damaged ({error!r})") from None
    raise LoadError(
        f"{place.path(file)} is not used: no installed distribution has it, the .wasm and the "
        "artifacts"
    )


def _package_at(place: _Place, file: str, folders: tuple[str, ...] = ()) -> _Package:
    """Return a package with a manifest, which is read once in a process."""
    key = (place.folder, file, *folders)
    if key not in _packages:
        manifest = _read_manifest(place, file)
        label = str(manifest.get("distribution") or ".".join(folders))
        _packages.setdefault(key, _Package(place, file, manifest, folders, label))
    return _packages[key]


def _check_asset(package: _Package, about: dict[str, Any]) -> None:
    """Fail on a manifest of another package that lacks what loading an asset needs."""
    manifest = package.manifest
    manifest["profiles"].keys()
    if manifest.get("companion") is not None:
        _folder_of(manifest["companion"]["name"])
    if about["kind"] not in ("module", "component") or not isinstance(about["sha256"], str):
        raise ValueError(about["kind"])
    for artifact in about["artifacts"]:
        _check_shape(package.place, artifact)


def _origins(folder: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield how Python imports a package from a folder.

    Yields:
        The names of the folders from the import path to the package; and the entry of the import
        path, empty if the code of the package was imported from there in any way.
    """
    yield from _import_folders(folder)
    if module := _imported_from(folder):
        yield tuple(module.split(".")), ""


def _is_trusted(package: _Package, root: str, files: list[str]) -> bool:
    """Say whether a package is installed together with some of its files.

    Args:
        package: the package.
        root: where it is imported from, as `_origins` says.
        files: the manifest, the `.wasm` and the artifacts, by their paths in the package.
    """
    if package.place.archive:  # nobody downloads a file into an archive of code
        return True
    distribution = package.manifest.get("distribution")
    if root:
        return (
            isinstance(distribution, str)
            and _is_installed(root, distribution, package, files)
            and (not _may_be_unpacked_by_chance(root) or bool(_imported_from(package.place.folder)))
        )
    if _freezer():  # its code is part of this program
        return not any(".." in file.split("/") for file in files)
    return isinstance(distribution, str) and _is_editable(distribution, package, files)


def _may_be_unpacked_by_chance(root: str) -> bool:
    """Say whether a folder of the import path may be one where a user keeps downloads.

    `python -m` puts the current folder first, and a script its own folder. Something may be
    unpacked there, with a RECORD of its own. Once Python has imported code of it, it does not
    matter.
    """
    folders = sys.path[:1]
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script:  # it may have put other entries first
        folders.append(os.path.dirname(os.path.abspath(script)))
    try:
        folders.append(os.getcwd())
    except OSError:  # it was removed
        pass
    return os.path.realpath(root) in map(os.path.realpath, folders)


def _is_installed(root: str, distribution: str, package: _Package, files: list[str]) -> bool:
    """Say whether the RECORD of a package's distribution lists files of the package."""
    from posixpath import normpath

    folder = _in_manifest("/".join(package.folders))
    return _is_recorded(root, distribution, [normpath(f"{folder}/{file}") for file in files])


def _is_editable(distribution: str, package: _Package, files: list[str]) -> bool:
    """Say whether a package and some of its files belong to an editable install.

    Its code was imported already. Its distribution is installed, and names the project's folder.
    """
    paths = [os.path.realpath(package.place.path(file)) for file in files]
    for root in _import_path():
        for text in _texts_of(root, distribution, "direct_url.json"):
            project = _editable_project(text)
            if project and all(path.startswith(project) for path in paths):
                return True
    return False


def _editable_project(text: bytes) -> str:
    """Return the folder of the project that is installed editable, with a separator at the end.

    Args:
        text: the content of direct_url.json.
    """
    import json
    from urllib.parse import unquote

    about = json.loads(text)
    scheme, _, path = about["url"].partition("://")
    if scheme != "file" or not about.get("dir_info", {}).get("editable"):
        return ""
    if sys.platform == "win32":  # /C:/project; or server/share/project
        path = path.lstrip("/") if path.startswith("/") else f"//{path}"
    path = unquote(path)
    return os.path.join(os.path.realpath(path), "")


def _imported_from(folder: str) -> str | None:
    """Return the name of the package whose code was imported from a folder, if there is one."""
    real = os.path.normcase(os.path.realpath(folder))
    for name in list(sys.modules):
        if name.rpartition(".")[2] == os.path.basename(folder):
            path = getattr(sys.modules.get(name), "__file__", None) or ""
            at, file = os.path.split(path)
            if file.startswith("__init__.") and os.path.normcase(os.path.realpath(at)) == real:
                return name
    return None


# What is installed


def _import_folders(folder: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the entries of the import path above a folder, after the names from there to it."""
    for root in _import_path():
        for above in dict.fromkeys((root, os.path.realpath(root))):
            begin = os.path.join(above, "")
            if os.path.normcase(folder).startswith(os.path.normcase(begin)):
                yield tuple(folder[len(begin) :].split(os.sep)), root


def _import_path() -> Iterator[str]:
    """Yield the entries of the import path. A relative one is another in each current folder."""
    for root in sys.path:
        if isinstance(root, str) and os.path.isabs(root):
            yield root


def _is_recorded(root: str, distribution: str | None, paths: list[str]) -> bool:
    """Say whether one RECORD lists some files.

    Args:
        root: the folder of the import path.
        distribution: whose RECORD; None for any.
        paths: the files, from that folder, with forward slashes.
    """
    begins = [_record_line(path) for path in paths]
    return any(
        all(begin in b"\n" + record for begin in begins)
        for record in _texts_of(root, distribution, "RECORD")
    )


def _record_line(path: str) -> bytes:
    """Return how the line of a file in RECORD begins, with the end of the line before."""
    if any(character in path for character in ',"\r\n'):
        path = '"' + path.replace('"', '""') + '"'
    return f"\n{path},".encode()


def _texts_of(root: str, distribution: str | None, file: str) -> Iterator[bytes]:
    """Yield the content of a file in the `.dist-info` folder of a distribution, if it is there.

    Args:
        root: the folder of the import path.
        distribution: the name; None for each distribution.
        file: the name of the file.
    """
    plain = None if distribution is None else _plain_name(distribution)
    # The second time for a package that was installed since Python has listed the folder.
    for name in (name for fresh in (False, True) for name in _names_in(root, fresh)):
        stem, end = name[:-10], name[-10:]
        if end == ".dist-info" and plain in (None, _plain_name(stem.rpartition("-")[0])):
            try:
                yield _Place(root).read(f"{name}/{file}")
            except OSError:
                continue


def _names_in(folder: str, fresh: bool = False) -> Iterable[str]:
    """Return the names in a folder of the import path.

    The finder that has imported something from there knows them. Listing a large folder again takes
    longer than loading an artifact.
    """
    finder = None if fresh else sys.path_importer_cache.get(folder)
    try:
        return getattr(finder, "_path_cache", None) or os.listdir(folder)
    except OSError:
        return []


def _plain_name(distribution: str) -> str:
    """Return the name of a distribution in the form that all its spellings have."""
    import re

    return re.sub("[-_.]+", "-", distribution).lower()


def _version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution. That takes time, so only errors ask."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _wasmtime_version() -> str | None:
    """Return the exact version of the installed wasmtime, if it can be known."""
    return _wasmtime_by_folder() or _version_of("wasmtime")


def _wasmtime_by_folder() -> str:
    """Return the version of the installed wasmtime, by the name of its `.dist-info` folder.

    It is empty if that is not known: in an archive, or if there are folders of several versions.
    importlib.metadata knows more, but needs ten times as long as loading an artifact.
    """
    import wasmtime

    folder = os.path.dirname(os.path.dirname(wasmtime.__file__ or ""))
    if folder not in _installed:
        begin, end = "wasmtime-", ".dist-info"
        names = _names_in(folder)
        found = [name for name in names if name.startswith(begin) and name.endswith(end)]
        version = found[0][len(begin) : -len(end)] if len(found) == 1 else ""
        _installed.setdefault(folder, version)
    return _installed[folder]


def _left_out(package: str) -> str:
    """Say that a freezer left out the files of a package, and how to call it; empty if none did."""
    freezer = _freezer()
    options = {
        "PyInstaller": f"--collect-data {package}, or install hatch-wazcache beside it, "
        "which has a hook",
        "Nuitka": f"--include-package-data={package}",
        "cx_Freeze": f"--packages={package}",
    }
    return f"{freezer} left it out: call it with {options[freezer]}" if freezer else ""


def _freezer() -> str:
    """Return the program that made this Python program a single one; empty if none did."""
    if "__compiled__" in globals():
        return "Nuitka"
    if getattr(sys, "frozen", False):
        return "PyInstaller" if hasattr(sys, "_MEIPASS") else "cx_Freeze"
    return ""


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


# Warnings


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
