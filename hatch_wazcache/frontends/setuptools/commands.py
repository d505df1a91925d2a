"""setuptools' commands, each wrapped so that the steps of our build run at the right time.

Each wrapper is a subclass of the command's class, which comes from setuptools or the project.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.util.temporary_folder import TemporaryFolder

from setuptools import build_meta  # isort: skip  # must come first: it replaces distutils
import distutils.core

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.setuptools.build_step import (
    NAME,
    BuildWazcache,
    build_wazcache,
    one_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from setuptools import Command
    from setuptools.command.bdist_wheel import bdist_wheel
    from setuptools.command.build import build
    from setuptools.command.develop import develop
    from setuptools.command.egg_info import egg_info
    from setuptools.command.sdist import sdist

    from hatch_wazcache.formats.zip_members import DateTime
    from hatch_wazcache.project.config import Config
else:  # the real base is known when setuptools looks a command up
    bdist_wheel = build = develop = egg_info = sdist = object

__all__ = ["command_class"]


def command_class(name: str, look_up: Callable[[str], type[Command]]) -> type[Command]:
    """Return the class of a command, wrapped if hatch-wazcache needs a part of it.

    Args:
        name: the command's name.
        look_up: returns the original class.
    """
    if name == NAME:
        return BuildWazcache
    base = look_up(name)
    wrapper = _WRAPPERS.get(name)
    return base if wrapper is None or issubclass(base, wrapper) else _wrapped(wrapper, base)


def _wrapped(wrapper: type, base: type) -> type:
    return type(base.__name__, (wrapper, base), {"__doc__": base.__doc__})


class _EggInfo(egg_info):
    """Adds the project's wasmtime to the requirements of a build.

    If a front end asks for them, setuptools runs this command with a special distribution class,
    and catches an exception that holds the list. It handles `setup_requires` in the same way.
    """

    def run(self) -> None:
        if issubclass(distutils.core.Distribution, build_meta.Distribution):
            with one_message():
                step = build_wazcache(self.distribution)
                needed = step.requirement.to_install(step.config, step.root)
            raise build_meta.SetupRequirementsError(needed)
        super().run()


class _Build(build):
    """Runs our step last."""

    def run(self) -> None:
        with one_message():
            step = build_wazcache(self.distribution)
            step.files.prepare_build(step.config)  # wrong options stop the build before it begins
        super().run()

    def get_sub_commands(self) -> list[str]:
        return [*super().get_sub_commands(), NAME]


class _Develop(develop):
    """Writes beside the sources. Since setuptools 80, this command makes an editable wheel."""

    def install_for_development(self) -> None:
        super().install_for_development()  # type: ignore[misc]
        step = build_wazcache(self.distribution)
        step.editable_mode = True
        step.run()


class _Sdist(sdist):
    """Adds every asset, whatever MANIFEST.in says, and leaves out files of editable installs."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        with one_message():
            step = build_wazcache(self.distribution)
            chosen = step.files.for_sdist(files, step.config)
        super().make_release_tree(base_dir, chosen)


class _BdistWheel(bdist_wheel):
    """Makes setuptools' wheel in a temporary folder, and the platform wheel from it."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self._step: BuildWazcache | None = None
        """Our step, while a wheel is built. `editable_wheel` asks this command for a tag only."""
        self._tag: tuple[str, str, str] | None = None

    def run(self) -> None:
        step = build_wazcache(self.distribution)
        directory = Path(os.path.abspath(str(self.dist_dir)))
        with one_message(), TemporaryFolder() as folder:
            date_time = _date_time()
            platform = super().get_tag()[2]
            if platform != "any" or self.plat_name_supplied:
                step.set_target(_target_of(platform))
            self._platform_tag(step.config)  # a wrong tag stops the build before it begins
            step.for_wheel = True
            self._step, self.dist_dir = step, folder
            try:
                super().run()
                if step.build is None:  # --skip-build, or `build` ran before this command
                    step.run()
                (base,) = Path(folder).glob("*.whl")
                self._finish(base, directory / base.name, date_time)
            finally:
                self.dist_dir = str(directory)
                step.close()

    def get_tag(self) -> tuple[str, str, str]:
        if self._step is None:
            return super().get_tag()
        if self._tag is None:  # after write_wheelfile the result would be another one
            self._tag = self._platform_tag(self._step.config)
        return self._tag

    def _platform_tag(self, config: Config) -> tuple[str, str, str]:
        from hatch_wazcache.wheels.wheel_tag import wheel_tag

        if not config.assets:  # no artifacts, so the wheel is for the platform of its other files
            return super().get_tag()
        who = "setuptools, or --plat-name,"
        tag = wheel_tag("-".join(super().get_tag()), config.target, config.location, who)
        interpreter, abi, platform = tag.split("-")
        return interpreter, abi, platform

    def write_wheelfile(self, *args: Any, **kwargs: Any) -> None:
        # A wheel with artifacts is for one platform, so it is not pure, even if its Python is.
        pure = self.root_is_pure
        if self._step is not None:
            self.root_is_pure = pure and self._step.config.target.name == "any"
        super().write_wheelfile(*args, **kwargs)
        self.root_is_pure = pure

    def _finish(self, base: Path, final: Path, date_time: DateTime) -> None:
        from hatch_wazcache.packing.wheel import begin_wheel, finish_wheel

        step = self._step
        assert step is not None
        assert step.build is not None
        # setuptools sets the time stamps of members only if this variable is set.
        reproducible = "SOURCE_DATE_EPOCH" in os.environ
        wheel = begin_wheel(step.build, final.parent, date_time, reproducible=reproducible)
        try:
            assets = [asset.distribution for asset in step.build.plan.assets]
            left_out = step.files.left_out(assets, step.config)
            finish_wheel(step.build, wheel, base, final, left_out)
        finally:
            wheel.abandon()
        made = self.distribution.dist_files
        made[:] = [(*row[:2], str(final) if row[2] == str(base) else row[2]) for row in made]
        step.build.name_missing_wheels()
        step.build.report.show_wheels(final.parent)
        step.build.record_and_prune()


_WRAPPERS: dict[str, type] = {
    "bdist_wheel": _BdistWheel,
    "build": _Build,
    "develop": _Develop,
    "egg_info": _EggInfo,
    "sdist": _Sdist,
}


def _target_of(platform: str) -> str:
    """Return the target of a platform tag."""
    from hatch_wazcache.engine.targets import TARGETS

    for target in TARGETS.values():
        if target.accepts(platform) or platform in target.platform_tags:
            return target.name
    raise WazcacheError(
        f"setuptools, or --plat-name, tags the wheel {platform}, which is the platform of no "
        f"target; there are {', '.join(TARGETS)}"
    )


def _date_time() -> DateTime:
    """Return the time stamp of generated members, the same as setuptools uses."""
    from hatch_wazcache.formats.zip_members import moment_of_build

    return moment_of_build(lambda: int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
