"""Where a command works: which project, which cache, and what bounds it."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.directory import default_directory
from hatch_wazcache.cache.records import DEFAULT_MAX_SIZE
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.environment import CACHE_DIR, read_variable
from hatch_wazcache.util.sizes_and_times import parse_size

if TYPE_CHECKING:
    from hatch_wazcache.frontends.hatch.project import HatchProject
    from hatch_wazcache.frontends.setuptools.project import SetuptoolsProject

    Project = HatchProject | SetuptoolsProject

__all__ = ["Context"]


class Context:
    """The project that the options name or that is found, and its cache, as a build takes them."""

    def __init__(self, named: str | None) -> None:
        """Look for nothing yet.

        Args:
            named: the folder of the project; None to find it from the working directory.
        """
        self._named = named

    @cached_property
    def found(self) -> Project | None:
        """The project, if there is one here.

        Raises:
            WazcacheError: the named folder holds none, or it cannot be understood.
        """
        if self._named is None:
            here = Path.cwd()
            projects = (_project_in(folder) for folder in (here, *here.parents))
            return next((project for project in projects if project is not None), None)
        root = Path(self._named).absolute()
        if not (root / "pyproject.toml").is_file():
            raise WazcacheError(f"--project {self._named}: there is no pyproject.toml")
        project = _project_in(root)
        if project is None:
            raise WazcacheError(
                f"--project {self._named}: its pyproject.toml has no build hook wazcache, or it is "
                "not enabled, and no [tool.wazcache] for another build system than hatchling"
            )
        return project

    @property
    def project(self) -> Project:
        """The project, for a command that needs one.

        Raises:
            WazcacheError: there is none, or it cannot be understood.
        """
        if self.found is None:
            raise WazcacheError(
                "there is no pyproject.toml with the build hook wazcache, or with [tool.wazcache], "
                "here or further up; go into the project, or name it with --project"
            )
        return self.found

    @cached_property
    def cache(self) -> Path:
        """The cache's directory, which may not be there.

        Raises:
            WazcacheError: the project, which may say where it is, cannot be understood.
        """
        # `--cache-dir` is here too. An absolute one is the same for every project.
        given = os.path.expanduser(read_variable(CACHE_DIR) or "")
        if os.path.isabs(given):
            return Path(os.path.abspath(given))
        if self.found is not None:
            return self.found.config().cache_dir or default_directory()
        return Path(os.path.abspath(given)) if given else default_directory()

    @property
    def max_size(self) -> int | None:
        """The bytes that builds keep the cache under; None for any.

        Raises:
            WazcacheError: the project, which may say so, cannot be understood.
        """
        if self.found is not None:
            return self.found.config().max_size
        return parse_size(DEFAULT_MAX_SIZE)


def _project_in(folder: Path) -> Project | None:
    """Return the project in a folder, if there is one with options of ours.

    Raises:
        WazcacheError: its `pyproject.toml` cannot be understood.
    """
    from hatch_wazcache.project.pyproject import build_backend, read_pyproject, shared_table

    if not (folder / "pyproject.toml").is_file():
        return None
    pyproject = read_pyproject(folder)
    if shared_table(pyproject) is not None and build_backend(pyproject) != "hatchling.build":
        from hatch_wazcache.frontends.setuptools.project import SetuptoolsProject

        return SetuptoolsProject(folder)
    from hatch_wazcache.frontends.hatch.project import HatchProject

    hatch = HatchProject(folder)
    return hatch if hatch.has_hook else None
