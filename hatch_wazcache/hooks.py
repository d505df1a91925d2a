"""The plugins that hatchling finds by their registration here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

from hatch_wazcache.frontends.hatch.hook import WazcacheBuildHook

if TYPE_CHECKING:
    from hatch_wazcache.frontends.hatch.builder import WazcacheBuilder


@hookimpl
def hatch_register_build_hook() -> type[WazcacheBuildHook]:
    """Register the build hook."""
    return WazcacheBuildHook


@hookimpl
def hatch_register_builder() -> type[WazcacheBuilder]:
    """Register the builder."""
    from hatch_wazcache.frontends.hatch.builder import WazcacheBuilder  # the hook needs less

    return WazcacheBuilder
