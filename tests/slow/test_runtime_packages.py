"""A runtime and two packages that ship for it: built, installed together, and loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.projects import Built, IsolatedProject
from tests.support.wasm import ANSWER

RUNTIME = """\
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

[project]
name = "wz-runtime"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=46,<48"]

[tool.hatch.build.hooks.wazcache]
loader = "src/wz_runtime/_wazcache.py"
profiles.default.consume-fuel = true
"""
CODE = '''\
"""Runs the modules of other packages."""

import wasmtime

from . import _wazcache


def run(path):
    engine = _wazcache.engine()
    module = _wazcache.load_module(path, engine, foreign=True)
    store = wasmtime.Store(engine)
    store.set_fuel(1000)
    answer = wasmtime.Instance(store, module, []).exports(store)["answer"](store)
    try:
        status = _wazcache.status(path, engine)
    except _wazcache.LoadError:
        return [answer, None, "no asset"]
    return [answer, status.precompiled, str(status.reason)]
'''
PROJECT = """
[project]
name = "{name}"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wz-runtime~=1.0"]
"""
HATCHLING = """
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

[tool.hatch.build.hooks.wazcache]
assets = ["src/*/*.wasm"]
runtime = "wz-runtime~=1.0"
"""
SETUPTOOLS = """
[build-system]
requires = ["setuptools", "hatch-wazcache[setuptools]"]
build-backend = "setuptools.build_meta"

[tool.wazcache]
assets = ["src/*/*.wasm"]
runtime = "wz-runtime~=1.0"
"""
UV_BUILD = """
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"

[tool.wazcache]
assets = ["src/*/*.wasm"]
runtime = "wz-runtime~=1.0"
"""
USE = """
import json, os, sys
from importlib.resources import files
from pathlib import Path
import wz_runtime

asset = files(sys.argv[1]) / "a.wasm"
os.chdir(sys.argv[2])
paths = [asset, str(asset), os.path.relpath(str(asset)), Path(str(asset))]
print(json.dumps([wz_runtime.run(path) for path in paths] + [wz_runtime.run("foreign.wasm")]))
"""
BACKENDS = {
    "pip": (HATCHLING, SETUPTOOLS),
    "uv": (HATCHLING, SETUPTOOLS),
    "build": (HATCHLING, SETUPTOOLS),
    "hatch": (HATCHLING, HATCHLING),
}


@pytest.fixture
def links(isolated: IsolatedProject, tmp_path: Path) -> Path:
    """A folder of wheels that builds and installations see beside the index."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))  # uv caches a package by its path
    isolated.environment["PIP_FIND_LINKS"] += f" {folder}"
    isolated.environment["UV_FIND_LINKS"] += f",{folder}"
    return folder


def project(isolated: IsolatedProject, name: str, pyproject: str) -> IsolatedProject:
    folder = isolated.root.parent / name
    made = IsolatedProject(folder, isolated.cache, isolated.environment)
    package = name.replace("-", "_")
    made.write("pyproject.toml", pyproject)
    made.write(f"src/{package}/__init__.py", CODE if name == "wz-runtime" else "")
    if name != "wz-runtime":
        made.write(f"src/{package}/a.wasm", ANSWER)
    return made


def built(made: IsolatedProject, front_end: str, links: Path) -> Built:
    done = made.build_with(front_end)
    assert done.wheel is not None, done.output
    shutil.copy(done.wheel, links)
    return done


def installed(isolated: IsolatedProject, *names: str) -> Path:
    """Install packages together, by what their METADATA says; return the Python."""
    folder = isolated.root.parent / "environment"
    python = folder / "bin" / "python"
    for words in (
        ("venv", "-q", "-p", sys.executable, folder),
        ("pip", "install", "-q", "-p", python, *names),
    ):
        done = isolated.run("uv", *words)
        assert done.status == 0, done.output
    return python


def used(python: Path, package: str, folder: Path) -> list[list[object]]:
    """Load an asset of a package through the runtime, by four paths, and a file of nobody."""
    (folder / "foreign.wasm").write_bytes(ANSWER)
    done = subprocess.run(
        [python, "-c", USE, package, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[object]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("front_end", BACKENDS)
def test_two_packages_load_their_artifacts_through_the_runtime(
    front_end, isolated, links, tmp_path
):
    built(project(isolated, "wz-runtime", RUNTIME), front_end, links)
    for name, backend in zip(("wz-one", "wz-two"), BACKENDS[front_end], strict=True):
        done = built(project(isolated, name, PROJECT.format(name=name) + backend), front_end, links)
        package = name.replace("-", "_")
        assert {f"{package}/_wazcache.json"} == {one for one in done.names if "_wazcache" in one}
    python = installed(isolated, "wz-one", "wz-two")
    for package in ("wz_one", "wz_two"):
        *assets, foreign = used(python, package, tmp_path)
        assert assets == [[42, True, "None"]] * 4
        assert foreign == [42, None, "no asset"]


def test_compile_fetches_the_runtime_for_the_wheel_of_a_backend_without_hooks(
    isolated, links, tmp_path
):
    built(project(isolated, "wz-runtime", RUNTIME), "uv", links)
    made = project(isolated, "wz-one", PROJECT.format(name="wz-one") + UV_BUILD)
    plain = made.build_with("uv").wheel
    words = ("compile", plain, "--targets", "native", "--engines", "46,47", "-w", links)
    done = made.run("hatch_wazcache", *words)
    assert done.status == 0, done.output
    python = installed(isolated, "wz-one", "wasmtime<47")
    *assets, foreign = used(python, "wz_one", tmp_path)
    assert assets == [[42, True, "None"]] * 4
    assert foreign == [42, None, "no asset"]
    audited = made.run("hatch_wazcache", "audit", *links.glob("wz_one-*.whl"))
    assert audited.status == 0, audited.output


def test_the_runtime_loads_the_artifacts_of_companions(isolated, links, tmp_path):
    built(project(isolated, "wz-runtime", RUNTIME), "uv", links)
    options = 'companion = "wz-artifacts"\nengines = ["46", "47"]\n'
    text = PROJECT.format(name="wz-one").replace('["wz-r', '["wz-artifacts", "wz-r')
    made = project(isolated, "wz-one", f"{text}{HATCHLING}{options}")
    done = made.run("hatchling", "build", "-t", "wazcache:native")
    assert done.status == 0, done.output
    for path in (made.root / "dist").glob("*.whl"):
        shutil.copy(path, links)
    python = installed(isolated, "wz-one", "wasmtime<47")
    assert list(python.parent.parent.glob("lib/python*/site-packages/wz_artifacts-46.*"))
    assert used(python, "wz_one", tmp_path)[:-1] == [[42, True, "None"]] * 4


def test_a_runtime_with_other_settings_compiles_and_says_so(isolated, links, tmp_path):
    built(project(isolated, "wz-runtime", RUNTIME), "uv", links)
    built(project(isolated, "wz-one", PROJECT.format(name="wz-one") + HATCHLING), "uv", links)
    text = RUNTIME.replace('"1.0"', '"1.1"') + "profiles.default.epoch-interruption = false\n"
    made = project(isolated, "wz-runtime", text)
    built(made, "uv", links)
    python = installed(isolated, "wz-one")
    *assets, _foreign = used(python, "wz_one", tmp_path)
    assert [asset[:2] for asset in assets] == [[42, False]] * 4
    assert "settings" in str(assets[0][2])
