"""What hatchling registers."""

from __future__ import annotations

from hatchling.plugin import hookimpl

from hatch_wazcache.frontends.hatch_hook import WazcacheBuildHook


@hookimpl
def hatch_register_build_hook() -> type[WazcacheBuildHook]:
    """Tell hatchling of the hook."""
    return WazcacheBuildHook
