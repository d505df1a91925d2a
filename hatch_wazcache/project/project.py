"""The project of a build: the values that every step needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import TARGETS, native_target
from hatch_wazcache.resources import LOADER_PYTHON

if TYPE_CHECKING:
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement
    from hatch_wazcache.project.packages import Layout

__all__ = ["Project"]


class Project(NamedTuple):
    """A project that a front end has read."""

    name: str
    """As in `[project]`; editable installs and the cache's statistics record it."""
    config: Config
    layout: Layout
    requirement: EngineRequirement
    requires_python: str = ""
    """As in `[project]`; empty if the project does not say."""
    runtime_warnings: tuple[str, ...] | None = None
    """Where the project and its runtime part ways; None if the runtime is not read yet."""

    def with_runtime(self, *, may_fetch: bool) -> Project:
        """Return the project with the profiles of its runtime, and its requirement on wasmtime.

        Args:
            may_fetch: whether to fetch a runtime that is neither installed nor in the cache.

        Raises:
            WazcacheError: there is no such runtime, or an asset names a profile that it lacks.
        """
        if self.config.runtime is None or self.runtime_warnings is not None:
            return self
        from hatch_wazcache.project.with_runtime import with_runtime

        config, requirement, warnings = with_runtime(
            self.config, self.requirement, self.layout.root, may_fetch=may_fetch
        )
        return self._replace(config=config, requirement=requirement, runtime_warnings=warnings)

    @property
    def native_target(self) -> Target:
        """The target of an editable install: this machine's; or `any`, if there are no artifacts.

        There are none without assets, or if no user of such a machine has wasmtime.
        """
        if not self.config.assets:
            return TARGETS["any"]
        return self.requirement.target_or_any(native_target(), self.requires_python)

    @property
    def warnings(self) -> list[str]:
        """Warnings about the project that hold for every target."""
        python = self.check_python()
        return [*([python] if python else []), *(self.runtime_warnings or ())]

    def check_python(self) -> str | None:
        """Return a warning if the package can be installed where its loader cannot run.

        A project without requires-python gets no warning: wasmtime itself needs Python 3.9.
        """
        if self.config.loader is None or not self.requires_python:
            return None
        from hatch_wazcache.engine.requirements import WasmtimeRequirements

        major, minor = LOADER_PYTHON
        older = [f"{major}.{number}" for number in range(minor)]
        requirements = WasmtimeRequirements((), python=self.requires_python)
        found = list(filter(requirements.admits_python, older))
        if not found:
            return None
        return (
            f'{self.requirement.places.python} = "{self.requires_python}" admits Python '
            f'{found[-1]}, where the loader does not run; write ">={major}.{minor}"'
        )
