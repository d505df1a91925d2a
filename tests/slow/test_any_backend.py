"""Finished wheels of every build backend: compiled, audited, installed, and used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from hatch_wazcache.engine.targets import native_target
from tests.support.backends import BACKENDS, write_project
from tests.support.commands import read_answer, run_command
from tests.support.doctored import Wheel
from tests.support.environments import environment_of
from tests.support.marks import needs_c_compiler
from tests.support.paths import WORK
from tests.support.wheels import TARGET

FRONT_ENDS = ("flit", "poetry", "maturin", "build", "hatch", "uv")
PDM = ("pdm", "hishel<2")  # it does not know newer ones
MAJORS = ("47", "48", "49")
USE = """
import importlib, json, sys
used = {}
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    used[name] = [*package.precompiled(), "DIVF: " in package.settings(60)]
    if hasattr(package, "twice"):
        used[name].append(package.twice(21))
print(json.dumps(used))
"""


class Made(NamedTuple):
    """The wheel of a backend, and the compiled one."""

    wheel: Path
    compiled: Path


class Workshop:
    """Builds and compiles the project of each backend once, with one cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "WAZCACHE_DIR": str(folder / "cache"),
            "XDG_STATE_HOME": str(folder / "state"),
            "CARGO_TARGET_DIR": str(WORK / "cargo"),
        }
        self.made = cache(self._made)

    def _made(self, name: str) -> Made:
        root = self.folder / name
        write_project(name, root)
        words = BACKENDS[name].front_end
        python = environment_of(*PDM if name == "pdm" else FRONT_ENDS, with_ours=False)
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [python, "-m", *words], cwd=root, env={**self.environment, "PATH": path}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        (wheel,) = (root / "dist").glob("*.whl")
        answer = self.run("compile", wheel, "-w", root / "wheelhouse", "--json", cwd=root)
        (compiled,) = read_answer(answer, 0)["wheels"]
        return Made(wheel, Path(compiled))

    def run(self, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        python = Path(sys.executable)
        return run_command(*words, python=python, environment=self.environment, cwd=cwd)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@cache
def missing(name: str) -> str | None:
    """Return why the project of a backend cannot be built here."""
    if name == "maturin" and shutil.which("cargo") is None:
        assert "CI" not in os.environ, "CI has Rust"
        return "Rust is needed: apt install cargo-web"
    (skip,) = needs_c_compiler.args
    return needs_c_compiler.kwargs["reason"] if BACKENDS[name].native and skip else None


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    if reason := missing(request.param):
        pytest.skip(reason)
    return request.param


def test_a_wheel_of_every_backend_gets_artifacts_and_keeps_everything_else(
    workshop: Workshop, backend: str
):
    made = workshop.made(backend)
    before, after = Wheel(made.wheel), Wheel(made.compiled)
    package = f"any_{backend}"
    assets = ("icepll", "parts/analyze")
    added = {f"{package}/_wazcache.py", f"{package}/_wazcache.json"} | {
        f"{package}/{asset}.{TARGET}.wasmtime{major}.cwasm" for asset in assets for major in MAJORS
    }
    assert after.members.keys() == before.members.keys() | added
    changed = {name for name, data in before.members.items() if after.members[name] != data}
    old, new = (path.stem.rpartition("-") for path in made)
    assert new[0] == old[0]  # the name, the version, and the tags of Python and its ABI
    if BACKENDS[backend].native:
        assert new == old
        assert changed == {f"{after.info}/RECORD"}
    else:
        assert old[2] == "any"
        assert new[2] == ".".join(native_target().platform_tags)
        assert changed == {f"{after.info}/RECORD", f"{after.info}/WHEEL"}


def test_an_audit_that_compiles_again_finds_nothing(workshop: Workshop):
    wheels = [workshop.made(name).compiled for name in BACKENDS if not missing(name)]
    done = workshop.run("audit", "--recompile", *wheels, cwd=workshop.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(" compiled again: 0 findings")
    assert f"{6 * len(wheels)} compiled again" in done.stdout


@pytest.mark.parametrize("installer", ["pip", "uv"])
@pytest.mark.parametrize("wasmtime", MAJORS)
def test_an_installation_by_pip_and_by_uv_uses_the_artifacts(
    workshop: Workshop, tmp_path: Path, installer: str, wasmtime: str
):
    names = [name for name in BACKENDS if not missing(name)]
    wheels = [workshop.made(name).compiled for name in names]
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "-p", sys.executable, tmp_path / "site"], check=True)
    python = tmp_path / "site" / "bin" / "python"
    install = (
        [*uv, "pip", "install", "-q", "-p", python]
        if installer == "uv"
        else [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    )
    subprocess.run([*install, f"wasmtime=={wasmtime}.*", *wheels], check=True)
    done = subprocess.run(
        [python, "-W", "error", "-c", USE, *(f"any_{name}" for name in names)],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "empty")}, text=True, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    used = [True, True, True]
    assert json.loads(done.stdout) == {
        f"any_{name}": [*used, 42] if BACKENDS[name].native else used for name in names
    }
    assert not (tmp_path / "empty").exists()  # nothing was compiled
