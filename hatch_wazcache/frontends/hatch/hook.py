"""The build hook of hatchling: translates hatchling's calls into the steps of a build."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

from hatch_wazcache.errors import WasmtimeError, WazcacheError
from hatch_wazcache.frontends.messages import with_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchling.builders.config import BuilderConfig

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.frontends.hatch.table import HookTable
    from hatch_wazcache.frontends.hatch.wheel import HatchlingWheel
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report
    from hatch_wazcache.util.temporary_folder import TemporaryFolder

    _Interface = BuildHookInterface[BuilderConfig]
else:
    _Interface = BuildHookInterface  # in hatchling 1.32.3 it has another number of parameters

__all__ = ["WazcacheBuildHook", "stop"]


_BUILD_ALL = "hatch build -t wazcache"
"""The command that builds the wheels of all targets."""


class WazcacheBuildHook(_Interface):
    """Compiles a project's `.wasm` files for the wheel.

    hatchling calls `initialize`, builds its wheel, and calls `finalize`. If hatchling fails between
    the two, no hook is called.
    """

    PLUGIN_NAME = "wazcache"

    target: Target | None = None
    """The target that the builder makes this wheel for; None under any other front end."""
    later_targets: tuple[Target, ...] = ()
    """The targets of the wheels that the builder makes next. Their artifacts are compiled together
    with the artifacts of this wheel."""
    first_build: Build | None = None
    """The build of the builder's first wheel. It has looked up the artifacts of this wheel, too."""

    stays_open = False
    """Whether the build of this wheel stays open until the builder's last wheel is done."""
    build: Build | None = None
    """The build of this wheel, while it is open."""
    has_native_files = False
    """Whether an earlier hook has tagged the wheel for one platform."""
    _report: Report
    _wheel: HatchlingWheel | None = None
    _copies: TemporaryFolder | None = None

    def dependencies(self) -> list[str]:
        """Return the wasmtime and the library that a wheel needs, for its build environment."""
        if self.target_name != "wheel":
            return []
        with self._one_message():
            options = self.table.options
            return self.table.requirement.to_install(options, Path(self.root))

    def clean(self, versions: list[str]) -> None:  # noqa: ARG002
        """Remove the files of editable installs."""
        from hatch_wazcache.packing.editable_files import remove
        from hatch_wazcache.wheels.manifest import manifest_name

        if self.target_name == "wheel":
            loader = None
            with suppress(WazcacheError):  # wrong options do not stop `clean`
                loader = self.table.loader
            manifest = manifest_name(Path(loader).name if isinstance(loader, str) else None)
            remove(Path(self.root), self.metadata.core.name, manifest)

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Do all the slow work, before hatchling builds its wheel."""
        with self._one_message():
            if self.target_name == "sdist":
                from hatch_wazcache.frontends.hatch.sdist import prepare_sdist

                self._copies = prepare_sdist(self.build_config, self.table.options, build_data)
            elif self.target_name == "wheel":
                self._begin(version, build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Finish the wheel, or write the artifacts beside the sources."""
        if self.build is None:
            return
        try:
            with self._one_message():
                self._finish(self.build, version, build_data, Path(artifact_path))
        except BaseException:
            self._close(failed=True)
            raise
        self._close()

    def _begin(self, version: str, build_data: dict[str, Any]) -> None:
        from hatch_wazcache.frontends.hatch.archive import complete_before_naming
        from hatch_wazcache.frontends.hatch.wheel import HatchlingWheel
        from hatch_wazcache.packing.build import Build
        from hatch_wazcache.report import Report

        app, strict = self.app, self.table.options.strict
        detailed = app.verbosity > 0
        self._report = Report(
            app.display_info, app.display_warning, strict=strict, detailed=detailed
        )
        project = self.project(build_data)
        editable = version == "editable"
        target = project.native_target if editable else self._target()
        self.build = build = Build(project, target, self._report, self.first_build)
        try:
            if editable:
                build.make_entries(self.later_targets)
            else:
                config, location = self.build_config, self.table.location
                self._wheel = HatchlingWheel(config, location, project, target)
                self._wheel.begin(build, Path(self.directory), build_data, self.later_targets)
                complete_before_naming(config, partial(self._complete, build, build_data))
                self.has_native_files = self._wheel.has_native_files
        except BaseException:
            self._close(failed=True)
            raise

    def _complete(self, build: Build, build_data: dict[str, Any], base: Path) -> Path:
        """Make the wheel that hatchling gives its name, from the wheel that it has built."""
        assert self._wheel is not None
        try:
            with self._one_message():
                return self._wheel.complete(build, base, build_data)
        except BaseException:
            self._close(failed=True)
            raise

    def _finish(
        self, build: Build, version: str, build_data: dict[str, Any], artifact: Path
    ) -> None:
        from hatch_wazcache.packing.editable import write_editable

        if version == "editable":
            write_editable(build)
        else:
            assert self._wheel is not None
            self._wheel.finish(build, artifact, build_data)
            if not self.has_native_files and self.target is None:
                build.name_missing_wheels(_BUILD_ALL)
            self._report.show_wheels(artifact.parent)
        made = self._report.compiled or self._report.downloaded
        if not self.stays_open and (self.first_build is None or made):
            build.record_and_prune()

    def _close(self, *, failed: bool = False) -> None:
        """Release the build, unless the builder still needs it for its next wheels."""
        if self._wheel is not None:
            self._wheel.abandon()
        if self.build is not None and (failed or not self.stays_open):
            self.build.close()
            self.build = None
        self._wheel = None

    def _target(self) -> Target:
        """Choose the target of the wheel, and say so if the options name several."""
        if self.target is not None:
            return self.target
        options = self.table.options
        if options.targets_given and options.other_targets:
            self._report.is_one_of_several(options.target.name, options.other_targets, _BUILD_ALL)
        return options.target

    @cached_property
    def table(self) -> HookTable:
        """The hook's table, with the options."""
        from hatch_wazcache.frontends.hatch.table import HookTable

        return HookTable(self)

    def project(self, build_data: dict[str, Any]) -> Project:
        """Read the project.

        Args:
            build_data: hatchling's data, as earlier hooks have set it.

        Raises:
            WazcacheError: all problems of its options, one line each.
        """
        from hatch_wazcache.frontends.hatch.files import find_layout
        from hatch_wazcache.project.companion import check_companion
        from hatch_wazcache.project.project import Project

        layout = find_layout(self.build_config, build_data)
        core = self.metadata.core
        options, requirement = self.table.options, self.table.requirement
        check_companion(options, core.name, core.dependencies, core.optional_dependencies)
        return Project(core.name, options, layout, requirement, core.requires_python)

    @contextmanager
    def _one_message(self) -> Iterator[None]:
        """End the build with a message and no traceback, under every front end."""
        try:
            yield
        except WasmtimeError as error:
            if _is_in_environment_of_hatch():
                stop(self.app, f"{error.problem}; {self._advice_for_hatch()}")
            stop(self.app, error)
        except WazcacheError as error:
            stop(self.app, error)

    def _advice_for_hatch(self) -> str:
        """Return the advice for the environment in which hatch runs the build backend."""
        lines = self.table.requirement.needed(self.table.options.possible_targets)
        needed = ", ".join(map(json.dumps, lines))
        return (
            "hatch before 1.18.2 does not install the dependencies of build hooks, and later "
            "versions install them only for tables in [tool.hatch.build.hooks]: add "
            f"{needed} to build-system.requires in pyproject.toml"
        )


def _is_in_environment_of_hatch() -> bool:
    """Say whether this is the environment in which hatch runs build backends.

    Its folder is `hatch-build`, or `<project>-build` in old versions. A front end that runs inside
    another environment of hatch makes its own environment.
    """
    return "HATCH_ENV_ACTIVE" in os.environ and os.path.basename(sys.prefix).endswith("-build")


def stop(app: Any, message: object) -> NoReturn:
    """End the build with a message and no traceback, under every front end.

    Args:
        app: the application of hatchling.
        message: the problem.
    """
    app.abort(with_prefix(message))
    raise SystemExit(1)  # abort ends the process; its type does not say so
