"""Companions from a published wheel: by the workflow docs/recipes/companions.yml, and by hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.projects import IsolatedProject

RECIPE = (ROOT / "docs" / "recipes" / "companions.yml").read_text("utf-8")


PAGE = (ROOT / "docs" / "wasmtime-versions.md").read_text("utf-8")


def step(name: str) -> str:
    """Return the script of a step."""
    (step,) = (step for step in RECIPE.split("      - ") if step.startswith(f"name: {name}"))
    return textwrap.dedent(step.partition("run: |\n")[2]).partition("\n- ")[0]


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


def test_the_workflow_makes_the_companions_of_a_new_wasmtime_once(
    index: Path, own_wheel: Path, wasmtime_cli: Path, tmp_path: Path
):
    venv = tmp_path / "runner"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    links = [str(own_wheel.parent), *os.environ.get("PIP_FIND_LINKS", "").split()]
    command = re.findall(r"- run: python -m (pip install .*)\n", RECIPE)[0].split()
    subprocess.run(
        [venv / "bin" / "python", "-m", *command],
        env={**os.environ, "PIP_FIND_LINKS": " ".join(links)}, check=True,
    )  # fmt: skip
    output = tmp_path / "output"
    environment = {
        **os.environ,
        **dict(re.findall(r"^  (PACKAGE|COMPANION): (.+)$", RECIPE, re.MULTILINE)),
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "GITHUB_OUTPUT": str(output),
        "WAZCACHE_DIR": str(tmp_path / "cache-of-runner"),
        "WAZCACHE_WASMTIME": str(wasmtime_cli),
    }

    def run(name: str, **more: str) -> str:
        job = tmp_path / "job"
        job.mkdir(exist_ok=True)
        done = subprocess.run(
            ["bash", "-e", "-c", step(name)], cwd=job, env={**environment, **more}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    run("Compare")
    assert output.read_text() == "engine=48\n"
    run("Make", ENGINE="48")
    made = sorted((tmp_path / "job" / "dist").iterdir())
    version_0, *companions = made
    assert version_0.read_bytes() == (index / version_0.name).read_bytes()
    assert len(companions) == 6
    assert all(one.name.startswith("gofmt_wasmtime-48.1.0.0-py3-none-") for one in companions)
    for wheel in companions:
        shutil.move(wheel, index)
    shutil.rmtree(tmp_path / "job")
    output.unlink()
    assert "nothing to do" in run("Compare")
    assert not output.exists()
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


def test_the_cli_of_the_workflow_has_a_release_for_each_major_version():
    script = step("Get the wasmtime CLI")
    done = subprocess.run(
        ["bash", "-c", f'curl() {{ echo "$@" >&2; }}; tar() {{ :; }}\n{script}'],
        env={**os.environ, "ENGINE": "48", "GITHUB_ENV": "/dev/stdout"},
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert "/releases/download/v48.0.0/wasmtime-v48.0.0-x86_64-linux.tar.xz" in done.stderr
    assert done.stdout.endswith("/wasmtime-v48.0.0-x86_64-linux/wasmtime\n")
