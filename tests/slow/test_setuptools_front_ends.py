"""setuptools under every front end, each in fresh environments, and in every version."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.environments import environment_of, environment_with, find_python, newest
from tests.support.paths import EXAMPLE
from tests.support.projects import (
    SETUPTOOLS_PYPROJECT,
    IsolatedProject,
    SetuptoolsProject,
    run_python,
    unpack_sdist,
)
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET, engines, members, ours, precompiled, unpack, wheel_contents
from tests.support.whole_wheels import assert_whole_wheels

FRONT_ENDS = ["pip", "uv", "build", "build, by way of an sdist"]
OLDEST = '"setuptools==69.0.*", "wheel<0.46"'
VERSIONS = ["69.0.3", "70.0.0", "70.3.0", "72.2.0", "75.8.2", "77.0.3", "79.0.1", "80.9.0", ""]
USE = """
import wasmtime
from demo._wazcache import engine, load_module
store = wasmtime.Store(engine())
instance = wasmtime.Instance(store, load_module("answer.wasm", strict=True), [])
print("the answer is", instance.exports(store)["answer"](store))
"""


@pytest.fixture
def demo(isolated: IsolatedProject) -> IsolatedProject:
    """The project for setuptools, built in environments of the front ends' own."""
    isolated.write("pyproject.toml", SETUPTOOLS_PYPROJECT)
    isolated.write("demo/answer.wasm", ANSWER)
    return isolated


def test_every_front_end_builds_the_examples_wheel_as_with_hatch(isolated: IsolatedProject):
    shutil.rmtree(isolated.root)
    shutil.copytree(EXAMPLE, isolated.root, ignore=shutil.ignore_patterns("dist", "*.cwasm"))
    hatch = isolated.build_with("build")
    assert members(hatch)
    isolated.write("pyproject.toml", (EXAMPLE / "setuptools.toml").read_bytes())
    for front_end in FRONT_ENDS:
        built = isolated.build_with(front_end)
        assert built.wheel is not None, built.output
        assert built.wheel.name == hatch.wheel.name
        assert members(built) == members(hatch)
        assert wheel_contents(built.wheel) == wheel_contents(hatch.wheel)
        assert "0 compiled, 1 found" in built.output


@pytest.mark.parametrize("requires", ['"setuptools"', OLDEST], ids=["newest", "oldest"])
@pytest.mark.parametrize("front_end", ["pip", "uv", "build"])
def test_a_project_gets_artifacts_of_the_wasmtime_that_it_names(
    demo: IsolatedProject, tmp_path: Path, front_end: str, requires: str
):
    wanted = "wasmtime>=36,<37"
    text = SETUPTOOLS_PYPROJECT.replace("wasmtime>=48,<49", wanted)
    demo.write("pyproject.toml", text.replace('"setuptools"', requires, 1))
    built = demo.build_with(front_end)
    assert members(built) == {"demo/__init__.py", *ours("demo", "a", "answer")}
    (engine,) = engines(built.read("demo/_wazcache.json"))
    assert engine.startswith("36.")
    site = unpack(built.wheel, tmp_path / "site")
    assert run_python(USE, site, environment_with(newest(wanted))).output == "the answer is 42\n"


@pytest.mark.parametrize("requires", ['"setuptools"', OLDEST], ids=["newest", "oldest"])
@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('assets = ["demo/*.wasm"]\ntimeot = 3', "tool.wazcache.timeot: there is no such option"),
        ('assets = ["demo/*.txt"]', "demo/a.txt: not WebAssembly"),
    ],
    ids=["when it asks what to install", "when it builds"],
)
def test_an_error_is_one_message_without_a_traceback(
    demo: IsolatedProject, front_end: str, options: str, message: str, requires: str
):
    text = SETUPTOOLS_PYPROJECT.replace('"setuptools"', requires, 1)
    demo.write(
        "pyproject.toml", f"{text.partition('[tool.wazcache]')[0]}[tool.wazcache]\n{options}"
    )
    demo.write("demo/a.txt", "text")
    built = demo.build_with(front_end)
    assert built.status != 0
    assert built.output.count(message) == 1, built.output
    assert built.output.count("wazcache: ") == 1, built.output
    assert "Traceback" not in built.output
    left = [p.name for p in demo.root.parent.rglob("*") if p.suffix in {".whl", ".tmp"}]
    assert left == []


@pytest.mark.parametrize("editable", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        ["pip", "--python", "PYTHON", "install"],
        ["uv", "pip", "install", "-p", "PYTHON"],
        ["uv", "pip", "install", "-p", "PYTHON", "-C", "editable_mode=strict"],
    ],
    ids=["pip", "uv", "uv, strict"],
)
def test_what_is_installed_works_without_hatch_wazcache(
    demo: IsolatedProject, tmp_path: Path, words: list[str], editable: bool
):
    demo.run("uv", "venv", "-p", sys.executable, tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    words = [str(python) if word == "PYTHON" else word for word in words]
    done = demo.run(*words, *["-e"] * editable, ".")
    assert done.status == 0, done.output
    assert run_python(USE, tmp_path, python).output == "the answer is 42\n"
    code = "from importlib.metadata import distributions as d; print(*{x.name for x in d()})"
    installed = set(run_python(code, tmp_path, python).output.split())
    assert {"demo", "wasmtime"} <= installed
    assert installed.isdisjoint({"hatch-wazcache", "hatchling", "deflate"})


@pytest.fixture(params=VERSIONS)
def versioned(request: pytest.FixtureRequest, tmp_path: Path) -> SetuptoolsProject:
    """A project in an environment with one version of setuptools."""
    made = SetuptoolsProject(tmp_path / "project", tmp_path / "cache")
    made.write("pyproject.toml", SETUPTOOLS_PYPROJECT)
    made.write("demo/__init__.py")
    made.wasm("demo/a.wasm")
    packages = ["setuptools"]
    if request.param:
        packages = [f"setuptools=={request.param}", "wheel<0.46"]
    made.python = environment_of(*packages, "wasmtime==48.0.0")
    return made


def test_every_setuptools_gives_a_name_to_whole_wheels_only(versioned: SetuptoolsProject):
    assert_whole_wheels(versioned, 4)


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_builds_the_same_bytes(tmp_path: Path, version: str):
    made = SetuptoolsProject(tmp_path / "project", tmp_path / "cache")
    made.write("pyproject.toml", SETUPTOOLS_PYPROJECT)
    made.write("demo/__init__.py")
    made.wasm("demo/a.wasm")
    wheels = []
    for python in (Path(sys.executable), find_python(version)):
        made.python = environment_of("setuptools", "wasmtime==48.0.0", python=python)
        built = made.build(WAZCACHE_DIR=str(tmp_path / python.parent.parent.name))
        assert "1 compiled, 0 found" in built.output
        wheels.append(built.wheel.read_bytes())
        assert made.editable("strict").status == 0
        shutil.rmtree(tmp_path / python.parent.parent.name)
    assert wheels[0] == wheels[1]


def test_every_setuptools_builds_a_wheel_an_sdist_and_editable_installs(
    versioned: SetuptoolsProject, tmp_path: Path
):
    project = versioned
    versioned.append("[tool.setuptools.package-data]\ndemo = ['*']\n")
    built = project.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    artifact = {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}
    assert precompiled(unpack(built.wheel, tmp_path / "site")) == artifact
    assert "0 compiled, 1 found" in project.build().output
    lenient = project.editable()
    assert lenient.status == 0, lenient.output
    assert precompiled(project.root) == artifact
    strict = project.editable("strict")
    assert strict.status == 0, strict.output
    assert "Traceback" not in strict.output
    (tree,) = (project.root / "build").glob("__editable__*")
    assert precompiled(tree) == artifact
    assert project.build().wheel.read_bytes() == built.wheel.read_bytes()
    sdist = unpack_sdist(project.sdist(), tmp_path / "sdist", project.cache)
    assert not any("wazcache" in name or name.endswith(".cwasm") for name in sdist.tree())
    assert "demo/a.wasm" in sdist.tree()
