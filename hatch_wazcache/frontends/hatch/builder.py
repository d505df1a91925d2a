"""The builder of hatchling, `hatch build -t wazcache`: a wheel for each target.

A stock wheel builder makes each wheel, under the name `wheel` and with its configuration, so all
hooks work as usual. Our own hook gets the target from here. All artifacts are compiled before the
first wheel is written, side by side.

With the option `companion` there is one such wheel, for `any`, and the companions are made from it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hatchling.builders.config import BuilderConfig
from hatchling.builders.constants import BuildEnvVars
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.wheel import WheelBuilder
from hatchling.plugin.manager import PluginManager

from hatch_wazcache.engine.targets import TARGETS, find_targets
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.hatch.hook import WazcacheBuildHook, stop
from hatch_wazcache.project.target_fields import nearest_target
from hatch_wazcache.util.temporary_folder import TemporaryFolder
from hatch_wazcache.wheels.companion_files import version_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.project.config import Config

__all__ = ["WazcacheBuilder"]

_NAME = WazcacheBuildHook.PLUGIN_NAME


class WazcacheBuilder(BuilderInterface[BuilderConfig, PluginManager]):
    """Makes the wheels of all configured targets, or of the targets that the command names.

    In `-t wazcache:aarch64-macos`, hatchling calls the part after the colon a version.
    """

    PLUGIN_NAME = _NAME

    @property
    def config(self) -> BuilderConfig:
        """The wheel target's: `[tool.hatch.build.targets.wheel]` applies."""
        config: BuilderConfig = self._wheel_builder().config
        return config

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return nothing: `build` does not call one function for each version."""
        return {}

    def build(  # noqa: D417
        self,
        *,
        directory: str | None = None,
        versions: list[str] | None = None,
        hooks_only: bool | None = None,
        clean: bool | None = None,
        clean_hooks_after: bool | None = None,
        clean_only: bool | None = False,
    ) -> Generator[str, None, None]:
        """Build the wheels, one after the other, and yield their paths.

        The hooks clean once, before the first wheel. Wheels in the directory are never deleted.

        Args:
            versions: targets; by default the configured ones.
        """
        config = self._options()
        targets = self._targets(config, versions)
        if config.companion is not None and not clean_only:
            yield from self._build_with_companions(
                config,
                targets,
                directory=directory,
                hooks_only=hooks_only,
                clean=clean,
                clean_hooks_after=clean_hooks_after,
            )
            return
        first_build: Build | None = None
        has_native_files = False
        try:
            for number, target in enumerate(targets):
                if has_native_files and target.name == "any" and not (versions or config.wanted):
                    self.app.display_info(
                        "wazcache: no wheel for any: a build hook makes files for one platform"
                    )
                    continue
                builder = self._wheel_builder(target, first_build)
                builder.later_targets = () if number else targets[1:]
                yield from builder.build(
                    directory=directory,
                    versions=["standard"],
                    hooks_only=hooks_only,
                    clean=clean if number == 0 else False,
                    clean_hooks_after=clean_hooks_after,
                    clean_only=clean_only,
                )
                if clean_only:
                    return
                first_build = first_build or builder.open_build
                has_native_files = builder.has_native_files and not config.targets_given
            if first_build is not None:
                first_build.record_and_prune()
        finally:
            if first_build is not None:
                first_build.close()

    def _build_with_companions(
        self,
        config: Config,
        targets: tuple[Target, ...],
        *,
        directory: str | None,
        **arguments: bool | None,
    ) -> list[str]:
        """Build the wheel for `any` and its companions; return their paths.

        The wheel is made in a temporary folder and moved last: there is no wheel whose companions
        could not be made.

        Args:
            config: the options.
            targets: the targets of the companions.
            directory: the folder of the wheels; None for the configured one.
            arguments: for hatchling's builder.
        """
        if problem := version_problem(self.metadata.version):
            stop(self.app, f"project.version: {problem}")
        builder = self._wheel_builder(TARGETS["any"])
        builder.stays_open = True
        with TemporaryFolder() as folder:
            made = list(builder.build(directory=folder, versions=["standard"], **arguments))
            build = builder.open_build
            assert build is not None
            try:
                if not made:  # only the hooks have run
                    return []
                final = Path(directory or self._configured_directory())
                return self._make_companions(build, config, targets, Path(made[0]), final)
            except WazcacheError as error:
                stop(self.app, error)
            finally:
                build.close()

    def _make_companions(
        self,
        build: Build,
        config: Config,
        targets: tuple[Target, ...],
        path: Path,
        directory: Path,
    ) -> list[str]:
        """Make the companions of a wheel, and move the wheel to them; return all paths.

        Args:
            build: the build of the wheel, still open.
            config: the options.
            targets: the targets of the companions.
            path: the wheel.
            directory: the folder for all.

        Raises:
            WazcacheError: a companion cannot be made, or the wheel cannot be moved.
        """
        from hatch_wazcache.packing.companions import make_companions, say_what_to_publish
        from hatch_wazcache.packing.from_wheel import FinishedWheel

        build.check_companions(targets)
        engines, final = build.entries.engines.find(config.engines), directory / path.name
        with FinishedWheel(path, build.plan.assets) as wheel:
            companions = make_companions(
                wheel, engines, targets, directory, build.entries, build.report
            )
            try:
                wheel.copy(final)
            except OSError as error:
                raise WazcacheError(
                    f"{final}: cannot be written: {error.strerror or error}"
                ) from error
        build.record_and_prune(targets)
        say_what_to_publish(companions, build.report)
        build.report.show_wheels(directory)
        return [str(final), *map(str, companions)]

    def _configured_directory(self) -> str:
        """Return the folder of the wheels, which hatchling takes from the same two places."""
        location = os.environ.get(BuildEnvVars.LOCATION)
        config = self.config
        return config.normalize_build_directory(location) if location else config.directory

    def _wheel_builder(
        self, target: Target | None = None, first_build: Build | None = None
    ) -> _WheelBuilder:
        builder = _WheelBuilder(
            self.root, self.plugin_manager, self.raw_config, self.metadata, self.app
        )
        builder.target, builder.first_build = target, first_build
        return builder

    def _options(self) -> Config:
        hook = self._wheel_builder().get_build_hooks("").get(_NAME)
        if hook is None:
            stop(
                self.app,
                "the build hook is disabled, or has no table [tool.hatch.build.hooks.wazcache]",
            )
        try:
            return cast("WazcacheBuildHook", hook).table.options
        except WazcacheError as error:
            stop(self.app, error)

    def _targets(self, config: Config, versions: list[str] | None) -> tuple[Target, ...]:
        if not versions:
            return (config.wanted,) if config.wanted else config.targets
        if unknown := [name for name in versions if not find_targets(name)]:
            hints = "".join(f"; {hint}" for name in unknown if (hint := nearest_target(name)))
            stop(
                self.app,
                f"-t wazcache:{','.join(unknown)}: must be targets, such as native, all, "
                f"{', '.join(TARGETS)}{hints}",
            )
        targets = dict.fromkeys(target for name in versions for target in find_targets(name))
        if misfits := [line for target in targets for line in config.misfits(target)]:
            stop(self.app, "\n".join(dict.fromkeys(misfits)))
        return tuple(targets)


class _WheelBuilder(WheelBuilder):
    """hatchling's own builder. It gives our hook the targets, and deletes no other wheels."""

    target: Target | None = None
    later_targets: tuple[Target, ...] = ()
    first_build: Build | None = None
    stays_open = False
    """Whether the build of this wheel stays open, although no other target follows."""
    _hook: WazcacheBuildHook | None = None

    @property
    def has_native_files(self) -> bool:
        """Whether an earlier hook has tagged this wheel for one platform."""
        return self._hook is not None and self._hook.has_native_files

    @property
    def open_build(self) -> Build | None:
        """The build of this wheel, if it stays open for the next wheels."""
        return None if self._hook is None else self._hook.build

    def get_build_hooks(self, directory: str) -> dict[str, BuildHookInterface[Any]]:
        hooks: dict[str, BuildHookInterface[Any]] = super().get_build_hooks(directory)
        if _NAME in hooks:
            self._hook = hook = cast("WazcacheBuildHook", hooks[_NAME])
            hook.target = self.target
            hook.later_targets, hook.first_build = self.later_targets, self.first_build
            hook.stays_open = self.stays_open or bool(self.later_targets)
        return hooks

    def clean(self, directory: str, versions: list[str]) -> None:
        """Delete nothing: the directory may hold wheels of other targets."""
