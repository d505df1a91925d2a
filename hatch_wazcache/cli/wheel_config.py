"""The options for finished wheels: from the command line, a project, or the wheel itself.

The project's table is only read. None of its code runs.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.utils import canonicalize_name

from hatch_wazcache.cli.context import folders_to_search
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.wheel_options import engines_of, options_of
from hatch_wazcache.project.options import read_config
from hatch_wazcache.project.pyproject import (
    choose_table,
    hook_tables,
    project_name,
    read_pyproject,
    shared_table,
)
from hatch_wazcache.project.source_tree import source_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_wazcache.packing.from_wheel import FinishedWheel
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.report import Report

__all__ = ["WheelConfigs"]


class _Project(NamedTuple):
    """A project with options, as its files say."""

    root: Path
    name: str | None
    """None: only a build knows it."""
    table: Mapping[str, Any]
    location: str
    folder: str
    """The folder of its packages, relative to the root; `.` for the root."""

    def is_of(self, wheel: FinishedWheel) -> bool:
        return self.name is not None and canonicalize_name(self.name) == canonicalize_name(
            wheel.name
        )


class WheelConfigs:
    """Finds the options for each wheel of a command line."""

    def __init__(
        self, named: str | None, flags: Mapping[str, Any], report: Report, *, extend: bool
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            named: the folder of the project; None to search it from the working directory upwards.
            flags: the options of the command line, with values as in TOML.
            report: shows which project is not used.
            extend: whether the engines that a wheel has artifacts for are kept.
        """
        self._named = named
        self._flags = flags
        self._report = report
        self._extend = extend

    def of(self, wheel: FinishedWheel) -> Config:
        """Return the options for a wheel.

        Raises:
            WazcacheError: all that is wrong with them, one line each; or the project that the
                command names is not the wheel's.
        """
        flags = dict(self._flags)
        project = self._project_of(wheel)
        table = options_of(wheel) if project is None else project.table
        if project is None and "loader" in flags and not wheel.has_wasm:
            table = {}  # it gets a loader alone, as the runtime of other packages
        if self._extend:
            old, more = engines_of(wheel), flags.get("engines", [])
            if not old:
                raise WazcacheError(f"{wheel.path}: --extend: it has no artifacts to keep")
            flags["engines"] = [*(one for one in old if one not in more), *more]
        if project is None:
            return read_config(table, "", os.environ, Path.cwd(), flags)
        config = read_config(table, project.location, os.environ, project.root, flags)
        if "assets" in flags or project.folder == ".":
            return config
        prefix = f"{project.folder}/"
        assets = (one._replace(glob=one.glob.removeprefix(prefix)) for one in config.assets)
        return config._replace(assets=tuple(assets))

    def _project_of(self, wheel: FinishedWheel) -> _Project | None:
        project = self._project
        if project is None or project.is_of(wheel):
            return project
        about = f"the project in {project.root} is {project.name or 'of an unknown name'}"
        if self._named is None:
            self._report.say(
                f"{wheel.path.name}: {about}, so its options are not used"
                + ("" if project.name else "; name it with --project to use them")
            )
            return None
        if project.name is None:
            return project
        raise WazcacheError(f"{wheel.path}: --project {self._named}: {about}, not {wheel.name}")

    @cached_property
    def _project(self) -> _Project | None:
        if self._named is None:
            found = map(_read_project, folders_to_search())
            return next((project for project in found if project is not None), None)
        root = Path(self._named).absolute()
        project = _read_project(root)
        if project is None:
            raise WazcacheError(
                f"--project {self._named}: there is no pyproject.toml with [tool.wazcache], or "
                "with the table of the build hook wazcache"
            )
        return project


def _read_project(root: Path) -> _Project | None:
    """Read the options of a project; None if there are none.

    Raises:
        WazcacheError: its `pyproject.toml` or `hatch.toml` cannot be read.
    """
    pyproject = read_pyproject(root)
    own = hook_tables(root, pyproject)
    if not own and shared_table(pyproject) is None:
        return None
    table, location = choose_table(pyproject, own)
    return _Project(
        root, project_name(root, pyproject), table, location, source_folder(root, pyproject)
    )
