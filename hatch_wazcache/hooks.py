"""What hatchling registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

from hatch_wazcache.frontends.hatch.hook import WazcacheBuildHook

if TYPE_CHECKING:
    from hatch_wazcache.frontends.hatch.builder import WazcacheBuilder


@hookimpl
def hatch_register_build_hook() -> type[WazcacheBuildHook]:
    """Tell hatchling of the hook."""
    return WazcacheBuildHook


@hookimpl
def hatch_register_builder() -> type[WazcacheBuilder]:
    """Tell hatchling of the builder."""
    from hatch_wazcache.frontends.hatch.builder import WazcacheBuilder  # a hook alone needs less

    return WazcacheBuilder
