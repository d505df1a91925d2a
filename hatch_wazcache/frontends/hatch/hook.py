"""The build hook of hatchling: its words translated into the steps of a build."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn, cast

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from hatch_wazcache.engine.targets import TARGETS, native_target
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hatchling.builders.wheel import WheelBuilder

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.formats.zip_members import DateTime
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement
    from hatch_wazcache.project.packages import Layout
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report
    from hatch_wazcache.wheels.platform_wheel import PlatformWheel

__all__ = ["WazcacheBuildHook"]


class WazcacheBuildHook(BuildHookInterface[BuilderConfig]):
    """Compiles a project's `.wasm` files for the wheel.

    hatchling calls `initialize`, builds its wheel, and calls `finalize`; if it fails between the
    two, it tells nobody.
    """

    PLUGIN_NAME = "wazcache"

    target: Target | None = None
    """What the builder builds this wheel for."""
    ahead: tuple[Target, ...] = ()
    """What it builds wheels for after this one; their artifacts are compiled with this one's."""
    earlier: Build | None = None
    """The build for the first of its wheels, which has looked up this one's artifacts."""
    shared: Build | None = None
    """This build, if wheels come after it: it stays open until the builder has made them all."""

    _build: Build | None = None
    _wheel: PlatformWheel | None = None
    _report: Report
    _tag = ""
    _not_in_wheel: Collection[str] = ()
    """Members of hatchling's wheel that ours take the place of, or nothing does."""
    _copies: TemporaryDirectory[str] | None = None
    """Of assets that are links, for an sdist."""

    def dependencies(self) -> list[str]:
        """Return the wasmtime that the project needs, for the build environment of a wheel."""
        if self.target_name != "wheel":
            return []
        try:
            return self._requirement(self.options).to_install()
        except WazcacheError as error:
            self._stop(error)

    def clean(self, versions: list[str]) -> None:  # noqa: ARG002
        """Remove what editable installs have written."""
        from hatch_wazcache.packing import editable
        from hatch_wazcache.wheels.manifest import manifest_name

        if self.target_name == "wheel":
            loader = None
            with suppress(WazcacheError):  # clean never fails for an option
                loader = self._table[0].get("loader")
            name = manifest_name(Path(loader).name if isinstance(loader, str) else None)
            editable.remove(Path(self.root), self.metadata.core.name, name)

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Do all the slow work, before hatchling builds its wheel."""
        try:
            if self.target_name == "sdist":
                self._initialize_sdist(build_data)
            elif self.target_name == "wheel":
                self._initialize_wheel(version, build_data)
        except WazcacheError as error:
            self._stop(error)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Put the heavy members into hatchling's wheel, or the artifacts beside the sources."""
        from hatch_wazcache.packing.editable import write_editable
        from hatch_wazcache.util.sizes_and_times import size_text

        if self._build is None:
            return
        base = Path(artifact_path)
        hatchlings = _identity(base)
        try:
            if version == "editable":
                write_editable(self._build)
                self._report.is_done("beside the .wasm files, for an editable install")
            else:
                size = self._finish_wheel(base, build_data)
                self._report.is_done(f"{base.name} ({size_text(size)})")
            if self.shared is None and (self.earlier is None or self._report.compiled):
                self._build.record_and_prune()
        except BaseException as error:
            if _identity(base) == hatchlings:  # else it is another build's by now
                base.unlink(missing_ok=True)
            if isinstance(error, WazcacheError):
                self._stop(error)
            raise
        finally:
            if self._wheel is not None:
                self._wheel.abandon()
            if self.shared is None:
                self._build.close()
            self._build = self._wheel = None

    # the wheel

    def _initialize_wheel(self, version: str, build_data: dict[str, Any]) -> None:
        from hatch_wazcache.packing.build import Build
        from hatch_wazcache.packing.wheel import begin_wheel
        from hatch_wazcache.report import Report
        from hatch_wazcache.wheels.platform_wheel import wheel_tag

        config = self.options
        self._report = Report(self.app.display_info, self.app.display_warning, strict=config.strict)
        date_time = _date_time()
        project = self.project(build_data)
        editable = version == "editable"
        target = native_target() or TARGETS["any"] if editable else self._target(config)
        self._build = build = Build(project, target, self._report, self.earlier)
        self.shared = build if self.ahead else None
        if not editable:
            earlier = build_data.get("tag")
            if earlier is None and build_data["infer_tag"]:
                builder = cast("WheelBuilder", self.build_config.builder)
                earlier = builder.get_best_matching_tag()
            self._tag = wheel_tag(earlier, target, config.location)
        build.make_entries(self.ahead)
        if not editable:
            build_data["tag"], build_data["infer_tag"] = self._tag, False
            build_data["pure_python"] = build_data["pure_python"] and target.name == "any"
            reproducible = self.build_config.reproducible
            self._wheel = begin_wheel(
                build, Path(self.directory), date_time, reproducible=reproducible
            )
            self._keep_out(build, project.layout, build_data)

    def _target(self, config: Config) -> Target:
        """Choose what to build for; where the front end asks for one wheel, say what that is."""
        if self.target is not None:
            return self.target
        target = config.target
        if config.wanted is None and len(config.targets) > 1:
            others = [one.name for one in config.targets if one != target]
            self._report.is_one_of_several(target.name, others, "hatch build -t wazcache")
        return target

    def _finish_wheel(self, base: Path, build_data: dict[str, Any]) -> int:
        if build_data.get("tag") != self._tag or build_data["infer_tag"]:
            raise WazcacheError(
                f"{self._location}: a build hook that runs after wazcache set the wheel's tag; "
                "wazcache goes last: move its table behind that hook's"
            )
        assert self._wheel is not None
        assert self._build is not None
        try:
            return self._wheel.finish(base, base, self._not_in_wheel, self._report.say)
        except OSError as error:
            raise WazcacheError(f"{base}: cannot be written: {error.strerror or error}") from error

    def _layout(self, build_data: dict[str, Any]) -> Layout:
        """Ask hatchling what goes where, as it will be asked once more while it builds."""
        from hatch_wazcache.project.packages import Layout

        config = self.build_config
        files = self._files(build_data)

        def distribution_path(relative: str) -> str:
            native = relative.replace("/", os.sep)
            return _with_slashes(config.get_distribution_path(native))

        return Layout(Path(self.root), files, distribution_path)

    def _keep_out(self, build: Build, layout: Layout, build_data: dict[str, Any]) -> None:
        """Have hatchling pass over what we put into the wheel, and what must not be in it.

        It saves time only: `finalize` replaces or drops a member of such a name anyway.
        """
        from hatch_wazcache.packing import editable

        assert self._wheel is not None
        plan = build.plan
        assets = [asset.distribution for asset in plan.assets]
        ours = [
            *assets,
            *self._cache_files(layout.files),
            *self._distribution_paths([self._wheel.path]),
        ]
        for package in plan.packages:
            ours.append(package.file(package.manifest))
            ours += [package.file(package.loader)] if package.loader else []
        for name in {package.manifest for package in plan.packages}:
            ours += editable.leftovers(layout.root, layout.files, assets, name)
        self._not_in_wheel = set(ours)
        reserved = {path.replace("/", os.sep) for path in ours}
        self.build_config.build_reserved_paths |= reserved - self._outside_packages(build_data)

    def _outside_packages(self, build_data: dict[str, Any]) -> set[str]:
        """Return paths that hatchling looks up as reserved before it puts them somewhere else."""
        config, found = self.build_config, set()
        for option in ("shared_data", "shared_scripts", "extra_metadata"):
            own: dict[str, str] = getattr(config, option)
            hooks = {
                os.path.normpath(os.path.join(self.root, source)): path
                for source, path in build_data.get(option, {}).items()
            }
            for file in config.builder.recurse_explicit_files({**own, **hooks}):
                found.add(file.distribution_path)
        return found

    # the sdist

    def _initialize_sdist(self, build_data: dict[str, Any]) -> None:
        from hatch_wazcache.packing import editable
        from hatch_wazcache.packing.find_assets import find_assets
        from hatch_wazcache.wheels.manifest import manifest_name

        config, root = self.options, Path(self.root)
        assets = []
        for file in find_assets(config, root):
            copied = str(self._no_link(file.path, file.relative))
            build_data["force_include"][copied] = file.relative
            assets.append(self.build_config.get_distribution_path(file.relative))
        files = self._files(build_data)
        name = manifest_name(Path(config.loader).name if config.loader else None)
        for path in (*editable.leftovers(root, files, assets, name), *self._cache_files(files)):
            self.build_config.build_reserved_paths.add(path.replace("/", os.sep))

    def _no_link(self, source: Path, relative: str) -> Path:
        """Return a file itself: an sdist would hold a link, which may lead nowhere later on."""
        if not source.is_symlink():
            return source
        if self._copies is None:
            self._copies = TemporaryDirectory(prefix="wazcache-")  # goes when this process ends
        copy = Path(self._copies.name, str(len(os.listdir(self._copies.name))))
        try:
            shutil.copy2(source, copy)
        except OSError as error:
            raise WazcacheError(f"{relative}: cannot be read: {error.strerror or error}") from error
        return copy

    # both

    def _files(self, build_data: dict[str, Any]) -> dict[str, str]:
        """Ask hatchling for all that it includes: absolute source path to distribution path."""
        config = self.build_config
        reserved = set(config.build_reserved_paths)
        try:
            with config.set_build_data(build_data):  # which forgets the reserved paths
                return {
                    file.path: _with_slashes(file.distribution_path)
                    for file in config.builder.recurse_included_files()
                }
        except (ValueError, FileNotFoundError) as error:
            raise WazcacheError(str(error)) from error
        finally:
            config.build_reserved_paths |= reserved

    def _cache_files(self, files: Mapping[str, str]) -> Iterator[str]:
        """Find the files of caches inside of the project; they have no place in a distribution."""
        from hatch_wazcache.project.caches_in_tree import caches_in_tree

        for cache in caches_in_tree(Path(self.root), files, self.options):
            for folder, _folders, names in os.walk(cache):
                yield from self._distribution_paths(Path(folder, name) for name in names)

    def _distribution_paths(self, paths: Iterable[Path]) -> Iterator[str]:
        """Say where files of the project would be in a distribution."""
        for path in paths:
            if path.is_relative_to(self.root):
                relative = os.path.relpath(path, self.root)
                yield _with_slashes(self.build_config.get_distribution_path(relative))

    @cached_property
    def _location(self) -> str:
        """The TOML path of the table that hatchling gave us."""
        own = self.build_config.target_config.get("hooks", {})
        target = f"targets.{self.target_name}." if "wazcache" in own else ""
        return f"tool.hatch.build.{target}hooks.wazcache"

    @cached_property
    def _table(self) -> tuple[Mapping[str, Any], str]:
        """The options and their TOML path."""
        from hatch_wazcache.project.pyproject import HATCHLINGS_OPTIONS, choose_table

        own = {name: value for name, value in self.config.items() if name not in HATCHLINGS_OPTIONS}
        return choose_table(self.metadata.config, {self._location: own})

    @cached_property
    def options(self) -> Config:
        """The checked options.

        Raises:
            WazcacheError: all that is wrong with them, one line each.
        """
        from hatch_wazcache.project.caches_in_tree import refuse_shared_folder
        from hatch_wazcache.project.options import read_config

        table, location = self._table
        config = read_config(table, location, os.environ, Path(self.root))
        refuse_shared_folder(config, Path(self.root))
        return config

    def project(self, build_data: dict[str, Any]) -> Project:
        """Read the project.

        Args:
            build_data: as hatchling gives it to hooks.

        Raises:
            WazcacheError: all that is wrong with its options, one line each.
        """
        from hatch_wazcache.project.project import Project

        config, name = self.options, self.metadata.core.name
        return Project(name, config, self._layout(build_data), self._requirement(config))

    def _requirement(self, config: Config) -> EngineRequirement:
        from hatch_wazcache.project.engine_requirement import EngineRequirement

        core = self.metadata.core
        return EngineRequirement.of(core.dependencies, core.optional_dependencies, config.engine)

    def _stop(self, error: WazcacheError) -> NoReturn:
        """End the build with a message and no traceback, under every front end."""
        if self._wheel is not None:
            self._wheel.abandon()
        if self._build is not None:
            self._build.close()
        lines = str(error).splitlines()
        self.app.abort("\n".join(f"wazcache: {line}" for line in lines))
        raise SystemExit(1)  # abort ends the process; its type does not say so


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another that has taken its name."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _with_slashes(path: str) -> str:
    return path.replace(os.sep, "/")


def _date_time() -> DateTime:
    """Return the time stamp of generated members, as hatchling has it."""
    from hatchling.builders.utils import get_reproducible_timestamp

    from hatch_wazcache.formats.zip_members import moment_of_build

    return moment_of_build(get_reproducible_timestamp)
