"""Projects of authors who only call `init`: their own front end builds wheels with artifacts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hatch_wazcache.cli import main
from tests.support.projects import IsolatedProject, run_python
from tests.support.wheels import unpack

PROJECT = """
[project]
name = "demo"
version = "1.0"
description = "Shows something"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]
"""
SETUP = """
from setuptools import setup
setup(name="demo", version="1.0", packages=["demo"], install_requires=["wasmtime>=48,<49"])
"""
BACKENDS = {
    "hatchling": ("hatchling", "hatchling.build"),
    "setuptools": ("setuptools", "setuptools.build_meta"),
    "flit": ("flit_core", "flit_core.buildapi"),
    "poetry": ("poetry-core", "poetry.core.masonry.api"),
}
LOAD = "from demo._wazcache import load_module; print(load_module('a.wasm', strict=True))"


@pytest.fixture
def bare(isolated: IsolatedProject) -> IsolatedProject:
    """The project before its author has heard of hatch-wazcache, in a repository."""
    (isolated.root / "pyproject.toml").unlink()
    isolated.write(".gitignore", "dist\n")
    subprocess.run(["git", "init", "-q"], cwd=isolated.root, check=True)
    return isolated


def check(project: IsolatedProject, wheel: Path, site: Path) -> None:
    """Check that a wheel loads an artifact, and that the loader can be committed."""
    ran = run_python(LOAD, unpack(wheel, site))
    assert "Module object" in ran.output, ran.output
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=project.root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "demo/_wazcache.py" in listed
    assert main(["init", "--project", str(project.root)]) == 0  # nothing to do


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_wheel_of_the_projects_own_backend_has_artifacts(backend, bare, tmp_path, monkeypatch):
    monkeypatch.setenv("WAZCACHE_DIR", str(bare.cache))
    requirement, module = BACKENDS[backend]
    system = f'[build-system]\nrequires = ["{requirement}"]\nbuild-backend = "{module}"\n'
    bare.write("pyproject.toml", system + PROJECT)
    bare.write("demo/__init__.py", '"""Shows something."""\n')
    assert main(["init", "--yes", "--project", str(bare.root)]) == 0
    built = bare.build_with("build")
    assert built.wheel is not None, built.output
    wheel = built.wheel
    if backend in ("flit", "poetry"):
        targets = ["--targets", "native", "-w", str(tmp_path / "wheelhouse")]
        words = ["--project", str(bare.root), *targets]
        assert main(["compile", str(wheel), *words]) == 0
        (wheel,) = (tmp_path / "wheelhouse").glob("*.whl")
    check(bare, wheel, tmp_path / "site")


@pytest.mark.parametrize("front_end", ["pip", "uv", "build, by way of an sdist"])
def test_a_project_with_setup_py_alone_builds_with_artifacts(front_end, bare, tmp_path):
    bare.write("setup.py", SETUP)
    assert main(["init", "--yes", "--project", str(bare.root)]) == 0
    built = bare.build_with(front_end)
    assert built.wheel is not None, built.output
    check(bare, built.wheel, tmp_path / "site")
