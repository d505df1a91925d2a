"""The table of our hook in a project's configuration, and the options in it."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.project.pyproject import choose_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement

__all__ = ["HookTable"]


class HookTable:
    """The table that hatchling gives our hook; `[tool.wazcache]` can hold the options instead."""

    def __init__(self, hook: BuildHookInterface[BuilderConfig]) -> None:
        """Check nothing yet.

        Args:
            hook: our hook.
        """
        self._hook = hook

    @cached_property
    def location(self) -> str:
        """The TOML path of the hook's table."""
        name, target = self._hook.PLUGIN_NAME, self._hook.target_name
        own = self._hook.build_config.target_config.get("hooks", {})
        return f"tool.hatch.build.{f'targets.{target}.' if name in own else ''}hooks.{name}"

    @cached_property
    def _chosen(self) -> tuple[Mapping[str, Any], str]:
        """The table with the options, and its TOML path."""
        return choose_table(self._hook.metadata.config, {self.location: self._hook.config})

    @property
    def loader(self) -> object:
        """The value of the option `loader`, unchecked, for `clean`.

        Raises:
            WazcacheError: two tables have options.
        """
        return self._chosen[0].get("loader")

    @cached_property
    def options(self) -> Config:
        """The checked options.

        Raises:
            WazcacheError: all that is wrong with them, one line each.
        """
        from hatch_wazcache.project.caches_in_tree import refuse_shared_folder
        from hatch_wazcache.project.options import read_config

        table, location = self._chosen
        config = read_config(table, location, os.environ, Path(self._hook.root))
        refuse_shared_folder(config, Path(self._hook.root))
        requires_python = self._hook.metadata.core.requires_python
        return self._requirement_of(config).fit(config, requires_python)

    @property
    def requirement(self) -> EngineRequirement:
        """The project's requirement on wasmtime.

        Raises:
            WazcacheError: as for `options`.
        """
        return self._requirement_of(self.options)

    def _requirement_of(self, config: Config) -> EngineRequirement:
        from hatch_wazcache.project.engine_requirement import EngineRequirement

        core = self._hook.metadata.core
        return EngineRequirement.of(
            core.dependencies, core.optional_dependencies, config.engine, config.companion
        )
