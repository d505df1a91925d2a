"""Good wheels, which tests change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.doctored import Wheel
from tests.support.projects import PYPROJECT, Project


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with one asset and one artifact."""
    folder = tmp_path_factory.mktemp("good")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", PYPROJECT)
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    built = project.build()
    assert built.status == 0, built.output
    return built.wheel


@pytest.fixture
def wheel(good: Path) -> Wheel:
    """Its members, to be doctored."""
    return Wheel(good)
