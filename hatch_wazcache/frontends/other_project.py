"""A project of a build backend that runs no hook of ours, such as uv_build, flit or poetry.

Commands read `[tool.wazcache]`, `[project]`, and the files of the source tree. Nobody can be asked
where the backend puts the files, so that is assumed, and the assumption is said.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.companion import check_companion
from hatch_wazcache.project.engine_requirement import EngineRequirement
from hatch_wazcache.project.project import Project
from hatch_wazcache.project.pyproject import build_backend, project_config
from hatch_wazcache.project.source_tree import assumed_layout, source_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.packing.plan import Plan
    from hatch_wazcache.packing.preview import Preview
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.report import Report

__all__ = ["OtherProject", "runs_no_hook"]

_PURE = ("uv_build", "flit_core", "flit", "poetry", "pdm")
"""The first parts of the names of backends whose wheels are usually for every platform."""

_NATIVE = ("maturin", "scikit_build_core", "mesonpy")
"""Those of backends that compile extension modules for one platform."""


def runs_no_hook(backend: str) -> bool:
    """Say whether a build backend is known, and is neither hatchling nor based on setuptools."""
    return _first_part(backend) in (*_PURE, *_NATIVE)


def _first_part(backend: str) -> str:
    return backend.partition(".")[0]


class OtherProject:
    """A project with `[tool.wazcache]` whose build backend does not read it."""

    def __init__(self, root: Path, pyproject: Mapping[str, Any]) -> None:
        """Prepare; nothing is checked yet.

        Args:
            root: the folder of its `pyproject.toml`, absolute.
            pyproject: the content of that file.
        """
        self.root = root
        self._pyproject = pyproject
        self._backend = build_backend(pyproject)

    def config(self) -> Config:
        """Return the options.

        Raises:
            WazcacheError: all their problems, one line each; or [project] is not valid.
        """
        config = project_config(self.root, os.environ)
        return self._requirement(config).fit(config, self._requires_python)

    def plan(self) -> Plan:
        """Plan a wheel with the files that are there now. Asks no cache.

        Raises:
            WazcacheError: an asset or the engine is not fit to build.
        """
        from hatch_wazcache.packing.build import plan_build

        return plan_build(self._project())

    def preview(self, cache: Path) -> Preview:
        """Say what wheels for all targets would hold. Writes nothing.

        Args:
            cache: the folder of the cache.

        Raises:
            WazcacheError: an asset or an engine is not fit to build.
        """
        from hatch_wazcache.packing.make_preview import make_preview
        from hatch_wazcache.packing.preview import Release

        project, version = self._project(), self._metadata.get("version")
        is_pure = _first_part(self._backend) in _PURE
        if not is_pure:  # this machine makes the wheel of its own platform only
            target = project.native_target
            project = project._replace(config=project.config._replace(targets=(target,)))
        release = Release(
            version if isinstance(version, str) else None, "py3-none-any" if is_pure else None
        )
        preview = make_preview(project, release, cache)
        return preview._replace(warnings=(*self._assumptions(), *preview.warnings))

    def run(self, work: Callable[[Project], None]) -> None:
        """Work on the project, with the files that are there now. Makes no wheel.

        Raises:
            WazcacheError: the project is not fit to build, or the work raises it.
        """
        work(self._project())

    def refresh_editable(self, report: Report) -> None:  # noqa: ARG002
        """Refuse: no editable install of this project has artifacts.

        Raises:
            WazcacheError: always.
        """
        raise WazcacheError(
            f"{self.root}: the build backend is {self._backend}, which runs no build hook, so an "
            "editable install has no artifacts to update"
        )

    def build_command(self, config: Config, target: str) -> str:  # noqa: ARG002
        """Return the command that makes the wheels of a target."""
        compile_ = f"hatch-wazcache compile dist/*.whl --in-place --targets {target}"
        return f"python -m build --wheel && {compile_}"

    def _project(self) -> Project:
        config, name = self.config(), self._name
        check_companion(config, name, self._dependencies, self._extras)
        requirement, python = self._requirement(config), self._requires_python
        layout = assumed_layout(self.root, self._source_folder)
        return Project(name, config, layout, requirement, python)

    @cached_property
    def _source_folder(self) -> str:
        return source_folder(self.root, self._pyproject)

    def _assumptions(self) -> Iterator[str]:
        """Yield what the build does not do, and what is assumed about it, one sentence each."""
        yield (
            f"{self._backend} does not read [tool.wazcache]: its own wheel has the .wasm alone; "
            "`hatch-wazcache compile` makes these wheels from it"
        )
        folder = self._source_folder
        place = "the project's root" if folder == "." else folder
        yield (
            f"{self._backend} cannot be asked for its files: it is assumed that a wheel has the "
            f"packages of {place}"
        )
        for name in ("version", "dependencies", "optional-dependencies"):
            if name in _strings(self._metadata.get("dynamic")):
                yield f"project.{name} is dynamic, so only a build knows it"

    @cached_property
    def _metadata(self) -> Mapping[str, Any]:
        table = self._pyproject.get("project")
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            raise WazcacheError(
                f"{self.root / 'pyproject.toml'}: has no table [project] with a name, so the name "
                f"and the dependencies of this project are known to {self._backend} alone"
            )
        return table

    @property
    def _name(self) -> str:
        name: str = self._metadata["name"]
        return name

    @cached_property
    def _dependencies(self) -> list[str]:
        return _requirements("project.dependencies", self._metadata.get("dependencies"))

    @cached_property
    def _extras(self) -> dict[str, list[str]]:
        table = self._metadata.get("optional-dependencies")
        extras = table if isinstance(table, dict) else {}
        return {
            name: _requirements(f"project.optional-dependencies.{name}", lines)
            for name, lines in extras.items()
        }

    @cached_property
    def _requires_python(self) -> str:
        text = self._metadata.get("requires-python") or ""
        try:
            SpecifierSet(text)
        except (InvalidSpecifier, TypeError, AttributeError) as error:
            raise WazcacheError(f"project.requires-python = {text!r}: {error}") from error
        return str(text)

    def _requirement(self, config: Config) -> EngineRequirement:
        return EngineRequirement.of(
            self._dependencies, self._extras, config.engine, config.companion
        )


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _requirements(where: str, value: Any) -> list[str]:
    """Return the lines of a list of requirements.

    Raises:
        WazcacheError: one is not valid.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    lines = _strings(value)
    for line in lines:
        try:
            Requirement(line)
        except InvalidRequirement as error:
            problem = str(error).partition("\n")[0]
            raise WazcacheError(f"{where}: {line!r} is not a requirement: {problem}") from error
    return lines
