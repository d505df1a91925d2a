"""Other platforms for the tests: their Pythons, and the packages in them."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import pytest
from packaging.utils import parse_wheel_filename

from hatch_wazcache.engine.targets import SYSTEMS, TARGETS
from tests.platforms import set_up
from tests.support.paths import EXAMPLE, ROOT
from tests.support.projects import Built

Result = TypeVar("Result")

ENGINES = ["47", "48", "49"]
"""The engines of the companions. PyPI has the wasmtime CLI of each."""


@dataclass(frozen=True)
class Machine:
    """A platform that runs here, with a Python."""

    target: str
    python: tuple[str | Path, ...]
    """What runs it."""

    @property
    def is_windows(self) -> bool:
        return self.target.endswith("windows")

    def path(self, path: Path) -> str:
        """Write a path as the platform's programs know it."""
        return f"Z:{path}".replace("/", "\\") if self.is_windows else str(path)

    def run(self, *words: str | Path, cwd: Path, site: Path | None = None, **env: str) -> Built:
        """Run Python there.

        Args:
            words: its arguments; paths are written as the platform has them.
            cwd: the working directory.
            site: a folder of installed packages.
            env: further environment variables.
        """
        ours = ("WAZCACHE_", "HATCH_", "PYTHON", "PIP_")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        if site is not None:
            env["PYTHONPATH"] = self.path(site)
        known = (self.path(word) if isinstance(word, Path) else word for word in words)
        done = subprocess.run(
            [*self.python, *known], cwd=cwd, env={**inherited, **env}, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        )  # fmt: skip
        return Built(done.returncode, done.stdout)

    def code(self, text: str, cwd: Path, site: Path, **env: str) -> str:
        """Run code there, which must succeed, and return what it printed."""
        script = Path(tempfile.mkstemp(".py", "script-", cwd)[1])
        script.write_text(text, "utf-8")
        done = self.run(script, cwd=cwd, site=site, **env)
        assert done.status == 0, done.output
        return done.output

    def install(self, folder: Path, links: Path, *requirements: str) -> None:
        """Install by the platform's own pip, out of a folder of wheels."""
        pip = ["pip", "install", "--no-index", "--no-compile", "--find-links", links]
        done = self.run("-m", *pip, "--target", folder, *requirements, cwd=links)
        assert done.status == 0, done.output


def or_skip(find: Callable[[], Result]) -> Result:
    """Return what was set up; where it was not, skip, but not in CI."""
    try:
        return find()
    except set_up.CannotSetUpError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


@cache
def machine(target: str) -> Machine:
    """Return a platform that has a Python of its own."""
    return Machine(target, (set_up.python(target),))


def x86_64_linux() -> Machine:
    """Return this platform, its CPU emulated: QEMU_CPU names it."""
    return Machine("x86_64-linux", (set_up.program("qemu-x86_64-static"), sys.executable))


@cache
def folder(name: str) -> Path:
    """Return a folder of this name that lasts as long as the tests."""
    made = _folder_of_all() / name
    made.mkdir()
    return made


@cache
def _folder_of_all() -> Path:
    made = tempfile.mkdtemp(prefix="wazcache-platforms-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


@cache
def builder(machine: Machine) -> Path:
    """Return a folder of packages for building there: hatch-wazcache, as a wheel, and wasmtime.

    uv installs them from here, as for that platform: it is quicker than a pip that is emulated.
    """
    links, site = folder(f"{machine.target}-links"), folder(f"{machine.target}-site")
    build = ["build", "--wheel", "-o", links, ROOT]
    subprocess.run([sys.executable, "-m", *build], check=True, stdout=subprocess.DEVNULL)
    (own,) = links.glob("hatch_wazcache-*.whl")
    install = ["uv", "pip", "install", "-q", "--python", sys.executable, "--target", site]
    install += ["--python-platform", SYSTEMS[machine.target].triple, "--python-version", "3.11"]
    # The same streams take the same deflate, the same WHEEL the same hatchling.
    packages = [f"{name}=={version(name)}" for name in ("deflate", "hatchling", "wasmtime")]
    packages += ["editables", "pytest", "setuptools", str(own)]
    subprocess.run([sys.executable, "-m", *install, *packages], check=True)
    return site


def build_example(machine: Machine) -> Built:
    """Build the example's wheel there."""
    made = folder(f"{machine.target}-wheel")
    built = machine.run(
        "-m", "hatchling", "build", "-t", "wheel", "-d", made,
        cwd=EXAMPLE, site=builder(machine),
        WAZCACHE_DIR=machine.path(folder(f"{machine.target}-cache")),
    )  # fmt: skip
    assert built.status == 0, built.output
    (built.wheel,) = made.glob("*.whl")
    return built


def make_wheels(wasmtime_cli: Path) -> Path:
    """Return a folder with the example's wheels for all targets, made here, and wasmtime's.

    Args:
        wasmtime_cli: the second compiler.
    """
    made = folder("wheels")
    told = {"WAZCACHE_WASMTIME": str(wasmtime_cli), "WAZCACHE_DIR": str(folder("cache"))}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wazcache:all", "-d", made],
        cwd=EXAMPLE, env={**os.environ, **told}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _download(made, version("wasmtime"))
    return made


def _download(links: Path, wasmtime: str) -> None:
    """Download a wasmtime for each platform that runs here."""
    fetch = ["pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--dest", str(links)]
    for platform in ("manylinux1_x86_64", "manylinux2014_aarch64", "win_amd64"):
        words = [*fetch, "--platform", platform, f"wasmtime=={wasmtime}"]
        subprocess.run([sys.executable, "-m", *words], check=True)


def make_companions() -> Path:
    """Return a folder with the example, its companions for three engines and all targets, made
    here by one command, and wasmtime of these engines and an older one.
    """
    project, made = folder("with-companions"), folder("companions")
    shutil.copytree(EXAMPLE, project, dirs_exist_ok=True)
    file = project / "pyproject.toml"
    text = file.read_text("utf-8")
    for old, new in (
        ('dependencies = ["wasmtime>=48,<49"]', 'dependencies = ["wasmtime", "gofmt-wasmtime"]'),
        (
            "\nassets =",
            f'\ntargets = "all"\nengines = {json.dumps(ENGINES)}\ncompiler = "pypi"\nassets =',
        ),
        ("\nassets =", '\ncompanion = "gofmt-wasmtime"\nassets ='),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wazcache", "-d", made],
        cwd=project, env={**os.environ, "WAZCACHE_DIR": str(folder("companions-cache"))},
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    for wasmtime in ("46.0.1", "47.0.1", "48.0.0", "49.0.0"):
        _download(made, wasmtime)
    return made


def wheel_for(target: str, wheels: Path) -> Path:
    """Return the example's wheel for a platform."""
    (found,) = (path for path in wheels.glob("gofmt-*.whl") if _is_for(path, target))
    return found


def _is_for(path: Path, target: str) -> bool:
    _name, _version, _build, tags = parse_wheel_filename(path.name)
    return any(TARGETS[target].accepts(tag.platform) for tag in tags)
