"""The builder of hatchling, `hatch build -t wazcache`: a wheel for each target.

It has a stock wheel builder make each of them, under the name `wheel` and with its configuration,
so that all hooks do their work; only ours is told the target. All artifacts are compiled before
the first wheel, side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from hatchling.builders.config import BuilderConfig
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.wheel import WheelBuilder
from hatchling.plugin.manager import PluginManager

from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.targets import TARGETS, find_targets
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.hatch.hook import WazcacheBuildHook

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.project.config import Config

__all__ = ["WazcacheBuilder"]

_NAME = WazcacheBuildHook.PLUGIN_NAME


class WazcacheBuilder(BuilderInterface[BuilderConfig, PluginManager]):
    """Makes the wheels of all configured targets, or of those that are asked for.

    hatchling calls what follows the colon of `-t wazcache:aarch64-macos` a version.
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

        What hatchling cleans, it cleans once; wheels in the directory are never deleted.

        Args:
            versions: targets; by default the configured ones.
        """
        config = self._options()
        targets = self._targets(config, versions)
        if not clean_only:
            self._check_engine(config)
        first: Build | None = None
        try:
            for number, target in enumerate(targets):
                builder = self._wheel_builder(target, () if number else targets[1:], first)
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
                first = first or builder.shared
            if first is not None:
                first.record_and_prune()
        finally:
            if first is not None:
                first.close()

    def _wheel_builder(
        self,
        target: Target | None = None,
        ahead: tuple[Target, ...] = (),
        earlier: Build | None = None,
    ) -> _WheelBuilder:
        builder = _WheelBuilder(
            self.root, self.plugin_manager, self.raw_config, self.metadata, self.app
        )
        builder.target, builder.ahead, builder.earlier = target, ahead, earlier
        return builder

    def _options(self) -> Config:
        hook = self._wheel_builder().get_build_hooks("").get(_NAME)
        if hook is None:
            self._stop("the build hook is off, or not in [tool.hatch.build.hooks.wazcache]")
        try:
            return cast("WazcacheBuildHook", hook).options
        except WazcacheError as error:
            self._stop(str(error))

    def _targets(self, config: Config, versions: list[str] | None) -> tuple[Target, ...]:
        if not versions:
            return (config.wanted,) if config.wanted else config.targets
        if unknown := [name for name in versions if not find_targets(name)]:
            self._stop(
                f"-t wazcache:{','.join(unknown)}: must be targets out of native, all, "
                f"{', '.join(TARGETS)}"
            )
        targets = dict.fromkeys(target for name in versions for target in find_targets(name))
        if misfits := [line for target in targets for line in config.misfits(target)]:
            self._stop("\n".join(dict.fromkeys(misfits)))
        return tuple(targets)

    def _check_engine(self, config: Config) -> None:
        """Say why hatch has not installed wasmtime: it asks no hook of another target for that."""
        if ".targets." not in config.location:
            return
        try:
            installed_wasmtime()
        except WazcacheError as error:
            self._stop(
                f"{config.location}: {error}, but for `hatch build -t wazcache` only if this table "
                f"is tool.hatch.build.hooks.{_NAME}: move it"
            )

    def _stop(self, message: str) -> NoReturn:
        """End the build with a message and no traceback."""
        self.app.abort("\n".join(f"wazcache: {line}" for line in message.splitlines()))
        raise SystemExit(1)  # abort ends the process; its type does not say so


class _WheelBuilder(WheelBuilder):
    """hatchling's own, which tells our hook the targets, and deletes no other wheels."""

    target: Target | None = None
    ahead: tuple[Target, ...] = ()
    earlier: Build | None = None
    _hook: WazcacheBuildHook | None = None

    @property
    def shared(self) -> Build | None:
        """The build of this wheel, if it stays open for the next ones."""
        return None if self._hook is None else self._hook.shared

    def get_build_hooks(self, directory: str) -> dict[str, BuildHookInterface[Any]]:
        hooks: dict[str, BuildHookInterface[Any]] = super().get_build_hooks(directory)
        if _NAME in hooks:
            self._hook = hook = cast("WazcacheBuildHook", hooks[_NAME])
            hook.target, hook.ahead, hook.earlier = self.target, self.ahead, self.earlier
        return hooks

    def clean(self, directory: str, versions: list[str]) -> None:
        """Delete nothing: what is in the directory may be the wheel of another target."""
