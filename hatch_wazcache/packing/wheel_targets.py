"""The targets of a finished wheel, and the tags of the wheels that are made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import TARGETS, Target
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.wheels.wheel_tag import wheel_tag

if TYPE_CHECKING:
    from hatch_wazcache.packing.from_wheel import FinishedWheel
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.report import Report

__all__ = ["WheelTargets"]


class WheelTargets(NamedTuple):
    """The targets that a finished wheel can be compiled for."""

    path: str
    """The wheel, for messages."""
    prefix: str
    """The beginning of its name, before the tag."""
    tag: str
    """Its tag; that of a wheel without files for one platform ends in `any`."""
    targets: tuple[Target, ...]

    @classmethod
    def of(cls, wheel: FinishedWheel, config: Config, report: Report) -> WheelTargets:
        """Choose the targets. Those that do not fit the wheel are left out, and named.

        Args:
            wheel: an open wheel.
            config: the options.
            report: shows which are left out.

        Raises:
            WazcacheError: no target fits.
        """
        path, (prefix, python, abi, platform) = str(wheel.path), wheel.path.stem.rsplit("-", 3)
        if wheel.manifests and abi == "none" and not wheel.native_files:
            platform = "any"  # the platform is that of the artifacts, which are made again
        tag = f"{python}-{abi}-{platform}"
        chosen = config.possible_targets
        if platform == "any":
            return cls(path, prefix, tag, chosen)
        fitting = [target for target in TARGETS.values() if _fits(target, platform)]
        if not fitting:
            known = ", ".join(name for name in TARGETS if name != "any")
            raise WazcacheError(
                f"{path}: has files for one platform, {platform}, which is none of {known}, so "
                "there are no artifacts for it"
            )
        if not (config.targets_given or config.wanted):
            return cls(path, prefix, tag, tuple(fitting))
        misfits = [target.name for target in chosen if target not in fitting]
        if len(misfits) == len(chosen):
            raise WazcacheError(
                f"{path}: has files for one platform, {platform}, so it cannot be compiled for "
                f"{', '.join(misfits)}; its target is {fitting[0].name}"
            )
        if misfits:
            report.say(
                f"{wheel.path.name}: has files for one platform, so there is no wheel for "
                f"{', '.join(misfits)}"
            )
        return cls(path, prefix, tag, tuple(one for one in chosen if one in fitting))

    @property
    def is_native(self) -> bool:
        """Whether the wheel has files for one platform."""
        return not self.tag.endswith("-any")

    def tag_for(self, target: Target) -> str:
        """Return the tag of the new wheel for a target, or for none if it is native."""
        if self.is_native and not target.systems:
            return self.tag
        return wheel_tag(self.tag, target, self.path)

    def name_for(self, target: Target) -> str:
        """Return the file name of the new wheel for a target."""
        return f"{self.prefix}-{self.tag_for(target)}.whl"


def _fits(target: Target, platform: str) -> bool:
    return target.name != "any" and all(target.accepts(tag) for tag in platform.split("."))
