"""The options that decide where the entries of a build come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.project.project import Project

__all__ = ["EntriesOptions"]


class EntriesOptions(NamedTuple):
    """Where entries come from; each option is as in `Config`."""

    cache_dir: Path | None
    compiler: Compiler
    timeout: float
    remote: RemoteOptions | None = None
    """The shared cache; None if there is none."""
    engines: tuple[str, ...] = ()
    """Requirements on wasmtime. Empty: the installed one."""
    pinned: str | None = None
    """The requirement on the only wasmtime that fits; None if several may fit, or for `engines`."""
    location: str = ""
    """The TOML path of the options, for messages; empty for a command without a project."""
    root: Path | None = None
    """The root of the project that is built. Users who can replace it are trusted."""

    @classmethod
    def of(cls, project: Project) -> EntriesOptions:
        """Return the options for a project's own wheels."""
        config = project.config
        return cls(
            config.cache_dir,
            config.compiler,
            config.timeout,
            config.remote,
            config.wheel_engines,
            project.requirement.pinned(config),
            config.location,
            project.layout.root,
        )
