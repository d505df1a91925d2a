"""A cache that real builds have filled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.commands import OTHER
from tests.support.projects import PYPROJECT, Project


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two assets, built twice."""
    folder = tmp_path_factory.mktemp("cli")
    made = Project(folder / "project", folder / "cache")
    made.write("pyproject.toml", PYPROJECT)
    made.write("demo/__init__.py")
    made.wasm("demo/a.wasm")
    made.wasm("demo/sub/b.wasm", OTHER)
    made.options('assets = ["demo/**/*.wasm"]')
    for _ in range(2):
        assert made.build().status == 0
    shutil.rmtree(made.root / "dist")
    return made


@pytest.fixture
def filled(built: Project, tmp_path: Path) -> Project:
    """A copy of it, with a copy of its cache."""
    shutil.copytree(built.root, tmp_path / "project")
    shutil.copytree(built.cache, tmp_path / "cache")
    return Project(tmp_path / "project", tmp_path / "cache")
