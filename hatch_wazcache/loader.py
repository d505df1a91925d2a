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
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Set, Tuple, Union

if TYPE_CHECKING:
    import wasmtime
    import wasmtime.component

    Name = Union[str, os.PathLike[str]]

__all__ = ["LoadError", "Status", "assets", "engine", "load_component", "load_module", "status"]

_FILE = os.path.abspath(__file__)
_FOLDER = os.path.dirname(_FILE)

# Filled with setdefault, which needs no lock: a lock held during a fork is held in the child.
_engines: Dict[Tuple[str, bool], Any] = {}
_manifests: Dict[str, Dict[str, Any]] = {}
_warned: Set[Tuple[str, str]] = set()


class LoadError(Exception):
    """An asset cannot be loaded as it was asked for; the message says why."""


class Status(NamedTuple):
    """How an asset loads on this system."""

    name: str
    profile: str
    precompiled: bool
    artifact: Optional[str]
    """The artifact's path, if one loads."""
    reason: Optional[str]
    """Why none loads, if none does."""


def load_module(
    name: Name, engine: Optional[wasmtime.Engine] = None, *, profile: str = "default",
    strict: bool = False,
) -> wasmtime.Module:  # fmt: skip
    """Load a module.

    Args:
        name: the asset's path in this package, or a path to it, as of importlib.resources.
        engine: your own, with the settings of the profile; by default the one of `engine(profile)`.
        profile: which of the asset's profiles.
        strict: raise where the `.wasm` would have to be compiled.

    Raises:
        LoadError: there is no such asset or profile, it is a component, or `strict` says no.
        wasmtime.WasmtimeError: it was compiled here, and wasmtime refuses it.
    """
    import wasmtime

    return _load(name, "module", wasmtime.Module, engine, profile, strict)  # type: ignore[no-any-return]


def load_component(
    name: Name, engine: Optional[wasmtime.Engine] = None, *, profile: str = "default",
    strict: bool = False,
) -> wasmtime.component.Component:  # fmt: skip
    """Load a component; as `load_module` loads a module. Needs wasmtime 39 or later."""
    from wasmtime import component

    return _load(name, "component", component.Component, engine, profile, strict)  # type: ignore[no-any-return]


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
    name: Name, engine: Optional[wasmtime.Engine] = None, *, profile: str = "default"
) -> Status:
    """Tell whether an asset loads precompiled, by which artifact, and why not. Compiles nothing.

    Raises:
        LoadError: there is no such asset or profile.
    """
    import wasmtime

    asset, about = _asset(name)
    kind: Any = wasmtime.Module
    if about["kind"] == "component":
        from wasmtime import component

        kind = component.Component
    loaded, found = _precompiled(about, kind, engine or _engine(profile), profile)
    if loaded is not None:
        return Status(asset, profile, True, found, None)
    return Status(asset, profile, False, None, found or "the wheel has none for this system")


def assets() -> List[str]:
    """Return the names of the assets in this package."""
    return sorted(_manifest()["assets"])


def _load(name: Name, wanted: str, kind: Any, engine_: Any, profile: str, strict: bool) -> Any:
    asset, about = _asset(name)
    if about["kind"] != wanted:
        raise LoadError(f"{asset} is a {about['kind']}: use load_{about['kind']}")
    if engine_ is None:
        engine_ = _engine(profile)
    loaded, reason = _precompiled(about, kind, engine_, profile)
    if loaded is not None:
        return loaded
    if strict:
        raise LoadError(
            f"{asset} is not precompiled (strict): "
            + (reason or "the wheel has no artifact for this system")
        )
    if about["wasm"] is None:
        raise LoadError(
            f"{asset} cannot be loaded, and its .wasm is not there to be compiled: "
            + (reason or "the wheel has no artifact for this system")
        )
    if reason and (asset, profile) not in _warned:
        _warned.add((asset, profile))
        warnings.warn(f"{asset} is compiled now, which takes time: {reason}", stacklevel=3)
    return kind(engine_, _read(about["wasm"]))


def _precompiled(
    about: Dict[str, Any], kind: Any, engine_: Any, profile: str
) -> Tuple[Any, Optional[str]]:
    """Load the first artifact that wasmtime accepts.

    Returns:
        What was loaded and the artifact's path; or None and why they were refused, which is None
        where there are none for this system.
    """
    _settings(profile)  # raises where there is no such profile
    system = _system()
    reasons = []
    for artifact in about["artifacts"]:
        if artifact["target"] == system and artifact["profile"] == profile:
            loaded, reason = _deserialize(artifact["file"], about, kind, engine_)
            if loaded is not None:
                return loaded, os.path.join(_FOLDER, *artifact["file"].split("/"))
            reasons.append(f"{artifact['file']}: {reason}")
    return None, "; ".join(reasons) or None


def _deserialize(file: str, about: Dict[str, Any], kind: Any, engine_: Any) -> Tuple[Any, str]:
    import wasmtime

    path = os.path.join(_FOLDER, *file.split("/"))
    try:
        if "mtime_ns" in about:  # an editable install: the .wasm may have changed since
            now = os.stat(os.path.join(_FOLDER, *about["wasm"].split("/")))
            if (now.st_size, now.st_mtime_ns) != (about["size"], about["mtime_ns"]):
                return None, "the .wasm has changed since; install the project again"
        if not os.path.isfile(path):
            if not _in_archive():
                return None, "the file is missing"
            return kind.deserialize(engine_, _read(file)), ""
        try:
            return kind.deserialize_file(engine_, path), ""
        except UnicodeEncodeError:
            pass  # the path is no UTF-8, as wasmtime wants it
        except wasmtime.WasmtimeError as error:
            if "memory executable" not in str(error):  # a file system mounted noexec
                return None, _cause(str(error))
        return kind.deserialize(engine_, _read(file)), ""
    except wasmtime.WasmtimeError as error:
        return None, _cause(str(error))
    except OSError as error:
        return None, str(error)


def _cause(text: str) -> str:
    """Shorten wasmtime's refusal to its cause, and name the common ones."""
    cause = text.partition("Stack backtrace:")[0].partition("Caused by:")[2] or text
    cause = ": ".join(line.strip() for line in cause.splitlines() if line.strip())
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

    config = wasmtime.Config()
    for setting, value in _settings(profile).items():
        attribute = setting.replace("-", "_")
        if not hasattr(type(config), attribute):
            raise LoadError(
                f"the installed wasmtime has no setting {attribute} (profile {profile})"
            )
        setattr(config, attribute, value)
    if not cache:
        return wasmtime.Engine(config)
    try:
        config.cache = True
        return wasmtime.Engine(config)
    except wasmtime.WasmtimeError as error:
        warnings.warn(f"wasmtime's cache cannot be used: {_cause(str(error))}", stacklevel=4)
        return _engine(profile)


def _settings(profile: str) -> Dict[str, Any]:
    profiles = _manifest()["profiles"]
    if profile not in profiles:
        raise LoadError(f"there is no profile {profile}; there is {', '.join(sorted(profiles))}")
    return profiles[profile]  # type: ignore[no-any-return]


def _asset(name: Any) -> Tuple[str, Dict[str, Any]]:
    text = os.fspath(name) if isinstance(name, os.PathLike) else str(name)
    if os.path.isabs(text):
        try:
            text = os.path.relpath(text, _FOLDER)
        except ValueError:  # on another drive
            pass
    text = text.replace(os.sep, "/")
    known = _manifest()["assets"]
    if text not in known:
        raise LoadError(f"there is no asset {text}; there is {', '.join(sorted(known))}")
    return text, known[text]


def _manifest() -> Dict[str, Any]:
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
    path = os.path.join(_FOLDER, *file.split("/"))
    if _in_archive():
        return __loader__.get_data(path)  # type: ignore[name-defined, no-any-return]
    with open(path, "rb") as opened:
        return opened.read()


def _in_archive() -> bool:
    return not os.path.isdir(_FOLDER) and hasattr(globals().get("__loader__"), "get_data")


def _system() -> str:
    """Return this system's name among the targets."""
    import platform

    machine = platform.machine().lower()
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    systems = {"darwin": "macos", "win32": "windows", "android": "linux"}
    return f"{arch}-{systems.get(sys.platform, sys.platform)}"
