"""A runtime loads the artifacts of packages as real installers install them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.projects import PYPROJECT, Project, SetuptoolsProject
from tests.support.runtimes import build_runtime
from tests.support.wasm import ANSWER

UV = [sys.executable, "-m", "uv", "pip", "install", "-q"]
INSTALLERS = {
    "pip": [],
    "uv": UV,
    "uv, links to its cache": [*UV, "--link-mode=symlink"],
    "uv, copies": [*UV, "--link-mode=copy"],
}
PROGRAM = """
import os, sys
import demo
from rt._wazcache import LoadError, engine, load_module, status
from wasmtime import Instance, Store
folder = os.path.dirname(demo.__file__)
for path in (os.path.join(folder, "answer.wasm"), os.path.relpath(folder) + "/../demo/answer.wasm"):
    store = Store(engine())
    module = load_module(path, strict=True)
    print(Instance(store, module, []).exports(store)["answer"](store), status(path).precompiled)
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_runtime(tmp_path_factory.mktemp("runtime"), 'loader = "rt/_wazcache.py"')


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A fresh environment with pip, wasmtime and build backends; its Python."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    (python,) = (tmp_path / "venv").glob("bin/python")
    backends = ["hatchling", "setuptools>=70.1", "editables", "-e", ROOT]
    subprocess.run([*UV, "-p", python, f"wasmtime=={version('wasmtime')}", *backends], check=True)
    return python


def install(python: Path, words: list[str], *what: str | Path) -> None:
    begin = [*words, "-p", python] if words else [python, "-m", "pip", "install", "-q"]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([*begin, "--no-deps", *what], env=environment, check=True)


def answer(python: Path, folder: Path) -> list[str]:
    return subprocess.run(
        [python, "-c", PROGRAM], cwd=folder, text=True, stdout=subprocess.PIPE, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("installer", INSTALLERS)
def test_artifacts_of_an_installed_package_load(
    installer: str, runtime: Path, environment: Path, tmp_path: Path
):
    project = Project(tmp_path / "project", tmp_path / "cache")
    project.write("pyproject.toml", PYPROJECT)
    project.options('assets = ["demo/*.wasm"]\nloader = false')
    project.write("demo/__init__.py")
    project.write("demo/answer.wasm", ANSWER)
    built = project.build()
    assert built.wheel, built.output
    install(environment, INSTALLERS[installer], runtime, built.wheel)
    assert answer(environment, tmp_path) == ["42 True", "42 True"]


@pytest.mark.parametrize("installer", ["pip", "uv"])
@pytest.mark.parametrize("kind", [Project, SetuptoolsProject])
def test_artifacts_of_an_editable_install_load(
    kind: type[Project],
    installer: str,
    runtime: Path,
    environment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    project = kind(tmp_path / "project ä", tmp_path / "cache")
    project.options('assets = ["demo/*.wasm"]\nloader = false')
    if kind is Project:
        project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    project.write("demo/__init__.py")
    project.write("demo/answer.wasm", ANSWER)
    install(environment, INSTALLERS[installer], runtime)
    monkeypatch.setenv("WAZCACHE_DIR", str(project.cache))
    install(environment, INSTALLERS[installer], "--no-build-isolation", "-e", project.root)
    assert answer(environment, tmp_path) == ["42 True", "42 True"]
