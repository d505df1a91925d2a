"""A project outside of a build that setuptools builds: what would be built, compile it."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.working_directory import in_project_root
from hatch_wazcache.project.pyproject import project_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_wazcache.frontends.setuptools.build_step import BuildWazcache
    from hatch_wazcache.packing.plan import Plan
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.report import Report

__all__ = ["SetuptoolsProject"]


class SetuptoolsProject:
    """A project with `[tool.wazcache]`; setuptools knows what is in it."""

    def __init__(self, root: Path) -> None:
        """Read nothing yet.

        Args:
            root: where its `pyproject.toml` is, absolute.
        """
        self.root = root

    def config(self) -> Config:
        """Return the options.

        Raises:
            WazcacheError: all that is wrong with them, one line each.
        """
        return project_config(self.root, os.environ)

    def plan(self) -> Plan:
        """Return what a build of the files that are there now would put into the wheel.

        No command is run that would generate some, and no cache is asked.

        Raises:
            WazcacheError: an asset or the engine is not fit to build.
        """
        from hatch_wazcache.packing.build import plan_build

        with self._step() as step:
            return plan_build(step.project())

    def warm(self, report: Report) -> None:
        """Compile what a build of the files that are there now would; make no wheel.

        Args:
            report: what is said meanwhile, and the counts.

        Raises:
            WazcacheError: an asset cannot be compiled, or the cache does not keep it.
        """
        from hatch_wazcache.packing.build import warm

        with self._step() as step:
            warm(step.project(), report)

    @contextmanager
    def _step(self) -> Iterator[BuildWazcache]:
        """Give the step of a build that none is run of; leaves the project as it is."""
        with in_project_root(self.root), TemporaryDirectory(prefix="wazcache-") as folder:
            logging.disable(logging.INFO)  # what setuptools does is no answer
            try:
                from hatch_wazcache.frontends.setuptools.build_step import build_wazcache

                distribution = _read_distribution()
                distribution.get_command_obj("egg_info").egg_base = folder
                yield build_wazcache(distribution)
            except WazcacheError:
                raise
            except ImportError as error:
                raise WazcacheError(f"{error}: install what builds {self.root}") from error
            except (Exception, SystemExit) as error:  # a setup.py can raise anything
                raise WazcacheError(f"{self.root}: setuptools: {error}") from error
            finally:
                logging.disable(logging.NOTSET)


def _read_distribution() -> Any:
    import setuptools  # noqa: I001  # puts its own distutils in its place

    from distutils.core import run_setup

    if os.path.exists("setup.py"):
        made: Any = run_setup("setup.py", [], stop_after="config")
    else:
        made = setuptools.Distribution({"script_name": "setup.py"})
        made.parse_config_files()
    made.set_defaults()
    return made
