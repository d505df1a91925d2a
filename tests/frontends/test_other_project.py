"""The commands in projects of backends that run no hook: uv_build, flit, poetry, pdm, maturin."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.commands import answer, artifacts, refused, said, tree
from tests.support.engines import OLDER, give_engine
from tests.support.environments import environment_of, environment_with
from tests.support.projects import PYPROJECT, Project
from tests.support.wasm import tiny
from tests.support.wheels import TARGET

PROJECT = """\
[project]
name = "demo-tool"
version = "1.0"
description = "A tool"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]

"""
BACKENDS = {
    "uv_build": ("uv_build", ""),
    "flit": ("flit_core.buildapi", ""),
    "poetry": ("poetry.core.masonry.api", ""),
    "pdm": ("pdm.backend", ""),
}
NAMED = {
    "uv_build": '[tool.uv.build-backend]\nmodule-name = "other"\nmodule-root = "code"\n',
    "flit": '[tool.flit.module]\nname = "other"\n',
    "poetry": '[tool.poetry]\npackages = [{include = "other", from = "code"}]\n',
    "pdm": '[tool.pdm.build]\npackage-dir = "code"\n',
}
FLAT = {"uv_build": '[tool.uv.build-backend]\nmodule-root = ""\n'}
BUILD = "import sys, importlib as i; print(i.import_module(sys.argv[1]).build_wheel('dist'))"


class OtherProject(Project):
    """A project of another backend, with an environment that holds wasmtime, not setuptools."""

    def set_up(self, backend: str, folder: str, module: str = "demo_tool", tool: str = "") -> None:
        name = BACKENDS.get(backend, (backend,))[0]
        head = f'[build-system]\nrequires = []\nbuild-backend = "{name}"\n\n'
        place = f"{folder}/{module}".removeprefix("./")
        table = f'[tool.wazcache]\nassets = ["{place}/**/*.wasm"]\n'
        self.write("pyproject.toml", head + PROJECT + tool + table)
        self.write(f"{place}/__init__.py", '"""A tool."""\n')
        self.write(f"{place}/a.wasm", tiny("a"))
        self.write(f"{place}/data/b.wasm", tiny("b"))
        self.write("tests/test_tool.py")

    def backend_wheel(self, backend: str) -> list[str]:
        """Build the wheel as the backend does, and return its members."""
        packages = ("uv_build", "flit_core", "poetry-core", "pdm-backend")
        python = environment_of(*packages, with_ours=False)
        words = [python, "-c", BUILD, BACKENDS[backend][0]]
        (self.root / "dist").mkdir()
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"  # uv_build runs its program
        subprocess.run(
            words, cwd=self.root, check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
        (wheel,) = (self.root / "dist").glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        shutil.rmtree(self.root / "dist")
        return names


@pytest.fixture
def other(tmp_path: Path) -> OtherProject:
    return OtherProject(tmp_path / "project", tmp_path / "cache", python=environment_with("48.0.0"))


@pytest.fixture
def uv_project(tmp_path: Path) -> OtherProject:
    """A project for the Python of the tests, which measures coverage."""
    project = OtherProject(tmp_path / "project", tmp_path / "cache")
    project.set_up("uv_build", "src")
    return project


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", ["src", "flat", "named"])
def test_assets_are_where_the_backend_puts_them(other: OtherProject, backend: str, layout: str):
    if layout == "named":
        folder = "src" if backend == "flit" else "code"
        other.set_up(backend, folder, "other", NAMED[backend])
    elif layout == "src":
        other.set_up(backend, "src")
    else:
        other.set_up(backend, ".", tool=FLAT.get(backend, ""))
    plan = answer(other, "plan")
    assert [wheel["target"] for wheel in plan["wheels"]] == [TARGET, "any"]
    planned = [one["path"] for one in plan["wheels"][1]["assets"]]
    made = other.backend_wheel(backend)
    assert sorted(planned) == sorted(name for name in made if name.endswith(".wasm"))
    assert plan["wheels"][1]["file"] == "demo_tool-1.0-py3-none-any.whl"


def test_the_plan_says_what_is_assumed(uv_project: OtherProject):
    unread, warning = answer(uv_project, "plan")["warnings"]
    assert unread.startswith("uv_build does not read [tool.wazcache]: its own wheel has the .wasm")
    assert not [name for name in uv_project.backend_wheel("uv_build") if "wazcache" in name]
    assert warning == (
        "uv_build cannot be asked for its files: it is assumed that a wheel has the packages of src"
    )
    assert f"warning: {warning}" in said(uv_project, "plan")


def test_warm_makes_the_entries_of_the_same_project_with_hatchling(uv_project: OtherProject):
    before = tree(uv_project.root)
    assert "2 compiled, 0 found in the cache" in said(uv_project, "warm")
    assert tree(uv_project.root) == before
    made = artifacts(uv_project)
    plan = answer(uv_project, "plan")["wheels"][0]
    assert sorted(one["key"] for one in plan["artifacts"] if one["hit"]) == [p.stem for p in made]
    hatch = Project(uv_project.root.parent / "hatch", uv_project.cache)
    shutil.copytree(uv_project.root / "src", hatch.root)
    hatch.write("pyproject.toml", PYPROJECT.replace("demo/*", "demo_tool/**/*"))
    hatch.append('[tool.hatch.build.targets.wheel]\npackages = ["demo_tool"]\n')
    assert "0 compiled, 2 found in the cache" in hatch.build().output
    assert artifacts(uv_project) == made


def test_warm_and_why_work_without_setuptools(other: OtherProject):
    other.set_up("uv_build", "src")
    assert "a.wasm: miss: " in said(other, "why", "a.wasm")
    said(other, "warm")
    assert re.match(r"src/demo_tool/a\.wasm: hit: ", said(other, "why", "a.wasm"))


def test_a_job_of_the_matrix_leaves_the_compiled_wheel_in_dist(uv_project: OtherProject):
    (native, for_any) = json.loads(said(uv_project, "plan", "--matrix", "github"))["include"]
    assert (native["target"], for_any["target"]) == (TARGET, "any")
    assert native["command"] == (
        "python -m build --wheel && "
        f"hatch-wazcache compile dist/*.whl --in-place --targets {TARGET}"
    )


def test_engines_and_companions_are_planned(uv_project: OtherProject):
    text = (uv_project.root / "pyproject.toml").read_text("utf-8")
    both = '"demo-wasmtime", "wasmtime>=44"'
    uv_project.write("pyproject.toml", text.replace('"wasmtime>=48,<49"', both))
    uv_project.append(f'engines = ["48", "{OLDER}"]\ncompanion = "demo-wasmtime"\n')
    give_engine(uv_project.cache)
    names = [wheel["file"].split("-py3")[0] for wheel in answer(uv_project, "plan")["wheels"]]
    assert names == [
        "demo_tool-1.0", "demo_wasmtime-48.1.0", "demo_wasmtime-47.1.0", "demo_wasmtime-0"
    ]  # fmt: skip


def test_the_wheel_of_a_backend_for_extension_modules_is_for_this_platform(other: OtherProject):
    other.set_up("maturin", "python")
    other.append('targets = "all"\n')
    (wheel,) = answer(other, "plan")["wheels"]
    assert (wheel["target"], wheel["tag"], wheel["file"]) == (TARGET, None, None)
    assert [one["path"] for one in wheel["assets"]] == ["demo_tool/a.wasm", "demo_tool/data/b.wasm"]
    assert said(other, "plan").startswith(f"demo-tool 1.0, for {TARGET}: at least ")


def test_what_only_a_build_knows_is_unknown(uv_project: OtherProject):
    text = (uv_project.root / "pyproject.toml").read_text("utf-8")
    uv_project.write("pyproject.toml", text.replace('version = "1.0"', 'dynamic = ["version"]'))
    plan = answer(uv_project, "plan")
    assert plan["version"] is None
    assert [wheel["file"] for wheel in plan["wheels"]] == [None, None]
    assert "project.version is dynamic, so only a build knows it" in plan["warnings"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "demo-tool"', "", "has no table [project] with a name"),
        ("wasmtime>=48,<49", "wasmtime>>48", "project.dependencies: 'wasmtime>>48' is not a"),
        ('">=3.9"', '"three"', "project.requires-python = 'three': "),
        ("**/*.wasm", "*.none", "tool.wazcache.assets"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "warm"])
def test_a_mistake_is_one_message(
    uv_project: OtherProject, old: str, new: str, message: str, command: str
):
    text = (uv_project.root / "pyproject.toml").read_text("utf-8")
    assert old in text
    uv_project.write("pyproject.toml", text.replace(old, new))
    assert message in refused(uv_project, command)


def test_an_asset_outside_the_packages_is_refused(uv_project: OtherProject):
    uv_project.write("more/c.wasm", tiny("c"))
    text = (uv_project.root / "pyproject.toml").read_text("utf-8")
    uv_project.write("pyproject.toml", text.replace("src/demo_tool/**", "more"))
    assert "more/c.wasm: is not in a Python package" in refused(uv_project, "plan")


def test_install_says_that_there_is_nothing_to_update(uv_project: OtherProject):
    message = refused(uv_project, "install")
    assert "the build backend is uv_build, which runs no build hook" in message
    assert "an editable install has no artifacts to update" in message


def test_the_cache_is_the_one_that_the_options_name(uv_project: OtherProject):
    uv_project.append('cache-dir = "cache"\n')
    uv_project.environment = {"WAZCACHE_DIR": ""}
    assert said(uv_project, "dir").strip() == str(uv_project.root / "cache")
