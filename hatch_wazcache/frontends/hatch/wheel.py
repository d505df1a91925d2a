"""The platform wheel from hatchling's wheel: from the hook's `initialize` to its `finalize`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from hatchling.builders.utils import get_reproducible_timestamp

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.zip_members import moment_of_build
from hatch_wazcache.frontends.hatch.files import reserve
from hatch_wazcache.packing.unwanted import unwanted_files
from hatch_wazcache.packing.wheel import (
    begin_wheel,
    complete_wheel,
    finish_wheel,
    report_wheel,
)
from hatch_wazcache.wheels.wheel_tag import wheel_tag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.wheel import WheelBuilder

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.wheels.platform_wheel import PlatformWheel

__all__ = ["HatchlingWheel"]

_NAME = "wazcache"


class HatchlingWheel:
    """One wheel that hatchling builds and that gets our members."""

    def __init__(
        self, config: BuilderConfig, location: str, project: Project, target: Target
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            config: hatchling's configuration of the wheel.
            location: the TOML path of the hook's table, for messages.
            project: what to build.
            target: the system that the wheel is for.
        """
        self._config = config
        self._location = location
        self._project = project
        self._target = target
        self._tag = ""
        self.has_native_files = False
        """Whether an earlier hook has tagged the wheel for one platform."""
        self._wheel: PlatformWheel | None = None
        self._left_out: Collection[str] = ()
        """Members of hatchling's wheel to leave out: replaced or unwanted ones."""
        self._size: int | None = None
        """The size of the complete wheel in bytes."""

    def begin(
        self,
        build: Build,
        directory: Path,
        build_data: dict[str, Any],
        later_targets: Sequence[Target] = (),
    ) -> None:
        """Do all the slow work, before hatchling builds its wheel.

        Args:
            build: the build of this wheel.
            directory: the folder of the wheel.
            build_data: hatchling's data, as the hooks have set it; gets the wheel's tag.
            later_targets: the targets of wheels that are built next.

        Raises:
            WazcacheError: the tag does not fit the target, an asset cannot be compiled, or the
                wheel cannot be written.
        """
        config = self._config
        date_time = moment_of_build(get_reproducible_timestamp)
        tag = build_data.get("tag")
        if tag is None and build_data["infer_tag"]:
            tag = cast("WheelBuilder", config.builder).get_best_matching_tag()
        self.has_native_files = tag is not None and not str(tag).endswith("-any")
        options = self._project.config
        has_none = options.companion or not options.assets
        if self.has_native_files and has_none and not self._target.systems:
            # The artifacts are in other wheels, so this one is for the platform of its other files.
            self._tag = str(tag)
        else:
            self._tag = wheel_tag(tag, self._target, options.location)
        build.check_sbom()
        build.make_entries(later_targets)
        build_data["tag"], build_data["infer_tag"] = self._tag, False
        build_data["pure_python"] = build_data["pure_python"] and self._target.name == "any"
        self._wheel = begin_wheel(build, directory, date_time, reproducible=config.reproducible)
        self._left_out = self._find_left_out(build, self._wheel.path)
        # Reserving saves time only: `finish` leaves these members out anyway.
        reserve(config, self._left_out, build_data)

    def complete(self, build: Build, base: Path, build_data: dict[str, Any]) -> Path:
        """Put hatchling's members into our wheel, before hatchling gives the wheel its name.

        Args:
            build: the build of this wheel.
            base: hatchling's wheel, which is removed.
            build_data: hatchling's data, as the hooks have set it.

        Returns:
            The path of the complete wheel, which hatchling renames.

        Raises:
            WazcacheError: a later hook has set another tag, or the wheel cannot be written.
        """
        try:
            wheel = self._checked_wheel(build_data)
            self._size = complete_wheel(build, wheel, base, self._left_out)
        finally:
            base.unlink(missing_ok=True)
        return wheel.path

    def finish(self, build: Build, named: Path, build_data: dict[str, Any]) -> None:
        """Report the wheel. Complete it first, if hatchling has not let us do that before.

        Args:
            build: the build of this wheel.
            named: hatchling's wheel, or ours, under its name.
            build_data: hatchling's data, as the hooks have set it.

        Raises:
            WazcacheError: as for `complete`; then the wheel is removed.
        """
        if self._size is not None:
            report_wheel(build, named, self._size)
            return
        with _removed_on_failure(named):
            finish_wheel(build, self._checked_wheel(build_data), named, named, self._left_out)

    def _checked_wheel(self, build_data: dict[str, Any]) -> PlatformWheel:
        """Return our wheel, if no later hook has set another tag."""
        if build_data.get("tag") != self._tag or build_data["infer_tag"]:
            raise WazcacheError(self._how_to_run_last(build_data))
        assert self._wheel is not None
        return self._wheel

    def _how_to_run_last(self, build_data: dict[str, Any]) -> str:
        """Return the message for a tag that a later hook has set: which table goes where."""
        hooks: tuple[str, ...] = build_data.get("build_hooks", ())
        later = hooks[hooks.index(_NAME) + 1 :] if _NAME in hooks else ()
        names = " or ".join(later) or "another one"
        message = (
            f"{self._location}: a build hook that runs later ({names}) has set the wheel's tag, "
            "but wazcache must run last; "
        )
        of_target = self._config.target_config.get("hooks", {})
        if _NAME in of_target or not any(name in of_target for name in later):
            return f"{message}move this table behind the table of that hook"
        # hatchling runs the hooks in [tool.hatch.build.hooks] first, in whatever order they stand.
        return (
            f"{message}replace this table by two empty ones, "
            f"[tool.hatch.build.targets.sdist.hooks.{_NAME}] and "
            f"[tool.hatch.build.targets.wheel.hooks.{_NAME}], the second one behind the table of "
            "that hook, and move the options to [tool.wazcache]"
        )

    def abandon(self) -> None:
        """Remove the unfinished wheel. Can be called twice, and after `finish`."""
        if self._wheel is not None:
            self._wheel.abandon()

    def _find_left_out(self, build: Build, unfinished: Path) -> set[str]:
        plan, layout = build.plan, self._project.layout
        assets = [asset.distribution for asset in plan.assets]
        found = {*assets, *unwanted_files(layout, assets, self._project.config)}
        if unfinished.is_relative_to(layout.root):
            found.add(layout.distribution_path(unfinished.relative_to(layout.root).as_posix()))
        for package in plan.packages:
            found.add(package.file(package.manifest))
            if package.loader:
                found.add(package.file(package.loader))
        return found


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """Remove a file on failure, unless another build has put its own file there meanwhile."""
    before = _identity(path)
    try:
        yield
    except BaseException:
        if _identity(path) == before:
            path.unlink(missing_ok=True)
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    """Return numbers that differ between two files with the same path."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
