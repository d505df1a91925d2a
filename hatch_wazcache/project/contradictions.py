"""Finds options that are valid by themselves, and contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.util.toml_text import toml_key, toml_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_wazcache.project.config import Config

__all__ = ["contradictions"]

_FOR_ASSETS = {
    "companion",
    "cpu",
    "engine",
    "engines",
    "keep-wasm",
    "runtime",
    "strip",
    "targets",
}
"""The options that mean nothing without assets."""


def contradictions(config: Config, table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the contradictions between options that are valid by themselves, one line each.

    Args:
        config: the options.
        table: as the user has written them.
    """
    if not config.assets:
        for name in sorted(_FOR_ASSETS & table.keys()):
            yield (
                f"{config.where(name)}: must be left out without {config.where('assets')}: "
                "it says how assets are compiled"
            )
        return
    if config.runtime is not None:
        yield from _beside_runtime(config, table)
    if {"engine", "engines"} <= table.keys():
        yield (
            f"{config.where('engine')} = {toml_value(table['engine'])}: must be left out beside "
            f"{config.where('engines')}, which replaces it"
        )
    if config.companion is not None and not config.keep_wasm:
        yield (
            f"{config.where('keep-wasm')} = false: must be true with {config.where('companion')}: "
            "the package's own wheel holds the .wasm alone"
        )
    if config.companion is not None and config.loader is None and config.runtime is None:
        yield (
            f"{config.where('loader')} = false: must be a path, or left out, with "
            f"{config.where('companion')}: the loader finds the artifacts there"
        )
    for target in (*config.targets, config.wanted):
        yield from config.misfits(target) if target else ()
    for profile in config.profiles.values() if "debug" in config.strip else ():
        if profile.settings.get("debug-info") is True:
            setting = f"{config.where('profiles')}.{toml_key(profile.name)}.debug-info"
            yield (
                f'{config.where("strip")} = {toml_value(table["strip"])}: must not contain "debug" '
                f"with {setting} = true, which needs those sections"
            )


def _beside_runtime(config: Config, table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options that the runtime has, and the project must not have."""
    runtime = config.where("runtime")
    if config.loader is not None:
        yield (
            f"{config.where('loader')} = {toml_value(table['loader'])}: must be false, or left "
            f"out, beside {runtime}, which has the loader"
        )
    if "profiles" in table:
        yield (
            f"{config.where('profiles')}: must be left out beside {runtime}, which has the profiles"
        )
