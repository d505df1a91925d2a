"""Locales with another encoding than UTF-8, below a path that is not ASCII."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.projects import Project, run_python
from tests.support.wheels import unpack

LOCALE = "en_US.ISO-8859-1"


@pytest.fixture(scope="session")
def latin1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the locale, which few machines have."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        pytest.skip("localedef is needed: apt install locales")
    make = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / LOCALE]
    made = subprocess.run(make, check=False, capture_output=True)
    if not (folder / LOCALE).exists():
        pytest.skip(f"localedef needs its sources: apt install locales ({made.stderr!r})")
    return {"LOCPATH": str(folder), "LC_ALL": LOCALE, "PYTHONUTF8": "0"}


@pytest.fixture
def project(project: Project, latin1: dict[str, str]) -> Project:
    folder = project.root.parent / "größe"
    folder.mkdir()
    shutil.copytree(project.root, folder / "project")
    return Project(folder / "project", folder / "cache", environment=latin1)


def test_a_build_finds_the_files_that_its_compilers_find(project: Project, latin1: dict[str, str]):
    code = "import sys; print(sys.getfilesystemencoding())"
    assert project.run_python("-c", code).output == "iso8859-1\n"
    built = project.build()
    assert "1 compiled, 0 found" in built.output, built.output
    assert "0 compiled, 1 found" in project.build().output
    checked = project.run("hatch_wazcache", "audit", "--recompile", built.wheel)
    assert "1 compiled again: 0 findings" in checked.output
    inspected = project.run("hatch_wazcache", "inspect", built.wheel)
    assert inspected.output.rstrip().endswith("loads")


def test_the_loader_loads_the_artifact(project: Project, latin1: dict[str, str]):
    site = unpack(project.build().wheel, project.root.parent / "site")
    code = "from demo._wazcache import *; print(load_module('a.wasm', strict=True))"
    done = run_python(code, site, **latin1)
    assert "wasmtime._module.Module" in done.output, done.output


def test_the_loader_loads_the_artifact_from_a_name_without_an_encoding(
    project: Project, tmp_path: Path, latin1: dict[str, str]
):
    site = unpack(project.build().wheel, project.root.parent / "site")
    code = (
        "import os, sys; os.rename(os.fsencode(sys.path[1]), b'" + str(tmp_path) + "/\\xff'); "
        "sys.path.insert(0, os.fsdecode(b'" + str(tmp_path) + "/\\xff')); "
        "from demo._wazcache import *; print(load_module('a.wasm', strict=True))"
    )
    done = run_python(code, site, PYTHONUTF8="1", LC_ALL="C.UTF-8")
    assert "wasmtime._module.Module" in done.output, done.output
