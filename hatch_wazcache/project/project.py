"""A project as a build sees it: the values that every step needs together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement
    from hatch_wazcache.project.packages import Layout

__all__ = ["Project"]


class Project(NamedTuple):
    """A project that a front end has read."""

    name: str
    """As in `[project]`; editable installs and the cache's statistics record it."""
    config: Config
    layout: Layout
    requirement: EngineRequirement
