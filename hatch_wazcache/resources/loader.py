# The loader of hatch-wazcache: generated into this package, do not edit.
"""Loads this package's WebAssembly, precompiled where that is possible.

A wheel holds each `.wasm` and artifacts of it, compiled when the wheel was built. `load_module` and
`load_component` ask wasmtime to load an artifact that fits this system, which takes a
millisecond; wasmtime itself checks version, architecture, CPU and settings. If it refuses them all,
the `.wasm` is compiled, which takes as long as it takes, and a warning says why.
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
        """A file as `importlib.resources` gives it, also one in a zip file, which is no path."""

        def is_file(self) -> bool: ...

        def read_bytes(self) -> bytes: ...


__all__ = ["LoadError", "Status", "assets", "engine", "load_component", "load_module", "status"]

_FILE = os.path.abspath(__file__)
_FOLDER = os.path.dirname(_FILE)
_PROCESS = os.getpid()
_NONE_HERE = "the wheel has none for this system"

# Filled with setdefault, which needs no lock: a lock held during a fork is held in the child.
_engines: dict[tuple[str, bool], Any] = {}
_manifests: dict[str, dict[str, Any]] = {}
_warned: dict[tuple[str, str], object] = {}


class LoadError(Exception):
    """An asset cannot be loaded as it was asked for; the message says why."""


class Status(NamedTuple):
    """How an asset loads on this system."""

    name: str
    profile: str
    precompiled: bool
    artifact: str | None
    """The artifact's path, if one loads."""
    reason: str | None
    """Why none loads, if none does."""


def load_module(
    name: str | os.PathLike[str] | ResourceFile, engine: wasmtime.Engine | None = None, *,
    profile: str = "default", strict: bool = False,
) -> wasmtime.Module:  # fmt: skip
    """Load a module.

    Args:
        name: the asset's path in this package, or a path to it, as of importlib.resources.
        engine: your own, with the settings of the profile; by default the one of `engine(profile)`.
        profile: which of the asset's profiles.
        strict: raise where the `.wasm` would have to be compiled.

    Raises:
        LoadError: there is no such asset or profile, it is a component, it neither loads nor is
            there to be compiled, or `strict` says no.
        wasmtime.WasmtimeError: it was compiled here, and wasmtime refuses it.
    """
    return _load(name, "module", engine, profile, strict)  # type: ignore[no-any-return]


def load_component(
    name: str | os.PathLike[str] | ResourceFile, engine: wasmtime.Engine | None = None, *,
    profile: str = "default", strict: bool = False,
) -> wasmtime.component.Component:  # fmt: skip
    """Load a component; as `load_module` loads a module. Needs wasmtime 39 or later."""
    return _load(name, "component", engine, profile, strict)  # type: ignore[no-any-return]


def engine(profile: str = "default", cache: bool = False) -> wasmtime.Engine:
    """Return the engine with a profile's settings: one per process, shared by all who ask.

    Args:
        profile: a profile's name.
        cache: turn on wasmtime's own compilation cache, for assets that have to be compiled here.
            It writes to the user's cache folder; where that fails, there is a warning and no cache.

    Raises:
        LoadError: there is no such profile, or this wasmtime lacks one of its settings.
    """
    return _engine(profile, cache)  # type: ignore[no-any-return]


def status(
    name: str | os.PathLike[str] | ResourceFile, engine: wasmtime.Engine | None = None, *,
    profile: str = "default",
) -> Status:  # fmt: skip
    """Tell whether an asset loads precompiled, by which artifact, and why not. Compiles nothing.

    Raises:
        LoadError: there is no such asset or profile.
    """
    asset, about = _asset(name)
    try:
        kind = _kind(about["kind"])
    except LoadError as error:
        return Status(asset, profile, False, None, str(error))
    loaded, found = _precompiled(about, kind, engine or _engine(profile), profile)
    if loaded is not None:
        return Status(asset, profile, True, found, None)
    return Status(asset, profile, False, None, found or _NONE_HERE)


def assets() -> list[str]:
    """Return the names of the assets in this package."""
    return sorted(_manifest()["assets"])


def _load(name: Any, wanted: str, engine_: Any, profile: str, strict: bool) -> Any:
    asset, about = _asset(name)
    if about["kind"] != wanted:
        raise LoadError(f"{asset} is a {about['kind']}: use load_{about['kind']}")
    kind = _kind(wanted)
    if engine_ is None:
        engine_ = _engine(profile)
    loaded, refused = _precompiled(about, kind, engine_, profile)
    if loaded is not None:
        return loaded
    reason = refused or _NONE_HERE
    if strict:
        raise LoadError(f"{asset} is not precompiled (strict): {reason}")
    if about["wasm"] is None:
        raise LoadError(f"{asset} cannot be loaded, and there is no .wasm to compile: {reason}")
    try:
        wasm = _read(about["wasm"])
    except OSError as error:
        raise LoadError(
            f"{asset} cannot be loaded, nor read to be compiled ({error}): {reason}"
        ) from None
    this = object()
    if refused and _warned.setdefault((asset, profile), this) is this:
        warnings.warn(f"{asset} is compiled now, which takes time: {reason}", stacklevel=3)
    return _compile(kind, engine_, wasm, profile)


def _kind(word: str) -> Any:
    """Return wasmtime's class of a module or a component."""
    import wasmtime

    if word == "module":
        return wasmtime.Module
    try:
        from wasmtime import component
    except ImportError:
        raise LoadError("components need wasmtime 39 or later") from None
    return component.Component


def _compile(kind: Any, engine_: Any, wasm: bytes, profile: str) -> Any:
    if os.getpid() != _PROCESS:
        # A fork leaves wasmtime's threads behind: if the parent has compiled something, waiting for
        # them here would never end. An engine that uses none makes the same code.
        import wasmtime

        config = _config(profile)
        config.parallel_compilation = False
        try:
            code = kind(wasmtime.Engine(config), wasm).serialize()
            return kind.deserialize(engine_, code)
        except wasmtime.WasmtimeError:
            pass  # the caller's own engine has other settings
    return kind(engine_, wasm)


def _precompiled(
    about: dict[str, Any], kind: Any, engine_: Any, profile: str
) -> tuple[Any, str | None]:
    """Load the first artifact that wasmtime accepts.

    Returns:
        What was loaded and the artifact's path; or None and why they were refused, which is None
        where there are none for this system.
    """
    _settings(profile)  # raises where there is no such profile
    system = _system()
    here = [artifact for artifact in about["artifacts"] if artifact["target"] == system]
    fit = [artifact for artifact in here if artifact["profile"] == profile]
    if here and not fit:
        others = ", ".join(sorted({artifact["profile"] for artifact in here}))
        return None, f"it was compiled for the profile {others}, not for {profile}"
    reasons = []
    for artifact in fit:
        loaded, reason = _deserialize(artifact, about, kind, engine_)
        if loaded is not None:
            return loaded, _path(artifact["file"])
        reasons.append(f"{artifact['file']}: {reason}")
    return None, "; ".join(reasons) or None


def _deserialize(
    artifact: dict[str, Any], about: dict[str, Any], kind: Any, engine_: Any
) -> tuple[Any, str]:
    import wasmtime

    path = _path(artifact["file"])
    try:
        if _has_changed(about):
            return None, "the .wasm has changed since; install the project again"
        if os.path.isfile(path):
            try:
                return kind.deserialize_file(engine_, path), ""
            except UnicodeEncodeError:
                pass  # the path is no UTF-8, as wasmtime wants it
            except wasmtime.WasmtimeError as error:
                if "memory executable" not in str(error):  # a file system mounted noexec
                    raise
        elif not _in_archive():
            return None, "it is not a file" if os.path.exists(path) else "the file is missing"
        return kind.deserialize(engine_, _read(artifact["file"])), ""
    except wasmtime.WasmtimeError as error:
        size = os.path.getsize(path) if os.path.isfile(path) else artifact["size"]
        if size != artifact["size"]:
            return None, f"it is damaged: it has {size} bytes, not {artifact['size']}"
        return None, _cause(str(error))
    except OSError as error:
        return None, str(error)


def _has_changed(about: dict[str, Any]) -> bool:
    """Say whether the `.wasm` of an editable install is another than the one compiled."""
    if "mtime_ns" not in about:
        return False
    now = os.stat(_path(about["wasm"]))
    return bool((now.st_size, now.st_mtime_ns) != (about["size"], about["mtime_ns"]))


def _cause(text: str) -> str:
    """Shorten wasmtime's refusal to its cause, and name the common ones."""
    cause = text.partition("Stack backtrace:")[0].partition("Caused by:")[2] or text
    lines = [line.strip().partition(": ") for line in cause.splitlines() if line.strip()]
    cause = ": ".join(line[2] if line[0].isdigit() else "".join(line) for line in lines)
    if "ersion" in cause:
        from importlib import metadata

        try:
            installed = metadata.version("wasmtime")
        except metadata.PackageNotFoundError:
            installed = "another one"
        return (
            f"compiled for wasmtime {_manifest()['wasmtime']}, installed is {installed} ({cause})"
        )
    if "backtrace support" in cause:
        return f"the environment variable WASMTIME_BACKTRACE_DETAILS is set ({cause})"
    return cause


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


def _settings(profile: str) -> dict[str, Any]:
    profiles = _manifest()["profiles"]
    if profile not in profiles:
        raise LoadError(f"there is no profile {profile}; there is {', '.join(sorted(profiles))}")
    return profiles[profile]  # type: ignore[no-any-return]


def _asset(name: Any) -> tuple[str, dict[str, Any]]:
    known = _manifest()["assets"]
    for text in _names(name):
        for asset, about in known.items():
            if text in (asset, _on_disk(asset)):
                return asset, about
    raise LoadError(f"there is no asset {name}; there is {', '.join(sorted(known))}")


def _names(name: Any) -> Iterator[str]:
    """Yield what the manifest may call it: a name as it is, a path as seen from this package.

    A path may have been resolved by the caller, while this package lies behind a symbolic link.
    """
    text = os.fspath(name) if isinstance(name, os.PathLike) else str(name)
    yield text.replace(os.sep, "/")
    if isinstance(name, str) and not os.path.isabs(text):
        return
    for resolve in (os.path.abspath, os.path.realpath):
        try:
            relative = os.path.relpath(resolve(text), os.path.dirname(resolve(_FILE)))
        except ValueError:  # on another drive, or not to be encoded
            continue
        yield relative.replace(os.sep, "/")


def _manifest() -> dict[str, Any]:
    path = os.path.splitext(_FILE)[0] + ".json"
    if path not in _manifests:
        import json

        try:
            manifest = json.loads(_read(os.path.basename(path)))
        except (OSError, ValueError) as error:
            raise LoadError(
                f"{path} cannot be read ({error}); "
                "hatch-wazcache writes it when it builds this package"
            ) from None
        if not isinstance(manifest, dict) or manifest.get("schema") != 1:
            raise LoadError(f"{path} is of another version of hatch-wazcache than {_FILE}")
        _manifests[path] = manifest
    return _manifests[path]


def _read(file: str) -> bytes:
    """Read a file of this package, from a folder or from the archive that it is imported from."""
    if _in_archive():
        # __file__ as it is: the archive knows itself by the path that it was imported by.
        path = os.path.join(os.path.dirname(__file__), *file.split("/"))
        return __spec__.loader.get_data(path)  # type: ignore[union-attr, no-any-return]
    with open(_path(file), "rb") as opened:
        return opened.read()


def _path(file: str) -> str:
    return os.path.join(_FOLDER, *_on_disk(file).split("/"))


def _on_disk(file: str) -> str:
    """Return a name as Python finds it: installers write UTF-8, whatever the locale is."""
    return os.fsdecode(file.encode())


def _in_archive() -> bool:
    return not os.path.isdir(_FOLDER) and hasattr(__spec__.loader, "get_data")


def _system() -> str:
    """Return this system's name among the targets."""
    if sys.platform == "win32":
        # The machine is not what counts: a Python for x86_64 runs on Arm too.
        return f"{'aarch64' if 'arm64' in sys.version.lower() else 'x86_64'}-windows"
    import platform

    machine = platform.machine().lower()
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    systems = {"darwin": "macos", "android": "linux"}
    return f"{arch}-{systems.get(sys.platform, sys.platform)}"
