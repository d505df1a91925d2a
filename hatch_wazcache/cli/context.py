"""The context of a command: its project, its cache, and the cache's largest size."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache import maintenance
from hatch_wazcache.cache.location import default_directory
from hatch_wazcache.cache.statistics import DEFAULT_MAX_SIZE
from hatch_wazcache.cache.trust import trusted_users
from hatch_wazcache.cli.display import detail
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.remote_fields import remote_without_project
from hatch_wazcache.util.environment import CACHE_DIR, read_variable
from hatch_wazcache.util.sizes_and_times import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.frontends.hatch.project import HatchProject
    from hatch_wazcache.frontends.other_project import OtherProject
    from hatch_wazcache.frontends.setuptools.project import SetuptoolsProject

    Project = HatchProject | SetuptoolsProject | OtherProject

__all__ = ["Context", "folders_to_search"]

_CODE = ("pyproject.toml", "setup.py", "setup.cfg", "hatch_build.py")
"""The files of a project that run code, or name code to run."""


class Context:
    """The project of a command, and the cache that a build of the project uses."""

    def __init__(self, named: str | None) -> None:
        """Make a context; the properties do the search.

        Args:
            named: the folder of the project; None to find it from the working directory.
        """
        self._named = named

    @cached_property
    def found(self) -> Project | None:
        """The project, or None if there is none.

        Raises:
            WazcacheError: the named folder holds no project, or the project has errors.
        """
        if self._named is None:
            projects = map(_project_in, folders_to_search())
            return next((project for project in projects if project is not None), None)
        root = Path(self._named).absolute()
        if not (root / "pyproject.toml").is_file():
            raise WazcacheError(f"--project {self._named}: there is no pyproject.toml")
        project = _project_in(root)
        if project is None:
            raise WazcacheError(
                f"--project {self._named}: "
                + (
                    _unread_table([root])
                    or "its pyproject.toml has no build hook wazcache, or it is not enabled, and "
                    "no [tool.wazcache]"
                )
            )
        return project

    @property
    def project(self) -> Project:
        """The project, for a command that needs one.

        Raises:
            WazcacheError: there is none, or it has errors.
        """
        if self.found is None:
            raise WazcacheError(
                _unread_table(folders_to_search())
                or "there is no pyproject.toml with the build hook wazcache, or with "
                "[tool.wazcache], in this folder or in one of your folders above it; go into the "
                "project, or name it with --project"
            )
        return self.found

    @cached_property
    def cache(self) -> Path:
        """The cache's directory, which may not exist.

        Raises:
            WazcacheError: the project, whose options may name the directory, has errors.
        """
        # `--cache-dir` sets this variable too. An absolute path is the same for every project.
        given = os.path.expanduser(read_variable(CACHE_DIR) or "")
        if os.path.isabs(given):
            return _said(Path(os.path.abspath(given)), f"--cache-dir or {CACHE_DIR} names it")
        if self.found is not None:
            config, root = self.found.config(), self.found.root
            if config.cache_dir is not None:
                return _said(config.cache_dir, f"{config.location}.cache-dir of {root} names it")
        elif given:
            return _said(Path(os.path.abspath(given)), f"{CACHE_DIR} names it")
        return _said(default_directory(), "it is the user's cache folder")

    @cached_property
    def trusted_cache(self) -> Path:
        """The cache's directory without links, for a command that reads entries or removes them.

        Raises:
            WazcacheError: others can write to it, or as for `cache`.
            OSError: it cannot be read.
        """
        real = Path(os.path.realpath(self.cache))
        self.check_cache()
        maintenance.exists(real, self.root_of_project)  # a link may have changed meanwhile
        return real

    def check_cache(self) -> bool:
        """Say whether the cache exists.

        Raises:
            WazcacheError, OSError: as for `trusted_cache`.
        """
        return maintenance.exists(self.cache, self.root_of_project)

    @property
    def root_of_project(self) -> Path | None:
        """The root of the project; None if there is none, or if it has errors."""
        with suppress(WazcacheError):  # a command on the cache works beside a broken project
            return self.found.root if self.found else None
        return None

    @property
    def remote(self) -> RemoteOptions | None:
        """The shared cache; None if there is none. Without a project, the environment says it.

        Raises:
            WazcacheError: the project, or a variable, has errors.
        """
        if self.found is not None:
            return self.found.config().remote
        return remote_without_project(os.environ, Path.cwd())

    @property
    def max_size(self) -> int | None:
        """The largest size of the cache in bytes; None for any size.

        Raises:
            WazcacheError: the project, whose options may set the size, has errors.
        """
        if self.found is not None:
            return self.found.config().max_size
        return parse_size(DEFAULT_MAX_SIZE)


def _said(cache: Path, reason: str) -> Path:
    """Show which cache is used and why, if details are shown; return the cache."""
    detail(f"the cache is {cache}: {reason}")
    return cache


def folders_to_search() -> Iterator[Path]:
    """Yield the working directory, and each folder above it whose project may be read.

    Reading a project can run its code. A user who works below /tmp has not chosen to run the code
    of another user's project in /tmp. git has the same rule.

    Raises:
        WazcacheError: the project in the working directory is another user's.
    """
    folder = Path.cwd()
    if (owner := _other_owner(folder)) is not None:
        raise WazcacheError(
            f"{folder}: the project, or a part of it, belongs to another user (uid {owner}), whose "
            "code could run; if you trust it, name it: --project ."
        )
    yield folder
    yield from (parent for parent in folder.parents if _other_owner(parent) is None)


def _other_owner(folder: Path) -> int | None:
    """Return a user who is not trusted, and owns a project or a part of it; None if there is none.

    Trusted are root, the user, the owner of the home directory, and the user who called sudo.
    """
    if sys.platform == "win32" or not (folder / "pyproject.toml").exists():
        return None
    users = {*trusted_users(), int(os.environ.get("SUDO_UID") or 0)}
    for name in ("", *_CODE):
        with suppress(FileNotFoundError):
            for status in ((folder / name).lstat(), (folder / name).stat()):
                if status.st_uid not in users:
                    return status.st_uid
    return None


def _unread_table(folders: Iterable[Path]) -> str | None:
    """Return a message about the first table of options that a project's build does not read."""
    from hatch_wazcache.project.pyproject import read_pyproject, unread_table

    messages = (unread_table(folder, read_pyproject(folder)) for folder in folders)
    return next(filter(None, messages), None)


def _project_in(folder: Path) -> Project | None:
    """Return the project in a folder, if it uses hatch-wazcache.

    Raises:
        WazcacheError: its `pyproject.toml` has errors.
    """
    from hatch_wazcache.project.pyproject import (
        HATCHLING,
        build_backend,
        read_pyproject,
        shared_table,
        unread_table,
    )

    if not (folder / "pyproject.toml").is_file():
        return None
    pyproject = read_pyproject(folder)
    if unread_table(folder, pyproject):
        return None
    backend = build_backend(pyproject)
    if shared_table(pyproject) is not None and backend != HATCHLING:
        from hatch_wazcache.frontends.other_project import OtherProject, runs_no_hook

        if runs_no_hook(backend):
            return OtherProject(folder, pyproject)
        from hatch_wazcache.frontends.setuptools.project import SetuptoolsProject

        return SetuptoolsProject(folder)
    from hatch_wazcache.frontends.hatch.project import HatchProject

    hatch = HatchProject(folder)
    return hatch if hatch.has_hook else None
