"""Linters and type checkers of a project with an editable install accept the loader."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from hatch_wazcache.cli import main
from tests.support.environments import environment_of
from tests.support.projects import Project

TOOLS = ("ruff", "black", "flake8", "pylint", "isort", "mypy", "basedpyright")
CHECKS = {
    "ruff": ["ruff", "check", "--isolated", "--no-cache"],
    "ruff with every rule": ["ruff", "check", "--isolated", "--no-cache", "--select=ALL"],
    "ruff format": ["ruff", "format", "--isolated", "--no-cache", "--diff"],
    "black": ["black", "--check", "--line-length=79"],
    "flake8": ["flake8", "--isolated"],
    "pylint": ["pylint"],
    "isort": ["isort", "--check", "--diff"],
    "mypy": ["mypy", "--strict", "--no-incremental"],
    "pyright": ["basedpyright", "--warnings"],
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a project with an editable install."""
    folder = tmp_path_factory.mktemp("linters")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", Project.pyproject)
    project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    project.append('[tool.pyright]\ntypeCheckingMode = "strict"\n')
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    built = project.editable()
    assert built.status == 0, built.output
    return project.root


@pytest.mark.parametrize("with_wasmtime", [True, False], ids=["wasmtime", "no wasmtime"])
@pytest.mark.parametrize("check", CHECKS)
def test_pass_the_loader(check: str, with_wasmtime: bool, package: Path):
    wasmtime = [f"wasmtime=={version('wasmtime')}"] if with_wasmtime else []
    python = environment_of(*TOOLS, *wasmtime, with_ours=False)
    checked = subprocess.run(
        [python, "-m", *CHECKS[check], "demo/_wazcache.py"],
        cwd=package, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


CODE = """\
\"\"\"Loads its own WebAssembly.\"\"\"

import wasmtime

from demo._wazcache import engine, load_module


def module() -> wasmtime.Module:
    \"\"\"Return the module.\"\"\"
    return load_module("a.wasm", engine())
"""


@pytest.mark.parametrize("check", ["ruff", "ruff format", "mypy", "pyright"])
def test_pass_a_checkout_that_was_never_built_and_know_its_loader(check: str, tmp_path: Path):
    project = Project(tmp_path / "project", tmp_path / "cache")
    project.write("pyproject.toml", Project.pyproject)
    project.append('[tool.pyright]\ntypeCheckingMode = "strict"\n')
    project.write("demo/__init__.py", CODE)
    project.wasm("demo/a.wasm")
    assert main(["init", "--yes", "--project", str(project.root)]) == 0
    python = environment_of(*TOOLS, f"wasmtime=={version('wasmtime')}", with_ours=False)
    where = ["--pythonpath", python] if check == "pyright" else []
    checked = subprocess.run(
        [python, "-m", *CHECKS[check], *where, "demo"],
        cwd=project.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
