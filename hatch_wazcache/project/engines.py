"""Chooses a wasmtime-py for each requirement of the option `engines`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.installed_requirements import is_installed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_wazcache.engine.installed import InstalledWasmtime

__all__ = ["choose_engines"]


def choose_engines(requirements: Iterable[str], location: str) -> list[InstalledWasmtime]:
    """Return a wasmtime for each requirement.

    Args:
        requirements: the option `engines`.
        location: the TOML path of the options, for messages.

    Raises:
        WazcacheError: one is not installed, or does not fit this machine.
    """
    chosen = []
    for requirement in requirements:
        if not is_installed([requirement]):
            raise WazcacheError(f"{location}.engines: {requirement} is not installed")
        chosen.append(installed_wasmtime())
    return chosen
