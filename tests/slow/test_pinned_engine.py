"""One exact wasmtime under every front end: installed once, and then kept by the cache."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from hatch_wazcache.cache.fetched_wheel import system_name
from tests.support.projects import FRONT_ENDS, PYPROJECT, SETUPTOOLS_PYPROJECT, IsolatedProject
from tests.support.wheels import engines

PIN = "wasmtime==48.0.0"
KEPT = f"wasmtime-48.0.0-{system_name()}"
PEP_517 = [name for name in FRONT_ENDS if name != "hatch"]

# The build backend of the project: it stands for another process that deletes files of the cache
# between the two questions of a front end, and says whether wasmtime is installed.
BETWEEN = """\
import glob, importlib.metadata, os, shutil
from BACKEND import *
from BACKEND import build_wheel as build_of_backend

def build_wheel(*words, **more):
    for path in glob.glob(os.environ["WAZCACHE_DIR"] + "/" + os.environ.get("BETWEEN", "none")):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    found = [one.metadata["Name"] for one in importlib.metadata.distributions()]
    print("wasmtime is", "installed" if "wasmtime" in found else "absent", flush=True)
    return build_of_backend(*words, **more)
"""
ENTRIES = "wasmtime-*/*.zip"
EVERYTHING = "*"


def digest(isolated: IsolatedProject, front_end: str, said: str, **env: str) -> str:
    """Build, and compare what it did; return the digest of the wheel."""
    built = isolated.build_with(front_end, **env)
    assert built.wheel is not None, built.output
    assert said in built.output, built.output
    assert set(engines(built.read("demo/_wazcache.json"))) == {"48.0.0"}
    return hashlib.sha256(built.wheel.read_bytes()).hexdigest()


@pytest.fixture(params=["hatchling.build", "setuptools.build_meta"])
def between(isolated: IsolatedProject, request: pytest.FixtureRequest) -> IsolatedProject:
    """A project with a pin, of each build system."""
    text = SETUPTOOLS_PYPROJECT if "setuptools" in request.param else PYPROJECT
    text = text.replace("wasmtime>=48,<49", PIN)
    backend = f'build-backend = "{request.param}"'
    assert backend in text
    isolated.write(
        "pyproject.toml",
        text.replace(backend, 'build-backend = "between"\nbackend-path = ["backend"]'),
    )
    isolated.write("MANIFEST.in", "graft backend")  # for setuptools' sdist
    isolated.write("backend/between.py", BETWEEN.replace("BACKEND", request.param))
    isolated.environment["SOURCE_DATE_EPOCH"] = "1580601600"
    return isolated


@pytest.mark.parametrize("front_end", PEP_517)
def test_a_front_end_installs_a_pinned_wasmtime_once_and_the_wheels_are_the_same(
    between: IsolatedProject, front_end: str
):
    """Cold and warm, with it and without it, also if entries go between the two questions."""
    first = digest(between, front_end, "1 compiled, 0 found")
    assert (between.cache / "engines" / KEPT).is_dir()
    warm = digest(between, front_end, "0 compiled, 1 found")
    pruned = digest(between, front_end, "1 compiled, 0 found", BETWEEN=ENTRIES)
    shutil.rmtree(between.cache / "engines")
    installed = digest(between, front_end, "0 compiled, 1 found")
    assert {warm, pruned, installed} == {first}


@pytest.mark.parametrize("front_end", ["pip", "build"])
def test_a_warm_build_has_no_wasmtime_in_its_environment(between: IsolatedProject, front_end: str):
    words = {"pip": ("pip", "wheel", "-v", "--no-deps", ".", "-w"), "build": ("build", "-w", "-o")}
    between.build_with(front_end)
    for said, more in (("absent", {}), ("absent", {"BETWEEN": ENTRIES})):
        done = between.run(*words[front_end], between.root.parent / "again", **more)
        assert done.status == 0, done.output
        assert f"wasmtime is {said}" in done.output
    shutil.rmtree(between.cache / "engines")
    done = between.run(*words[front_end], between.root.parent / "again")
    assert "wasmtime is installed" in done.output


def test_uv_fetches_a_pinned_wasmtime_that_was_lost_between_the_two_questions(
    between: IsolatedProject,
):
    first = digest(between, "uv", "1 compiled, 0 found")
    assert digest(between, "uv", "1 compiled, 0 found", BETWEEN=EVERYTHING) == first


def test_where_nothing_can_fetch_it_the_next_build_installs_it_again(between: IsolatedProject):
    between.environment |= {"PATH": "/usr/bin:/bin", "UV": ""}
    first = digest(between, "build", "1 compiled, 0 found")
    lost = between.build_with("build", BETWEEN=EVERYTHING)
    assert lost.wheel is None
    assert "wasmtime is not installed in this environment" in lost.output
    assert digest(between, "build", "1 compiled, 0 found") == first


def test_hatch_which_keeps_its_environment_makes_the_same_wheel(isolated: IsolatedProject):
    isolated.requires(PIN)
    first = digest(isolated, "hatch", "1 compiled, 0 found")
    assert digest(isolated, "hatch", "0 compiled, 1 found") == first
    isolated.environment["HATCH_DATA_DIR"] = str(isolated.root.parent / "another environment")
    assert digest(isolated, "hatch", "0 compiled, 1 found") == first


def test_a_range_is_for_the_installer_to_decide(isolated: IsolatedProject):
    isolated.requires("wasmtime>=36,<=48.0.0")
    for said in ("1 compiled, 0 found", "0 compiled, 1 found"):
        digest(isolated, "build", said)
        assert not (isolated.cache / "engines" / KEPT).exists()
