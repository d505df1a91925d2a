"""A project that hatchling builds, for commands that work outside a build."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hatchling.builders.wheel import WheelBuilder

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.hatch.hook import WazcacheBuildHook
from hatch_wazcache.frontends.working_directory import in_project_root
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    from hatch_wazcache.packing.plan import Plan
    from hatch_wazcache.packing.preview import Preview
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Layout
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["HatchProject", "layout_of"]

_NAME = WazcacheBuildHook.PLUGIN_NAME


def layout_of(root: Path) -> Layout:
    """Ask hatchling where it puts the files of a project, which need not have our hook.

    No code of the project runs, and none of its plugins is needed: its metadata hooks are left out.

    Args:
        root: the project's root, absolute.

    Raises:
        WazcacheError: hatchling does not understand the project, or does not find its files.
    """
    from hatch_wazcache.frontends.hatch.files import find_layout

    with _one_message(root):
        builder = _Builder(str(root))
        builder.metadata.hatch.config.pop("metadata", None)
        return find_layout(builder.config, builder.build_data())


@contextmanager
def _one_message(root: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        raise WazcacheError(f"{root / 'pyproject.toml'}: {error}") from error


class HatchProject:
    """A project with a `pyproject.toml` that hatchling reads."""

    def __init__(self, root: Path) -> None:
        """Read the project's configuration.

        Args:
            root: the folder of its `pyproject.toml`, absolute.

        Raises:
            WazcacheError: hatchling does not understand it.
        """
        self.root = root
        self._builder = _Builder(str(root))
        with self._one_message():
            self.has_hook = _NAME in self._builder.config.hook_config
        """Whether the project has our hook, and it is enabled."""

    @contextmanager
    def _one_message(self) -> Iterator[None]:
        """Turn hatchling's exceptions for a wrong configuration into messages."""
        with _one_message(self.root):
            yield

    def config(self) -> Config:
        """Return the hook's options.

        Raises:
            WazcacheError: all that is wrong with them, one line each; or hatchling does not
                understand the project's dependencies.
        """
        with self._one_message():
            return self._builder.our_hook("").table.options

    def plan(self) -> Plan:
        """Plan a build of the files that are there now. Runs no other hook, and asks no cache.

        Raises:
            WazcacheError: an asset or the engine is not fit to build.
        """
        with self._one_message():
            self._builder.metadata.core.validate_fields()
        return self._builder.our_hook("").plan(self._builder.build_data())

    def preview(self, cache: Path) -> Preview:
        """Say what `hatch build -t wazcache` would make. Runs no other hook, and writes nothing.

        Args:
            cache: the folder of the cache.

        Raises:
            WazcacheError: an asset or an engine is not fit to build.
        """
        from hatch_wazcache.packing.make_preview import make_preview
        from hatch_wazcache.packing.preview import Release

        with self._one_message():
            self._builder.metadata.validate_fields()
            # The hook gives a wheel this tag, not hatchling's py2.py3, unless another hook tags it.
            release = Release(self._builder.metadata.version, "py3-none-any")
        project = self._builder.our_hook("").project(self._builder.build_data())
        return make_preview(project, release, cache)

    def build_command(self, config: Config, target: str) -> str:  # noqa: ARG002
        """Return the command that makes the wheels of a target."""
        return f"hatch build -t wazcache:{target}"

    def run(self, work: Callable[[Project], None]) -> None:
        """Run the project's hooks, and then work on the project. Makes no wheel.

        Raises:
            WazcacheError: the project is not fit to build, or the work raises it.
        """
        self._run_hooks("standard", work)

    def refresh_editable(self, report: Report) -> None:
        """Run the project's hooks and bring its editable install up to date.

        Args:
            report: shows progress, and counts.

        Raises:
            WazcacheError: an asset cannot be compiled, or the source tree cannot be written.
        """
        from hatch_wazcache.packing.editable import refresh_editable

        self._run_hooks("editable", lambda project: refresh_editable(project, report))

    def _run_hooks(self, version: str, work: Callable[[Project], None]) -> None:
        """Run the hooks of a build. Our hook does this work, and hatchling makes no wheel."""
        with self._one_message():
            self._builder.metadata.validate_fields()
            self._builder.load_plugins()
        self._builder.work = work
        with in_project_root(self.root), TemporaryFolder() as folder:
            # hatchling creates the folder. The project may have no dist folder, and needs none.
            for _wheel in self._builder.build(
                directory=folder, versions=[version], hooks_only=True, clean=False
            ):
                pass


class _Hook(WazcacheBuildHook):
    """Our hook outside a build: it raises errors, and begins no wheel."""

    work: Callable[[Project], None]

    def plan(self, build_data: dict[str, Any]) -> Plan:
        from hatch_wazcache.packing.build import plan_build

        return plan_build(self.project(build_data))

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        self.work(self.project(build_data))


class _Builder(WheelBuilder):
    """hatchling's own builder, with our hook replaced by the one above."""

    work: Callable[[Project], None]

    def our_hook(self, directory: str) -> _Hook:
        table = self.config.hook_config[_NAME]
        name = self.PLUGIN_NAME
        return _Hook(self.root, table, self.config, self.metadata, directory, name, self.app)

    def load_plugins(self) -> None:
        """Load the classes of all hooks.

        Raises:
            UnknownPluginError: a hook is not installed.
        """
        super().get_build_hooks("")

    def build_data(self) -> dict[str, Any]:
        """Return the build data that the first hook gets."""
        build_data: dict[str, Any] = self.get_default_build_data()
        self.set_build_data_defaults(build_data)
        return build_data

    def get_build_hooks(self, directory: str) -> dict[str, BuildHookInterface[Any]]:
        hooks = super().get_build_hooks(directory)
        hook = hooks[_NAME] = self.our_hook(directory)
        hook.work = self.work
        return hooks
