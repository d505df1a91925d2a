"""A project that setuptools builds, for commands that work outside a build."""

from __future__ import annotations

import logging
import os
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.working_directory import in_project_root
from hatch_wazcache.project.pyproject import project_config
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_wazcache.frontends.setuptools.build_step import BuildWazcache
    from hatch_wazcache.packing.plan import Plan
    from hatch_wazcache.packing.preview import Preview
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["SetuptoolsProject"]


class SetuptoolsProject:
    """A project with `[tool.wazcache]` that setuptools reads."""

    def __init__(self, root: Path) -> None:
        """Prepare; nothing is read yet.

        Args:
            root: the folder of its `pyproject.toml`, absolute.
        """
        self.root = root

    def config(self) -> Config:
        """Return the options.

        Raises:
            WazcacheError: all their problems, one line each.
        """
        return project_config(self.root, os.environ)

    def plan(self) -> Plan:
        """Plan a build of the files that are there now. Runs no command, and asks no cache.

        Raises:
            WazcacheError: an asset or the engine is not fit to build.
        """
        from hatch_wazcache.packing.build import plan_build

        with self._step() as step:
            return plan_build(step.project())

    def preview(self, cache: Path) -> Preview:
        """Say what builds for all targets would make. Runs no step of a build; writes nothing.

        Args:
            cache: the folder of the cache.

        Raises:
            WazcacheError: an asset or an engine is not fit to build.
        """
        from hatch_wazcache.packing.make_preview import make_preview
        from hatch_wazcache.packing.preview import Release

        with self._step() as step:
            tag = "-".join(step.get_finalized_command("bdist_wheel").get_tag())
            release = Release(step.distribution.get_version(), tag)
            return make_preview(step.project(), release, cache)

    def build_command(self, config: Config, target: str) -> str:
        """Return the command of a POSIX shell that makes the wheels of a target.

        Raises:
            WazcacheError: the options do not say for which wasmtime the companions are.
        """
        if config.companion is None:
            return f"WAZCACHE_TARGET={target} python -m build --wheel"
        if not config.engines:
            raise WazcacheError(
                f"{config.where('companion')}: a matrix needs {config.where('engines')}, the "
                "versions of wasmtime to make companions for"
            )
        engines = " ".join(f"--engine {shlex.quote(engine)}" for engine in config.engines)
        return (
            "WAZCACHE_TARGET=any python -m build --wheel && hatch-wazcache companion "
            f"dist/*-any.whl {engines} --targets {target} -w dist"
        )

    def run(self, work: Callable[[Project], None]) -> None:
        """Work on the project, with the files that are there now. Makes no wheel.

        Raises:
            WazcacheError: the project is not fit to build, or the work raises it.
        """
        with self._step() as step:
            work(step.project())

    def refresh_editable(self, report: Report) -> None:
        """Bring an editable install up to date with the files that are there now.

        Args:
            report: shows progress, and counts.

        Raises:
            WazcacheError: an asset cannot be compiled, or the source tree cannot be written.
        """
        from hatch_wazcache.packing.editable import refresh_editable

        with self._step() as step:
            refresh_editable(step.project(), report)

    @contextmanager
    def _step(self) -> Iterator[BuildWazcache]:
        """Read the project and give our step of `build`, which does not run. Writes no file."""
        with in_project_root(self.root), TemporaryFolder() as folder:
            logging.disable(logging.INFO)  # setuptools announces its steps
            try:
                from hatch_wazcache.frontends.setuptools.build_step import build_wazcache

                distribution = _read_distribution()
                distribution.get_command_obj("egg_info").egg_base = folder
                yield build_wazcache(distribution)
            except WazcacheError:
                raise
            except ImportError as error:
                raise WazcacheError(
                    f"{error}: install the build requirements of {self.root}"
                ) from error
            except (Exception, SystemExit) as error:  # a setup.py can raise anything
                raise WazcacheError(f"{self.root}: setuptools: {error}") from error
            finally:
                logging.disable(logging.NOTSET)


def _read_distribution() -> Any:
    import setuptools  # noqa: I001  # must come first: it replaces distutils

    from distutils.core import run_setup

    if os.path.exists("setup.py"):
        made: Any = run_setup("setup.py", [], stop_after="config")
    else:
        made = setuptools.Distribution({"script_name": "setup.py"})
        made.parse_config_files()
    made.set_defaults()
    return made
