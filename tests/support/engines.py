"""Projects that compile for several versions of wasmtime, and fetched ones for their caches."""

from __future__ import annotations

import shutil
from pathlib import Path

from packaging.requirements import Requirement

from hatch_wazcache.cache.fetching import fetch
from hatch_wazcache.cache.location import make_directory, mark_as_cache
from tests.support.paths import WORK
from tests.support.projects import Project

OLDER = "wasmtime==47.0.1"
"""An engine that the tests' own environment does not have; its own version is 47.0.0."""

OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "",
    "UV_NO_INDEX": "1",
    "UV_OFFLINE": "1",
    "UV_NO_CACHE": "1",
    "UV_FIND_LINKS": "",
}
"""An environment in which nothing can be fetched."""


def with_engines(project: Project, engines: str = f'["48", "{OLDER}"]') -> Project:
    """Set the option `engines`, and a requirement that admits more."""
    project.requires("wasmtime>=44")
    project.append(f"engines = {engines}\n")
    return project


def give_engine(cache: Path, requirement: str = OLDER) -> Path:
    """Put a fetched engine into a cache. It is fetched once for all tests."""
    found = fetch(WORK / "fetched" / "engines", Requirement(requirement), "the tests")
    make_directory(cache)
    mark_as_cache(cache)
    make_directory(cache / "engines")
    folder = cache / "engines" / found.name
    shutil.copytree(found, folder)
    return folder
