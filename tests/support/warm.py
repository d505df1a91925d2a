"""Fills the caches of tests whose promise is about something else than compiling."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.projects import Project

_CACHES: dict[object, Path] = {}
"""The cache after a build, for each content of a project. They are kept for one test process."""


def warm_up(project: Project, folder: Path) -> None:
    """Give a project a cache that has its artifacts. Equal projects are compiled once.

    Args:
        project: the project, with all its files.
        folder: a folder of the session, for the caches.
    """
    files = {path: (project.root / path).read_bytes() for path in project.tree()}
    key = type(project), tuple(files.items())
    if key not in _CACHES:
        cache = folder / str(len(_CACHES))
        first = type(project)(cache / "project", cache / "cache")
        for path, content in files.items():
            first.write(path, content)
        built = first.build()
        assert built.status == 0, built.output
        shutil.rmtree(first.cache / "builds")  # the statistics, which begin with the test
        _CACHES[key] = first.cache
    shutil.copytree(_CACHES[key], project.cache)
