"""Reads a project's `pyproject.toml`, and finds the table that holds the options."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any

from hatch_wazcache.errors import WazcacheError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_wazcache.project.config import Config

__all__ = [
    "HATCHLING",
    "HOOK",
    "SHARED",
    "build_backend",
    "choose_table",
    "hatch_toml",
    "hook_tables",
    "project_config",
    "project_name",
    "read_pyproject",
    "read_toml",
    "shared_table",
    "unread_table",
]

SHARED = "tool.wazcache"

HOOK = "tool.hatch.build.hooks.wazcache"

HATCHLING = "hatchling.build"
"""The build backend whose hook reads our options."""

_HATCHLINGS_OPTIONS = (
    "dependencies",
    "enable-by-default",
    "require-runtime-dependencies",
    "require-runtime-features",
)
"""The options that hatchling itself reads from the table of a hook."""


def read_pyproject(root: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Read the `pyproject.toml` in a folder; empty if there is none.

    Raises:
        WazcacheError: the file cannot be read, or is not TOML.
    """
    return read_toml(os.path.join(root, "pyproject.toml"))


def read_toml(path: str) -> Mapping[str, Any]:
    """Read a TOML file; empty if there is none.

    Raises:
        WazcacheError: the file cannot be read, or is not TOML.
    """
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # to open it would wait for somebody who writes
            raise WazcacheError(f"{path}: is a pipe, not a file")
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise WazcacheError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise WazcacheError(f"{path}: {error}") from error


def shared_table(pyproject: Mapping[str, Any]) -> Any:
    """Return the value of `tool.wazcache`, which need not be a table. None: it does not exist."""
    return _look_up(pyproject, SHARED)


def build_backend(pyproject: Mapping[str, Any]) -> str:
    """Return the build backend. PEP 517 makes setuptools the default."""
    backend = _look_up(pyproject, "build-system.build-backend")
    return backend if isinstance(backend, str) else "setuptools.build_meta:__legacy__"


def choose_table(
    pyproject: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]
) -> tuple[Mapping[str, Any], str]:
    """Choose the table of options: `[tool.wazcache]`, or the hatch hook's own.

    Args:
        pyproject: the content of the project's `pyproject.toml`.
        own: the tables of the hatch hook by their TOML paths. A table may be empty: hatchling runs
            a hook only if it has a table.

    Returns:
        The table without the options that hatchling reads, and its TOML path.

    Raises:
        WazcacheError: both have options, or `tool.wazcache` is not a table.
    """
    shared = shared_table(pyproject)
    for location, table in own.items():
        ours = {name: table[name] for name in table if name not in _HATCHLINGS_OPTIONS}
        if shared is None:
            return ours, location
        if ours:
            raise WazcacheError(
                f"{SHARED} and {location} both have options; move them all into one of the two"
            )
    if not isinstance(shared, dict):
        raise WazcacheError(f"{SHARED}: must be a table of options")
    return shared, SHARED


def project_name(root: Path, pyproject: Mapping[str, Any]) -> str | None:
    """Return the name of a project, if a file says it; None if only a build knows it."""
    import configparser  # most builds do not need it

    poetry = _look_up(pyproject, "tool.poetry")
    for table in (pyproject.get("project"), poetry):
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            return str(table["name"])
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(root / "setup.cfg", "utf-8")
    except (configparser.Error, OSError, UnicodeError):
        return None
    return parser.get("metadata", "name", fallback=None)


def project_config(root: Path, environment: Mapping[str, str]) -> Config:
    """Read the options of a project without hatchling.

    Args:
        root: the project's root.
        environment: as for `read_config`.

    Raises:
        WazcacheError: everything that is wrong with them, one line for each problem.
    """
    from hatch_wazcache.project.caches_in_tree import refuse_shared_folder
    from hatch_wazcache.project.options import read_config

    pyproject = read_pyproject(root)
    table, location = choose_table(pyproject, hook_tables(root, pyproject))
    config = read_config(table, location, environment, root)
    refuse_shared_folder(config, root)
    return config


def unread_table(root: str | os.PathLike[str], pyproject: Mapping[str, Any]) -> str | None:
    """Return a message about a table of options that the project's build backend does not read.

    Args:
        root: the project's root.
        pyproject: the content of its `pyproject.toml`.

    Raises:
        WazcacheError: the project's `hatch.toml` cannot be read, or is not TOML.
    """
    backend, shared = build_backend(pyproject), shared_table(pyproject) is not None
    tables = hook_tables(root, pyproject)
    if backend == HATCHLING and shared and not tables:
        in_hatch_toml = hatch_toml(root) is not None
        missing = "[build.hooks.wazcache] to hatch" if in_hatch_toml else f"[{HOOK}] to pyproject"
        return (
            f"[{SHARED}] has no effect: hatchling runs a build hook only if the hook has a table; "
            f"add {missing}.toml, which can be empty"
        )
    if backend.startswith("setuptools.") and tables and not shared:
        return (
            f"[{next(iter(tables))}] has no effect: the build backend is {backend}, which does not "
            f"read this table; rename it to [{SHARED}]"
        )
    return None


def hook_tables(
    root: str | os.PathLike[str], pyproject: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Return the tables of the hatch hook that concern wheels, by their TOML paths.

    Args:
        root: the project's root.
        pyproject: the content of its `pyproject.toml`.

    Raises:
        WazcacheError: `hatch.toml` cannot be read, or is not TOML.
    """
    hatch = hatch_toml(root)
    content = pyproject if hatch is None else {"tool": {"hatch": hatch}}
    names = (HOOK, "tool.hatch.build.targets.wheel.hooks.wazcache")
    found = {name: _look_up(content, name) for name in names}
    return {name: table for name, table in found.items() if isinstance(table, dict)}


def hatch_toml(root: str | os.PathLike[str]) -> Mapping[str, Any] | None:
    """Return the content of a project's `hatch.toml`, if it has the table `build`.

    Then hatchling does not read this table in `pyproject.toml`.

    Raises:
        WazcacheError: the file cannot be read, or is not TOML.
    """
    content = read_toml(os.path.join(root, "hatch.toml"))
    return content if "build" in content else None


def _look_up(pyproject: Mapping[str, Any], path: str) -> Any:
    found: Any = pyproject
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
