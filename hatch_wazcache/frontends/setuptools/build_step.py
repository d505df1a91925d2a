"""The last step of setuptools' `build`: its words translated into the steps of a build.

The commands around it, and a project outside of a build, ask it for what they need.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from functools import cached_property
from logging import INFO, WARNING
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from setuptools import Command

from hatch_wazcache.engine.targets import TARGETS, native_target
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.environment import TARGET, read_variable
from hatch_wazcache.project.pyproject import project_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from setuptools.dist import Distribution

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.packing.plan import Plan
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement
    from hatch_wazcache.project.packages import Layout
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["NAME", "BuildWazcache", "build_wazcache", "one_message"]

NAME = "build_wazcache"


def build_wazcache(distribution: Distribution) -> BuildWazcache:
    """Return a distribution's step; there is one, as of every command."""
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
        lines = str(error).splitlines()
        raise SystemExit("\n".join(f"wazcache: {line}" for line in lines)) from error


class BuildWazcache(Command):
    """Compiles the declared `.wasm` files, after the steps of `build` that may generate them.

    For an editable install it writes beside the sources, else into the folder that `build` fills.
    For a wheel it only sees to it that all is in the cache: `bdist_wheel` packs it.
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
        """Do all the slow work, and write what is not for a wheel."""
        from hatch_wazcache.packing.build import Build

        with one_message():
            target = self._target()
            self.build = Build(self.project(), target, self.report)
            self._plan = self.build.plan
            try:
                self.build.make_entries()
                if not self.for_wheel:
                    self._write(self.build)
                    self.build.record_and_prune()
            finally:
                if not self.for_wheel:
                    self.close()

    def _write(self, build: Build) -> None:
        from hatch_wazcache.packing.editable import write_editable
        from hatch_wazcache.packing.tree import write_tree

        if self.editable_mode:
            write_editable(build)
            self._filter_data_files(Path.is_file)  # it may have removed some
            self.report.is_done("beside the .wasm files, for an editable install")
        else:
            write_tree(build, Path(self.build_lib))
            self.report.is_done(self.build_lib)

    def _target(self) -> Target:
        config = self.config
        if self.editable_mode or not self.for_wheel:
            return native_target() or TARGETS["any"]
        if config.wanted is None and len(config.targets) > 1:
            others = [one.name for one in config.targets if one != config.target]
            self.report.is_one_of_several(config.target.name, others)
        return config.target

    def close(self) -> None:
        """Release the cache. Can be called twice."""
        if self.build is not None:
            self.build.close()
        self.build = None

    # what `editable_wheel` and `sdist` ask every step of `build`

    def get_source_files(self) -> list[str]:
        """Name the assets, for the sdist; what is wrong with them is told when it is made."""
        with suppress(WazcacheError):
            return self.assets()
        return []

    def get_outputs(self) -> list[str]:
        return list(self.get_output_mapping())

    def get_output_mapping(self) -> dict[str, str]:
        """Tell a strict editable install what to link to: path in a build to path in the tree."""
        if self._plan is None:
            return {}
        files = {asset.distribution: asset.source for asset in self._plan.assets}
        for artifact in self._plan.artifacts:
            files[artifact.distribution] = artifact.asset.package.source / artifact.name
        for package in self._plan.packages:
            for name in filter(None, (package.manifest, package.loader)):
                files[package.file(name)] = package.source / name
        return {
            os.path.join(self.build_lib, path): os.path.relpath(source, self.root)
            for path, source in files.items()
        }

    # what the project says

    @cached_property
    def root(self) -> Path:
        """The project's root, absolute."""
        return Path(os.path.abspath(self.distribution.src_root or os.curdir))

    @cached_property
    def config(self) -> Config:
        """The options."""
        return project_config(self.root, os.environ)

    def set_target(self, name: str) -> None:
        """Build for a target, unless the environment names another."""
        chosen = read_variable(TARGET) or name
        self.config = project_config(self.root, {**os.environ, TARGET: chosen})

    @cached_property
    def requirement(self) -> EngineRequirement:
        """What the project says of wasmtime."""
        from hatch_wazcache.project.engine_requirement import EngineRequirement

        said: Any = self.distribution
        return EngineRequirement.of(said.install_requires, said.extras_require, self.config.engine)

    @cached_property
    def report(self) -> Report:
        """What is said meanwhile."""
        from hatch_wazcache.report import Report

        def announce(level: int) -> Callable[[str], None]:
            return lambda text: self.distribution.announce(text, level)

        return Report(announce(INFO), announce(WARNING), strict=self.config.strict)

    def project(self) -> Project:
        """Return the project as setuptools knows it now."""
        from hatch_wazcache.project.project import Project

        name = self.distribution.get_name()
        return Project(name, self.config, self.layout(), self.requirement)

    # what goes where

    def layout(self) -> Layout:
        """Ask setuptools what goes where."""
        from hatch_wazcache.project.packages import Layout

        folders = self._package_folders()

        def distribution_path(relative: str) -> str:
            path = PurePosixPath(relative)
            for folder in path.parents:
                if folder in folders:
                    return str(folders[folder] / path.relative_to(folder))
            return relative

        return Layout(self.root, self.files(), distribution_path, Path(self._build_base()))

    def files(self) -> dict[str, str]:
        """Ask for all that other steps put into a build: absolute source path to path in it."""
        files = {}
        for name in self.get_finalized_command("build").get_sub_commands():
            step = self.get_finalized_command(name)
            if name != NAME and hasattr(step, "get_output_mapping"):
                for built, source in step.get_output_mapping().items():
                    path = _with_slashes(os.path.relpath(built, self.build_lib))
                    files[os.path.normpath(self.root / source)] = path
        return files

    def _package_folders(self) -> dict[PurePosixPath, PurePosixPath]:
        """Return where the files of each folder with packages go."""
        build_py = self.get_finalized_command("build_py")
        places = {"": PurePosixPath()}
        places |= {name: PurePosixPath(*name.split(".")) for name in build_py.packages or ()}
        return {
            PurePosixPath(_with_slashes(self._relative(build_py.get_package_dir(name)))): place
            for name, place in places.items()
        }

    def _relative(self, path: str) -> str:
        return os.path.relpath(self.root / path, self.root)

    def _build_base(self) -> str:
        return os.path.join(self.root, self.get_finalized_command("build").build_base)

    def assets(self) -> list[str]:
        """Find the declared files, by their paths relative to the root.

        Raises:
            WazcacheError: a glob matches nothing, or a file outside of the root.
        """
        from hatch_wazcache.packing.find_assets import find_assets

        found = find_assets(self.config, self.root, Path(self._build_base()))
        return [file.relative.replace("/", os.sep) for file in found]

    # what has no place there

    def strays(self, files: Mapping[str, str], assets: Iterable[str]) -> set[str]:
        """Find what has no place in a distribution: caches, and what editable installs left.

        Args:
            files: absolute source path to path in the distribution.
            assets: paths in the distribution.

        Returns:
            Paths in the distribution.
        """
        from hatch_wazcache.packing import editable
        from hatch_wazcache.project.caches_in_tree import caches_in_tree
        from hatch_wazcache.wheels.manifest import manifest_name

        loader = Path(self.config.loader).name if self.config.loader else None
        found = set(editable.leftovers(self.root, files, assets, manifest_name(loader)))
        caches = list(caches_in_tree(self.root, files, self.config))
        for source, path in files.items():
            if any(Path(source).is_relative_to(cache) for cache in caches):
                found.add(path)
        return found

    def keep_out_of_build(self) -> None:
        """Have the other steps of `build` pass over the assets, and remove what old builds left.

        setuptools packs all that lies in its folder. What it does copy is replaced, or dropped.
        """
        self._sweep()
        with suppress(WazcacheError):  # they may be generated later; else it is told then
            assets = {self.root / asset for asset in self.assets()}
            self._filter_data_files(lambda path: path not in assets)

    def _filter_data_files(self, keep: Callable[[Path], bool]) -> None:
        build_py = self.get_finalized_command("build_py")
        build_py.data_files = [
            (package, folder, built, [n for n in names if keep(self.root / folder / n)])
            for package, folder, built, names in build_py.data_files
        ]

    def _sweep(self) -> None:
        from hatch_wazcache.wheels.manifest import is_loader

        for path in list(Path(self.build_lib).rglob("*")):
            if path.suffix == ".py" and is_loader(path):
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
            elif path.suffix in (".wasm", ".cwasm"):
                path.unlink()


def _with_slashes(path: str) -> str:
    return path.replace(os.sep, "/")
