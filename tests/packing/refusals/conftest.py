"""The project of these tests is built by hatchling and by setuptools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.refusals import Refusing, RefusingSetuptools, make_good, reference


@pytest.fixture(params=["hatchling", "setuptools"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Refusing:
    """A good project with a warm cache and a separate temporary directory. Tests break it."""
    kind = Refusing if request.param == "hatchling" else RefusingSetuptools
    made = kind(tmp_path / "project", tmp_path / "cache")
    made.root.mkdir()
    make_good(made)
    warm, made.good_wheel = reference(kind)
    shutil.copytree(warm, made.cache)
    made.cache.chmod(0o700)
    (tmp_path / "tmp").mkdir()
    made.environment = {"TMPDIR": str(tmp_path / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    return made
