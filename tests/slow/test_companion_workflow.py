"""Companions from a published wheel: by the recipe companions.yml, and by hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ci import RECIPES, SIGN, Machine, releases_of_wasmtime
from tests.support.fake_pypi import FakePyPI, fake_pypi
from tests.support.paths import ROOT
from tests.support.projects import IsolatedProject

PAGE = (ROOT / "docs" / "wasmtime-versions.md").read_text("utf-8")


@pytest.fixture
def index(own_wheel: Path, isolated: IsolatedProject, wasmtime_cli: Path, tmp_path: Path) -> Path:
    """A folder with wasmtime 47 and 48, and a release of gofmt with companions for 47 only."""
    folder = tmp_path / "index"
    for version in ("47.0.1", "48.0.0"):
        words = ["download", "-q", "--no-deps", "-d", folder, f"wasmtime=={version}"]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    shutil.copytree(ROOT / "example_project", isolated.root, dirs_exist_ok=True)
    text = (isolated.root / "pyproject.toml").read_text("utf-8")
    text = text.replace(', "wasmtime>=48,<49"]', "]")
    text = text.replace('["wasmtime>=48,<49"]', '["wasmtime>=47", "gofmt-wasmtime"]')
    text = text.replace("\nassets", '\nengines = "47"\ncompanion = "gofmt-wasmtime"\nassets')
    isolated.write("pyproject.toml", text)
    built = isolated.run("hatch", "build", "-t", "wazcache")
    assert built.status == 0, built.output
    for wheel in (isolated.root / "dist").glob("*.whl"):
        shutil.copy(wheel, folder)
    return folder


@pytest.fixture
def pypi(tmp_path: Path) -> Iterator[FakePyPI]:
    with fake_pypi(tmp_path) as made:
        yield made


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_the_recipe_makes_and_publishes_the_companions_of_a_new_wasmtime_once(
    system: str, index: Path, own_wheel: Path, wasmtime_cli: Path, pypi: FakePyPI, tmp_path: Path
):
    words = ["download", "-q", "-d", index, own_wheel]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    recipe = RECIPES / system / "companions.yml"
    log = tmp_path / "curl.log"
    programs = {"curl": releases_of_wasmtime(wasmtime_cli, log), "python": SIGN}
    machine = Machine(
        tmp_path / "machine",
        environment={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)},
        publishing={"PIP_NO_INDEX": "", **pypi.environment},
        replaced=programs,
    )

    def run() -> None:
        machine.output = ""
        machine.ran.clear()
        if system == "github":
            machine.github(recipe, ref_type="branch")
        else:
            machine.gitlab(recipe, CI_PIPELINE_SOURCE="schedule")

    run()
    assert machine.ran == ["make", "publish"]
    version_0, *companions = sorted(pypi.uploads)
    assert pypi.uploads[version_0] == (index / version_0).read_bytes()
    assert len(companions) == 6
    assert all(name.startswith("gofmt_wasmtime-48.1.0.0-py3-none-") for name in companions)
    releases = "https://github.com/bytecodealliance/wasmtime/releases/download"
    assert log.read_text() == f"{releases}/v48.0.0/wasmtime-v48.0.0-x86_64-linux.tar.xz\n"
    for name in companions:
        (index / name).write_bytes(pypi.uploads[name])
    pypi.uploads.clear()
    run()
    assert "nothing to do" in machine.output
    assert not pypi.uploads
    assert loads_precompiled(index, tmp_path / "user") == ["48.1.0.0", "True"]


def test_the_command_says_what_the_page_shows(index: Path, own_wheel: Path, tmp_path: Path):
    (block,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    words = ["install", "-q", "--find-links", own_wheel.parent, "hatch-wazcache"]
    subprocess.run([venv / "bin" / "python", "-m", "pip", *words], check=True)
    environment = {
        **os.environ,
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(index),
        "PIP_NO_INDEX": "1",
        "WAZCACHE_DIR": str(tmp_path / "another cache"),
    }
    said = ""
    for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        said += f"$ {command}\n{done.stdout}"
    assert alike(said.replace(str(tmp_path), "/home/me")) == alike(block)


def alike(text: str) -> str:
    """Take out of an output what differs from one machine to the next."""
    text = re.sub(r".*still compiling.*\n", "", text)
    return re.sub(r"[\d.]+ (s|MB)\b", "N", text)


def loads_precompiled(index: Path, venv: Path) -> list[str]:
    """Install gofmt from an index; return the version of its companion, and whether it loads."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    words = ["install", "-q", "--no-index", "--find-links", str(index), "gofmt"]
    subprocess.run([venv / "bin" / "python", "-m", "pip", *words], check=True)
    code = (
        "from importlib.metadata import version\nfrom gofmt import _wazcache\n"
        "_wazcache.load_module('gofmt.wasm', strict=True)\n"
        "print(version('gofmt-wasmtime'), _wazcache.status('gofmt.wasm').precompiled)"
    )
    return subprocess.check_output([venv / "bin" / "python", "-c", code], text=True).split()
