"""setuptools' commands, with the steps of a build in their places.

Each is a class that goes in front of the one which setuptools, or the project, has for the command.
What they share is a command too, as setuptools has it: `build_wazcache`, the last step of `build`.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from setuptools import Command, build_meta

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from setuptools.dist import Distribution

    from hatch_wazcache.build import Build
    from hatch_wazcache.config import Config
    from hatch_wazcache.packages import Layout
    from hatch_wazcache.report import Report
    from hatch_wazcache.requirement import EngineRequirement
    from hatch_wazcache.zipmember import DateTime

__all__ = ["BuildWazcache", "our_command"]

_NAME = "build_wazcache"


def our_command(name: str, look_up: Callable[[str], type[Command]]) -> type[Command]:
    """Return the class of a command: ours, or what setuptools or the project has for it.

    Args:
        name: the command's.
        look_up: returns the class that it would be without us.
    """
    if name == _NAME:
        return BuildWazcache
    base = look_up(name)
    ours = _OURS.get(name)
    return base if ours is None or issubclass(base, ours) else _combine(ours, base)


@cache
def _combine(ours: type, base: type[Command]) -> type[Command]:
    return type(base.__name__, (ours, base), {"__doc__": base.__doc__})


@contextmanager
def _one_message() -> Iterator[None]:
    """End a build with a message and no traceback, under every front end."""
    try:
        yield
    except WazcacheError as error:
        lines = str(error).splitlines()
        raise SystemExit("\n".join(f"wazcache: {line}" for line in lines)) from error


class BuildWazcache(Command):
    """Compiles the declared `.wasm` files: after the steps of `build` that may generate them.

    For an editable install it writes beside the sources. For a wheel it only makes the entries of
    the cache, and `bdist_wheel` puts them into the wheel.
    """

    command_name = _NAME
    description = "compile the declared .wasm files"
    user_options: ClassVar[list[tuple[str, str, str]]] = []
    editable_mode = False
    """Set by setuptools for an editable install."""

    def initialize_options(self) -> None:
        self.build_lib: str | None = None
        self.platform: str | None = None
        self.for_wheel = False
        self.build: Build | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Do all the slow work."""
        from hatch_wazcache.build import Build

        with _one_message():
            self.build = Build(self.config, self.layout(), self.requirement, self.report)
            self.build.make_entries()
            if self.editable_mode:
                self.build.write_editable(self.distribution.get_name())
                self.report.is_done("beside the .wasm files, for an editable install")
                self.settle()

    def settle(self) -> None:
        """Keep what the build came to."""
        assert self.build is not None
        self.build.settle(self.distribution.get_name())
        self.close()

    def close(self) -> None:
        """Release the cache."""
        if self.build is not None:
            self.build.close()
        self.build = None

    @cached_property
    def root(self) -> Path:
        """The project's root, absolute."""
        return Path(os.path.abspath(self.distribution.src_root or os.curdir))

    @cached_property
    def config(self) -> Config:
        """The options."""
        from hatch_wazcache.config import read_config
        from hatch_wazcache.pyproject import SHARED_LOCATION, read_pyproject, shared_table

        table = shared_table(read_pyproject(self.root)) or {}
        environment = dict(os.environ)
        if self.platform is not None:
            environment.setdefault("WAZCACHE_TARGET", _target_of(self.platform))
        return read_config(table, SHARED_LOCATION, environment, self.root)

    @cached_property
    def requirement(self) -> EngineRequirement:
        """What the project says of wasmtime."""
        from hatch_wazcache.requirement import EngineRequirement

        about = self.distribution
        return EngineRequirement.of(
            about.install_requires, about.extras_require, self.config.engine
        )

    @cached_property
    def report(self) -> Report:
        """What is said meanwhile."""
        from logging import INFO, WARNING

        from hatch_wazcache.report import Report

        def say(level: int) -> Callable[[str], None]:
            return lambda text: self.distribution.announce(text, level)

        return Report(say(INFO), say(WARNING), strict=self.config.strict)

    def layout(self) -> Layout:
        """Ask setuptools what goes where."""
        from hatch_wazcache.packages import Layout

        build = self.get_finalized_command("build")
        files = {}
        for name in build.get_sub_commands():
            command = self if name == _NAME else self.get_finalized_command(name)
            if command is self or not hasattr(command, "get_output_mapping"):
                continue
            for built, source in command.get_output_mapping().items():
                path = os.path.relpath(built, self.build_lib)
                files[str(self.root / os.path.normpath(source))] = _with_slashes(path)
        folders = self._package_folders()

        def distribution_path(relative: str) -> str:
            path = PurePosixPath(relative)
            for folder in path.parents:
                if folder in folders:
                    return str(folders[folder] / path.relative_to(folder))
            return relative

        return Layout(self.root, files, distribution_path)

    def _package_folders(self) -> dict[PurePosixPath, PurePosixPath]:
        """Return where the files of each folder with a package go."""
        build_py = self.get_finalized_command("build_py")
        places = {"": PurePosixPath()}
        places |= {name: PurePosixPath(*name.split(".")) for name in build_py.packages or ()}
        folders = {}
        for name, place in places.items():
            folder = os.path.relpath(build_py.get_package_dir(name) or ".", self.root)
            folders[PurePosixPath(_with_slashes(folder))] = place
        return folders

    def keep_out_of_build(self) -> None:
        """Have setuptools pass over the assets, which we put into the wheel.

        It saves time only: they are replaced or dropped there anyway.
        """
        from hatch_wazcache.plan import find_assets

        with suppress(WazcacheError):  # they may be generated later; else it is told then
            heavy = {source for source, _relative, _profiles in find_assets(self.config, self.root)}
            build_py = self.get_finalized_command("build_py")
            build_py.data_files = [
                (package, folder, built, [n for n in names if self.root / folder / n not in heavy])
                for package, folder, built, names in build_py.data_files
            ]


class _EggInfo(Command if TYPE_CHECKING else object):  # type: ignore[misc]
    """Tells the front end what to install for a build: also the project's wasmtime.

    The front end's question is answered by this command, in a distribution of a class of its own,
    whose `fetch_build_eggs` hands requirements over. That is how `setup_requires` reach it.
    """

    def run(self) -> None:
        if isinstance(self.distribution, build_meta.Distribution):
            with _one_message():
                needed = _build_command(self.distribution).requirement.to_install()
            self.distribution.fetch_build_eggs(needed)
        super().run()


class _Build(Command if TYPE_CHECKING else object):  # type: ignore[misc]
    """Has our step as its last."""

    def get_sub_commands(self) -> list[str]:
        return [*super().get_sub_commands(), _NAME]


class _BdistWheel(Command if TYPE_CHECKING else object):  # type: ignore[misc]
    """Makes setuptools' wheel aside, without what is heavy, and the platform wheel out of it."""

    dist_dir: str
    plat_name_supplied: bool
    root_is_pure: bool

    def initialize_options(self) -> None:
        super().initialize_options()
        self._ours: BuildWazcache | None = None
        self._tag: tuple[str, ...] | None = None

    def run(self) -> None:
        ours = _build_command(self.distribution)
        directory = Path(self.dist_dir)
        with _one_message(), TemporaryDirectory(prefix="wazcache-") as folder:
            date_time, reproducible = _date_time()
            platform = super().get_tag()[2]  # type: ignore[misc]
            ours.platform = platform if platform != "any" or self.plat_name_supplied else None
            ours.keep_out_of_build()
            self._ours, self.dist_dir = ours, folder
            try:
                super().run()
                self.run_command(_NAME)  # which --skip-build has left out
                (base,) = Path(folder).glob("*.whl")
                self._finish(base, directory / base.name, date_time, reproducible)
            finally:
                self.dist_dir = str(directory)
                ours.close()

    def get_tag(self) -> tuple[str, ...]:
        """Return the tag; our own if it is a wheel that we put artifacts into."""
        from hatch_wazcache.wheel import wheel_tag

        if self._tag is not None:
            return self._tag
        tag: tuple[str, ...] = super().get_tag()  # type: ignore[misc]
        if self._ours is not None:
            config = self._ours.config
            tag = tuple(wheel_tag("-".join(tag), config.target, config.location).split("-"))
            self._tag = tag
        return tag

    def write_wheelfile(self, *args: Any, **kwargs: Any) -> None:
        # An artifact is for one platform, so the wheel is; its Python may be pure all the same.
        pure = self.root_is_pure
        self.root_is_pure = pure and self._ours is None
        super().write_wheelfile(*args, **kwargs)  # type: ignore[misc]
        self.root_is_pure = pure

    def _finish(self, base: Path, final: Path, date_time: DateTime, reproducible: bool) -> None:
        from hatch_wazcache.units import size_text

        assert self._ours is not None
        build, report = self._ours.build, self._ours.report
        assert build is not None
        wheel = build.begin_wheel(final.parent, date_time, reproducible=reproducible)
        try:
            drop = {asset.distribution for asset in build.plan.assets}
            size = wheel.finish(base, final, drop, report.say)
        except OSError as error:
            raise WazcacheError(f"{final}: cannot be written: {error.strerror or error}") from error
        finally:
            wheel.abandon()
        files = self.distribution.dist_files
        files[:] = [(*row[:2], str(final) if row[2] == str(base) else row[2]) for row in files]
        report.is_done(f"{final.name} ({size_text(size)})")
        self._ours.settle()


_OURS: dict[str, type] = {"bdist_wheel": _BdistWheel, "build": _Build, "egg_info": _EggInfo}


def _build_command(distribution: Distribution) -> BuildWazcache:
    command = distribution.get_command_obj(_NAME)
    assert isinstance(command, BuildWazcache)
    command.ensure_finalized()
    return command


def _target_of(platform: str) -> str:
    """Return the target that a platform tag is for."""
    from hatch_wazcache.targets import TARGETS

    for target in TARGETS.values():
        if target.accepts(platform):
            return target.name
    raise WazcacheError(
        f"{platform}: no target is for this platform; the targets are {', '.join(TARGETS)}"
    )


def _with_slashes(path: str) -> str:
    return path.replace(os.sep, "/")


def _date_time() -> tuple[DateTime, bool]:
    """Return the time stamp of generated members, and whether all members are to have it."""
    from hatch_wazcache.zipmember import zip_time

    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = time.time() if epoch is None else int(epoch)
        return zip_time(time.gmtime(moment)), epoch is not None
    except (ValueError, OverflowError, OSError) as error:
        raise WazcacheError(f"SOURCE_DATE_EPOCH = {epoch}: must be seconds since 1970") from error
