"""setuptools: the same editable installs and sdists as by the hatch hook."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.environments import environment_of
from tests.support.projects import (
    SetuptoolsProject,
    flat_setuptools_project,
    run_python,
    unpack_sdist,
)
from tests.support.wasm import tiny
from tests.support.wheels import TARGET, load_editable, members, ours

WROTE = {f"demo/a.{TARGET}.cwasm", "demo/_wazcache.json", "demo/_wazcache.py"}


@pytest.fixture
def project(tmp_path: Path, warm: Callable[[SetuptoolsProject], None]) -> SetuptoolsProject:
    made = flat_setuptools_project(tmp_path)
    warm(made)
    return made


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_an_editable_install_writes_beside_the_sources_and_loads(
    project: SetuptoolsProject, mode: str
):
    before = set(project.tree())
    built = project.editable(mode)
    assert set(project.tree()) == before | WROTE
    assert load_editable(built, ["demo/a.wasm"]) == [True]
    tree = project.root if mode == "lenient" else next((project.root / "build").glob("__editable*"))
    project.write("demo/a.wasm", tiny("changed since"))
    ran = run_python("from demo._wazcache import *; load_module('a.wasm')", tree)
    assert "the .wasm has changed since; install the project again" in ran.output


def test_a_second_editable_install_removes_what_is_stale(project: SetuptoolsProject):
    project.append("[tool.setuptools.package-data]\ndemo = ['*']\n")
    project.write("MANIFEST.in", "graft demo\n")
    project.write("demo/b.wasm", tiny("b"))
    assert project.editable("strict").status == 0
    (project.root / "demo/b.wasm").unlink()
    built = project.editable("strict")
    assert built.status == 0, built.output
    assert [name for name in project.tree() if "demo/b" in name] == []
    assert load_editable(built, ["demo/a.wasm"]) == [True]


def test_nothing_of_an_editable_install_gets_any_further(project: SetuptoolsProject):
    project.append("[tool.setuptools.package-data]\ndemo = ['*']\n")
    project.write("MANIFEST.in", "graft demo\n")
    text = (project.root / "pyproject.toml").read_text()
    clean = project.build().wheel.read_bytes(), sorted_sdist(project)
    shutil.rmtree(project.root / "build")
    more = "profiles.metered.consume-fuel = true\nloader = 'demo/wasm.py'\n"
    metered = text.replace(
        "[tool.setuptools.package-data]", f"{more}[tool.setuptools.package-data]"
    )
    project.write("pyproject.toml", metered)
    assert project.editable().status == 0
    assert "demo/wasm.py" in project.tree()
    project.write("pyproject.toml", text)
    built = project.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert (built.wheel.read_bytes(), sorted_sdist(project)) == clean


def sorted_sdist(project: SetuptoolsProject) -> list[str]:
    folder = project.root.parent / "sdist"
    shutil.rmtree(folder, ignore_errors=True)
    tree = unpack_sdist(project.sdist(), folder, project.cache).root
    names = (path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())
    return sorted(names)


def test_a_cache_inside_the_project_gets_no_further(project: SetuptoolsProject):
    project.options('assets = ["demo/*.wasm"]\ncache-dir = "demo/cache"')
    project.append("[tool.setuptools.package-data]\ndemo = ['**/*']\n")
    project.write("MANIFEST.in", "graft demo\n")
    for _ in range(2):
        built = project.build(WAZCACHE_DIR="")
        assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert [name for name in sorted_sdist(project) if "cache/" in name] == []


def test_an_sdist_needs_no_wasmtime_and_refuses_a_glob_that_matches_nothing(
    project: SetuptoolsProject,
):
    project.python = environment_of("setuptools")
    assert project.sdist().is_file()
    project.options('assets = ["demo/*.wsam"]')
    built = project.backend("build_sdist")
    assert 'wazcache: tool.wazcache.assets: "demo/*.wsam" matches no file' in built.output
    assert "Traceback" not in built.output


@pytest.mark.parametrize("version", ["69.0.3", ""])
def test_develop(project: SetuptoolsProject, tmp_path: Path, version: str):
    """By itself in old versions, by way of pip and an editable wheel in new ones."""
    packages = [f"setuptools=={version}", "wheel<0.46"] if version else ["setuptools"]
    made = environment_of(*packages, "pip", "wasmtime==48.0.0")
    folder = tmp_path / "environment"
    shutil.copytree(made.parent.parent, folder, symlinks=True)
    project.python = folder / "bin" / "python"
    done = project.setup("develop", "--no-deps", PIP_NO_BUILD_ISOLATION="0", PIP_NO_INDEX="1")
    assert done.status == 0, done.output
    ran = run_python(
        "from demo._wazcache import *; load_module('a.wasm', strict=True); import demo; "
        "print(demo.__file__, status('a.wasm').precompiled)", tmp_path, project.python,
    )  # fmt: skip
    assert ran.output == f"{project.root}/demo/__init__.py True\n"
