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
system, which takes a millisecond. wasmtime itself checks version, architecture, CPU and settings.
If it refuses every artifact, the `.wasm` is compiled here, which is slow, and a warning gives the
reason.

    from wasmtime import Store
    from gofmt._wazcache import engine, load_module

    module = load_module("gofmt.wasm")
    store = Store(engine())  # a plain Store() has an engine of its own, which wasmtime refuses
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    import wasmtime
    import wasmtime.component

    class ResourceFile(Protocol):
        """A file of `importlib.resources`. In a zip file it is no path."""

        def is_file(self) -> bool: ...

        def read_bytes(self) -> bytes: ...


__all__ = ["LoadError", "Status", "assets", "engine", "load_component", "load_module", "status"]

_FILE = os.path.abspath(__file__)
_FOLDER = os.path.dirname(_FILE)
_PROCESS = os.getpid()
_NONE_HERE = "the wheel has none for this system"

# Filled with setdefault, which needs no lock: a lock held during a fork stays locked in the child.
_digests: dict[tuple[Any, ...], str] = {}
_engines: dict[tuple[str, bool], Any] = {}
_manifests: dict[str, dict[str, Any]] = {}
_warned: dict[tuple[str, str], object] = {}


class LoadError(Exception):
    """An asset cannot be loaded in the way that the caller asked for. The message says why."""


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
) -> wasmtime.Module:
    """Load a module.

    Args:
        name: the asset's name, which is its path in this package; or a path to it, also one of
            importlib.resources.
        engine: your own engine, which must have the settings of the profile. The default is
            `engine(profile)`.
        profile: the name of one of the asset's profiles. The default is `default`, or the only
            profile of this package.
        strict: raise an error instead of compiling the `.wasm`.

    Raises:
        LoadError: there is no such asset or profile; the asset is a component; no artifact loads
            and there is no `.wasm` to compile, or `strict` forbids it.
        wasmtime.WasmtimeError: wasmtime cannot compile the `.wasm`.
    """
    module: wasmtime.Module = _load(name, "module", engine, profile, strict)
    return module


def load_component(
    name: str | os.PathLike[str] | ResourceFile,
    engine: wasmtime.Engine | None = None,
    *,
    profile: str | None = None,
    strict: bool = False,
) -> wasmtime.component.Component:
    """Load a component, as `load_module` loads a module. Needs wasmtime 39 or later."""
    component: wasmtime.component.Component = _load(name, "component", engine, profile, strict)
    return component


def engine(profile: str | None = None, cache: bool = False) -> wasmtime.Engine:
    """Return the engine with a profile's settings. A process has one for each profile.

    Args:
        profile: a profile's name. The default is `default`, or the only profile of this package.
        cache: turn on wasmtime's own compilation cache, which helps assets that are compiled here.
            wasmtime writes to the user's cache folder. If it cannot, there is a warning and no
            cache.

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
    loaded, found = _load_artifact(asset, kind, engine or _engine(profile), profile)
    if loaded is not None:
        return Status(name, profile, True, found, None)
    return Status(name, profile, False, None, found or _NONE_HERE)


def assets() -> list[str]:
    """Return the names of the assets in this package."""
    return sorted(_manifest()["assets"])


def _load(name: Any, wanted: str, engine_: Any, profile: str | None, strict: bool) -> Any:
    name, asset = _find(name)
    profile = _profile(profile)
    if asset["kind"] != wanted:
        raise LoadError(f"{name} is a {asset['kind']}: use load_{asset['kind']}")
    kind = _kind(wanted)
    if engine_ is None:
        engine_ = _engine(profile)
    loaded, refusal = _load_artifact(asset, kind, engine_, profile)
    if loaded is not None:
        return loaded
    reason = refusal or _NONE_HERE
    if strict:
        raise LoadError(f"{name} is not precompiled (strict): {reason}")
    if asset["wasm"] is None:
        raise LoadError(f"{name} cannot be loaded, and there is no .wasm to compile: {reason}")
    try:
        wasm = _read(asset["wasm"])
    except OSError as error:
        raise LoadError(
            f"{name} cannot be loaded, and its .wasm cannot be read ({error}): {reason}"
        ) from None
    first = object()
    if refusal and _warned.setdefault((name, profile), first) is first:
        warnings.warn(f"{name} is compiled now, which takes time: {reason}", stacklevel=3)
    return _compile(kind, engine_, wasm, profile)


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
    asset: dict[str, Any], kind: Any, engine_: Any, profile: str
) -> tuple[Any, str | None]:
    """Load the first artifact that wasmtime accepts.

    Returns:
        The module or component, and the artifact's path. If no artifact loads: None and the
        reasons, or None twice if the wheel has no artifact for this system.
    """
    system = _system()
    for_system = [artifact for artifact in asset["artifacts"] if artifact["target"] == system]
    candidates = [artifact for artifact in for_system if artifact["profile"] == profile]
    if for_system and not candidates:
        others = ", ".join(sorted({artifact["profile"] for artifact in for_system}))
        return None, f"it was compiled for the profile {others}, not for {profile}"
    reasons = []
    for artifact in candidates:
        loaded, reason = _deserialize(artifact, asset, kind, engine_)
        if loaded is not None:
            return loaded, _path(artifact["file"])
        reasons.append(f"{artifact['file']}: {reason}")
    return None, "; ".join(reasons) or None


def _deserialize(
    artifact: dict[str, Any], asset: dict[str, Any], kind: Any, engine_: Any
) -> tuple[Any, str]:
    """Load one artifact. Return it and an empty text, or None and the reason."""
    import wasmtime

    path = _path(artifact["file"])
    try:
        if _has_changed(asset):
            again = "install the project again, or run `hatch-wazcache install`"
            return None, f"the .wasm has changed since; {again}"
        if not os.path.isfile(path) and not _in_archive():
            return None, "it is not a file" if os.path.exists(path) else "the file is missing"
        return _from_file_or_memory(artifact["file"], path, kind, engine_), ""
    except wasmtime.WasmtimeError as error:
        size = os.path.getsize(path) if os.path.isfile(path) else artifact["size"]
        if size != artifact["size"]:
            return None, f"it is damaged: it has {size} bytes, not {artifact['size']}"
        cause = _cause(str(error))
        if "ersion" in cause:
            return None, _another_version(artifact["wasmtime"], cause)
        return None, cause
    except OSError as error:
        return None, str(error)


def _from_file_or_memory(file: str, path: str, kind: Any, engine_: Any) -> Any:
    import wasmtime

    if os.path.isfile(path) and not _is_short_of_files():
        try:
            return kind.deserialize_file(engine_, path)
        except UnicodeEncodeError:
            pass  # wasmtime needs a path in UTF-8
        except wasmtime.WasmtimeError as error:
            if "memory executable" not in str(error):  # a file system mounted noexec
                raise
    return kind.deserialize(engine_, _read(file))


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


def _another_version(wanted: str, cause: str) -> str:
    from importlib import metadata

    try:
        installed = metadata.version("wasmtime")
    except metadata.PackageNotFoundError:
        installed = "another"
    cause = f"compiled for wasmtime {wanted}, installed is {installed} ({cause})"
    return cause + _what_to_install(wanted)


def _what_to_install(wanted: str) -> str:
    package = __name__.rpartition(".")[0]
    if not package:  # run by `hatch-wazcache inspect`, which only asks
        return ""
    major = int(wanted.partition(".")[0])
    return (
        f"; install wasmtime>={major},<{major + 1}, or a release of {package} with artifacts for "
        "the installed one"
    )


# Engines


def _compile(kind: Any, engine_: Any, wasm: bytes, profile: str) -> Any:
    if os.getpid() != _PROCESS:
        # This process was forked. If the parent has compiled something, wasmtime's threads exist
        # in the parent only, and compiling here would wait for them forever. So compile with an
        # engine that uses no threads: it makes the same code.
        import wasmtime

        config = _config(profile)
        config.parallel_compilation = False
        try:
            code = kind(wasmtime.Engine(config), wasm).serialize()
            return kind.deserialize(engine_, code)
        except wasmtime.WasmtimeError:
            pass  # the caller's own engine has other settings
    return kind(engine_, wasm)


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
        warnings.warn(f"wasmtime's cache cannot be used: {_cause(str(error))}", stacklevel=4)
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


def _manifest() -> dict[str, Any]:
    path = os.path.splitext(_FILE)[0] + ".json"
    if path not in _manifests:
        import json

        try:
            manifest = json.loads(_read(os.path.basename(path)))
        except (OSError, ValueError) as error:
            raise LoadError(f"{path} cannot be read ({error}); {_who_left_it_out()}") from None
        if not isinstance(manifest, dict) or manifest.get("schema") != 2:
            raise LoadError(f"{path} is of another version of hatch-wazcache than {_FILE}")
        _manifests[path] = manifest
    return _manifests[path]


def _who_left_it_out() -> str:
    """Say which program should have put a file here, and how to call that program."""
    package = __name__.rpartition(".")[0]
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
        return "hatch-wazcache writes it when it builds this package"
    return f"{freezer} left it out: call it with {options[freezer]}"


def _read(file: str) -> bytes:
    """Read a file of this package, from its folder or from the archive that holds the package."""
    if _in_archive():
        # Not _FILE: an archive knows its files by the path that it was imported from.
        path = os.path.join(os.path.dirname(__file__), *file.split("/"))
        data: bytes = __spec__.loader.get_data(path)  # type: ignore[union-attr]
        return data
    with open(_path(file), "rb") as opened:
        return opened.read()


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


def _in_archive() -> bool:
    return not os.path.isdir(_FOLDER) and hasattr(__spec__.loader, "get_data")


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
