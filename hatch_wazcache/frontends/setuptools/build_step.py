"""The last step of setuptools' `build`, which compiles. The other commands use it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from functools import cached_property
from logging import INFO, WARNING
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from setuptools import Command

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.messages import with_prefix
from hatch_wazcache.project.pyproject import project_config
from hatch_wazcache.util.environment import TARGET, read_variable
from hatch_wazcache.util.terminal import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from setuptools.dist import Distribution

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.frontends.setuptools.files import SetuptoolsFiles
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.packing.plan import Plan
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["NAME", "BuildWazcache", "build_wazcache", "one_message"]

NAME = "build_wazcache"


def build_wazcache(distribution: Distribution) -> BuildWazcache:
    """Return a distribution's step. setuptools keeps one object for each command."""
    command = distribution.get_command_obj(NAME)
    assert isinstance(command, BuildWazcache)
    command.ensure_finalized()
    return command


@contextmanager
def one_message() -> Iterator[None]:
    """End a build with a message and no traceback, under every front end."""
    try:
        yield
    except WazcacheError as error:
        raise SystemExit(with_prefix(error)) from error


class BuildWazcache(Command):
    """Compiles the declared `.wasm` files, after the steps of `build` that may generate them.

    For an editable install it writes beside the sources. For a plain `build` it writes into the
    folder that `build` fills. For a wheel it only fills the cache: `bdist_wheel` packs the entries.
    """

    command_name = NAME
    description = "compile the declared .wasm files"
    user_options: ClassVar[list[tuple[str, str, str]]] = []
    editable_mode = False
    """Set by setuptools for an editable install."""

    def initialize_options(self) -> None:
        self.build_lib = ""
        self.for_wheel = False
        self.build: Build | None = None
        self._plan: Plan | None = None

    def finalize_options(self) -> None:
        self.build_lib = self.get_finalized_command("build").build_lib

    def run(self) -> None:
        """Do all the slow work, and write the files, except for a wheel."""
        from hatch_wazcache.packing.build import Build

        with one_message():
            project = self.project()
            self.build = Build(project, self._target(project), self.report)
            self._plan = self.build.plan
            try:
                if self.for_wheel:
                    self.build.check_sbom()
                self.build.make_entries()
                if not self.editable_mode:
                    assets = [asset.distribution for asset in self._plan.assets]
                    self.files.remove_unwanted(assets, self.config)
                if not self.for_wheel:
                    self._write(self.build)
                    self.build.record_and_prune()
            finally:
                if not self.for_wheel:
                    self.close()

    def _write(self, build: Build) -> None:
        from hatch_wazcache.packing.editable import write_editable

        if self.editable_mode:
            write_editable(build)
            self.files.filter_data_files(Path.is_file)  # it may have removed some
        else:
            self.files.tree.write(build)
            build.entries.remote.finish()
            self.report.is_done(self.build_lib)

    def _target(self, project: Project) -> Target:
        config = self.config
        if self.editable_mode or not self.for_wheel:
            return project.native_target
        if config.targets_given and config.other_targets:
            self.report.is_one_of_several(config.target.name, config.other_targets)
        return config.target

    def close(self) -> None:
        """Release the cache. Can be called twice."""
        if self.build is not None:
            self.build.close()
        self.build = None

    # for `editable_wheel` and `sdist`, which call these methods of every step of `build`

    def get_source_files(self) -> list[str]:
        """Return the assets, for the sdist. Errors are reported when the sdist is written."""
        with suppress(WazcacheError):
            return self.files.assets(self.config)
        return []

    def get_outputs(self) -> list[str]:
        return list(self.get_output_mapping())

    def get_output_mapping(self) -> dict[str, str]:
        """Return the links of a strict editable install: path in a build to path in the tree."""
        if self._plan is None:
            return {}
        files = {asset.distribution: asset.source for asset in self._plan.assets}
        for artifact in self._plan.artifacts:
            files[artifact.distribution] = artifact.editable_path
        for package in self._plan.packages:
            for name in filter(None, (package.manifest, package.loader)):
                files[package.file(name)] = package.source / name
        return {
            os.path.join(self.build_lib, path): os.path.relpath(source, self.root)
            for path, source in files.items()
            if not self.editable_mode or source.is_file()
        }

    # the project

    @cached_property
    def root(self) -> Path:
        """The project's root, absolute."""
        return Path(os.path.abspath(self.distribution.src_root or os.curdir))

    @cached_property
    def files(self) -> SetuptoolsFiles:
        """The project's files, as the other steps treat them."""
        from hatch_wazcache.frontends.setuptools.files import SetuptoolsFiles

        return SetuptoolsFiles(self, self.root)

    @cached_property
    def config(self) -> Config:
        """The options."""
        config = project_config(self.root, os.environ)
        return self._requirement(config).fit(config, self._requires_python)

    def set_target(self, name: str) -> None:
        """Build for a target, unless the environment names another."""
        chosen = read_variable(TARGET) or name
        self.config = project_config(self.root, {**os.environ, TARGET: chosen})

    @cached_property
    def requirement(self) -> EngineRequirement:
        """The project's requirement on wasmtime."""
        return self._requirement(self.config)

    def _requirement(self, config: Config) -> EngineRequirement:
        from hatch_wazcache.project.engine_requirement import EngineRequirement

        read: Any = self.distribution
        return EngineRequirement.of(
            read.install_requires, read.extras_require, config.engine, config.companion
        )

    @property
    def _requires_python(self) -> str:
        return str(getattr(self.distribution, "python_requires", None) or "")

    def project(self) -> Project:
        """Return the project as setuptools knows it now.

        Raises:
            WazcacheError: nobody would get its companions.
        """
        from hatch_wazcache.project.companion import check_companion
        from hatch_wazcache.project.project import Project

        name, layout = self.distribution.get_name(), self.files.layout()
        read: Any = self.distribution
        check_companion(self.config, name, read.install_requires, read.extras_require)
        return Project(name, self.config, layout, self.requirement, self._requires_python)

    @cached_property
    def report(self) -> Report:
        """Shows progress and warnings."""
        from hatch_wazcache.report import Report

        def announce(level: int) -> Callable[[str], None]:
            # setuptools logs to standard output, which has a small encoding on Windows.
            encoding = getattr(sys.stdout, "encoding", None)
            return lambda text: self.distribution.announce(encodable(text, encoding), level)

        return Report(announce(INFO), announce(WARNING), strict=self.config.strict)
