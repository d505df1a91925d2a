"""setuptools' commands, with the steps of a build in their places.

Each is a class that goes in front of the one which setuptools, or the project, has for the command.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from setuptools import build_meta  # isort: skip  # has its own distutils in place
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
else:  # what they go in front of is known when a command is looked up
    bdist_wheel = build = develop = egg_info = sdist = object

__all__ = ["our_command"]


def our_command(name: str, look_up: Callable[[str], type[Command]]) -> type[Command]:
    """Return the class of a command: ours, or what setuptools or the project has for it.

    Args:
        name: the command's.
        look_up: returns the class that it would be without us.
    """
    if name == NAME:
        return BuildWazcache
    base = look_up(name)
    ours = _OURS.get(name)
    return base if ours is None or issubclass(base, ours) else _in_front(ours, base)


def _in_front(ours: type, base: type) -> type:
    return type(base.__name__, (ours, base), {"__doc__": base.__doc__})


class _EggInfo(egg_info):
    """Tells the front end what to install for a build: also the project's wasmtime.

    setuptools answers that question by running this command with another class of distributions in
    the place of its own, and by what is raised meanwhile; so `setup_requires` get there.
    """

    def run(self) -> None:
        if issubclass(distutils.core.Distribution, build_meta.Distribution):
            with one_message():
                needed = build_wazcache(self.distribution).requirement.to_install()
            raise build_meta.SetupRequirementsError(needed)
        super().run()


class _Build(build):
    """Has our step as its last."""

    def run(self) -> None:
        with one_message():
            step = build_wazcache(self.distribution)
            step.config  # noqa: B018  # what is wrong with it is told before anything is built
            step.keep_out_of_build()
        super().run()

    def get_sub_commands(self) -> list[str]:
        return [*super().get_sub_commands(), NAME]


class _Develop(develop):
    """Writes beside the sources; from setuptools 80 on, it makes an editable wheel that does."""

    def install_for_development(self) -> None:
        super().install_for_development()  # type: ignore[misc]
        step = build_wazcache(self.distribution)
        step.editable_mode = True
        step.run()


class _Sdist(sdist):
    """Has every asset, whatever MANIFEST.in says, and nothing that editable installs left."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        with one_message():
            step = build_wazcache(self.distribution)
            assets = step.assets()
            names = {str(step.root / name): name.replace(os.sep, "/") for name in files}
            strays = step.strays(names, [asset.replace(os.sep, "/") for asset in assets])
            kept = [name for name in files if name.replace(os.sep, "/") not in strays]
            kept += [asset for asset in assets if str(step.root / asset) not in names]
        super().make_release_tree(base_dir, kept)


class _BdistWheel(bdist_wheel):
    """Makes setuptools' wheel aside, without what is heavy, and the platform wheel out of it."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self._step: BuildWazcache | None = None
        """While a wheel is built: others ask this command for the tag of an editable one."""
        self._tag: tuple[str, str, str] | None = None

    def run(self) -> None:
        step = build_wazcache(self.distribution)
        directory = Path(os.path.abspath(str(self.dist_dir)))
        with one_message(), TemporaryDirectory(prefix="wazcache-") as folder:
            date_time = _date_time()
            platform = super().get_tag()[2]
            if platform != "any" or self.plat_name_supplied:
                step.set_target(_target_of(platform))
            self._our_tag(step.config)  # what is wrong with it is told before anything is built
            step.for_wheel = True
            self._step, self.dist_dir = step, folder
            try:
                super().run()
                if step.build is None:  # --skip-build, or `build` was run before this command
                    step.run()
                (base,) = Path(folder).glob("*.whl")
                self._finish(base, directory / base.name, date_time)
            finally:
                self.dist_dir = str(directory)
                step.close()

    def get_tag(self) -> tuple[str, str, str]:
        if self._step is None:
            return super().get_tag()
        if self._tag is None:  # which write_wheelfile would find another one for
            self._tag = self._our_tag(self._step.config)
        return self._tag

    def _our_tag(self, config: Config) -> tuple[str, str, str]:
        from hatch_wazcache.wheels.platform_wheel import wheel_tag

        who = "setuptools, or --plat-name,"
        tag = wheel_tag("-".join(super().get_tag()), config.target, config.location, who)
        interpreter, abi, platform = tag.split("-")
        return interpreter, abi, platform

    def write_wheelfile(self, *args: Any, **kwargs: Any) -> None:
        # A wheel with artifacts is for one platform, and says so even if its Python is pure.
        pure = self.root_is_pure
        if self._step is not None:
            self.root_is_pure = pure and self._step.config.target.name == "any"
        super().write_wheelfile(*args, **kwargs)
        self.root_is_pure = pure

    def _finish(self, base: Path, final: Path, date_time: DateTime) -> None:
        from hatch_wazcache.packing.wheel import begin_wheel
        from hatch_wazcache.util.sizes_and_times import size_text

        step = self._step
        assert step is not None
        assert step.build is not None
        reproducible = "SOURCE_DATE_EPOCH" in os.environ  # as setuptools has it
        wheel = begin_wheel(step.build, final.parent, date_time, reproducible=reproducible)
        try:
            assets = [asset.distribution for asset in step.build.plan.assets]
            drop = {*assets, *step.strays(step.files(), assets)}
            size = wheel.finish(base, final, drop, step.report.say)
        except OSError as error:
            raise WazcacheError(f"{final}: cannot be written: {error.strerror or error}") from error
        finally:
            wheel.abandon()
        made = self.distribution.dist_files
        made[:] = [(*row[:2], str(final) if row[2] == str(base) else row[2]) for row in made]
        step.report.is_done(f"{final.name} ({size_text(size)})")
        step.build.record_and_prune()


_OURS: dict[str, type] = {
    "bdist_wheel": _BdistWheel,
    "build": _Build,
    "develop": _Develop,
    "egg_info": _EggInfo,
    "sdist": _Sdist,
}


def _target_of(platform: str) -> str:
    """Return the target that a platform tag is for."""
    from hatch_wazcache.engine.targets import TARGETS

    for target in TARGETS.values():
        if target.accepts(platform) or platform in target.platform_tags:
            return target.name
    raise WazcacheError(
        f"setuptools, or --plat-name, tags the wheel {platform}, which is the platform of no "
        f"target; there are {', '.join(TARGETS)}"
    )


def _date_time() -> DateTime:
    """Return the time stamp of generated members, as setuptools has it."""
    from hatch_wazcache.formats.zip_members import moment_of_build

    return moment_of_build(lambda: int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
