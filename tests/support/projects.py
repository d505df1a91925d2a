"""Projects to build, by hatchling and by setuptools, and the results of their builds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import corpus
from tests.support.environments import environment_of, environment_with
from tests.support.wasm import SMALL, tiny

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STOCK_PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]
"""
"""A project that does not use hatch-wazcache. More options of `[project]` can follow."""

PYPROJECT = (
    STOCK_PYPROJECT.replace('"hatchling"]', '"hatchling", "hatch-wazcache"]')
    + """
[tool.hatch.build.hooks.wazcache]
assets = ["demo/*.wasm"]
"""
)

SETUPTOOLS_PYPROJECT = """\
[build-system]
requires = ["setuptools", "hatch-wazcache[setuptools]"]
build-backend = "setuptools.build_meta"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]

[tool.setuptools.packages.find]
include = ["demo*", "other*"]

[tool.wazcache]
assets = ["demo/*.wasm"]
"""


@dataclass
class Built:
    """The result of a build."""

    status: int
    output: str
    """Standard output and error."""
    wheel: Path | None = None

    @property
    def names(self) -> list[str]:
        assert self.wheel is not None, self.output
        return sorted(zipfile.ZipFile(self.wheel).namelist())

    def read(self, name: str) -> bytes:
        assert self.wheel is not None, self.output
        return zipfile.ZipFile(self.wheel).read(name)


@dataclass
class Project:
    """A project in a separate folder, with a separate cache."""

    root: Path
    cache: Path
    environment: dict[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    pyproject: ClassVar[str] = PYPROJECT
    table: ClassVar[str] = "tool.hatch.build.hooks.wazcache"
    """The TOML path of the options."""
    build_words: ClassVar[tuple[str, ...]] = ("-m", "hatchling", "build", "-t", "wheel")
    """The arguments for Python that build a wheel."""
    left_by_builds: ClassVar[tuple[str, ...]] = ("dist",)
    """The folders that the build system makes."""

    def write(self, path: str, content: str | bytes = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def wasm(self, path: str, name: str = SMALL) -> Path:
        return self.write(path, corpus.fetch(name).read_bytes())

    def options(self, text: str, table: str | None = None) -> None:
        """Replace the default options."""
        head = self.pyproject.partition(f"[{self.table}]")[0]
        self.write("pyproject.toml", f"{head}[{table or self.table}]\n{text}\n")
        tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))

    def append(self, text: str) -> None:
        file = self.root / "pyproject.toml"
        file.write_text(file.read_text("utf-8") + text, "utf-8")

    def env(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WAZCACHE_", "HATCH_"))}
        return {**kept, "WAZCACHE_DIR": str(self.cache), **self.environment, **more}

    def requires(self, wasmtime: str) -> None:
        """Make the project require another wasmtime, such as `>=36,<37`."""
        self.write("pyproject.toml", self.pyproject.replace("wasmtime>=48,<49", wasmtime))

    def use(self, wasmtime: str) -> None:
        """Build in an environment with another wasmtime; `""` for none."""
        self.python = environment_with(wasmtime)

    def use_name_of_hatch(self) -> None:
        """Give the environment the name that hatch gives to its environment for a build."""
        folder = self.root.parent / "demo-build"
        folder.symlink_to(self.python.parent.parent)
        self.python = folder / "bin" / "python"

    def run(self, *words: str | Path, **env: str) -> Built:
        """Run a Python module in the project's folder."""
        return self.run_python("-m", *words, **env)

    def run_python(self, *words: str | Path, **env: str) -> Built:
        """Run Python in the project's folder."""
        done = subprocess.run(
            [self.python, *words],
            cwd=self.root, env=self.env(**env), text=True, encoding="utf-8", check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Built(done.returncode, done.stdout)

    def hatchling(self, *words: str, **env: str) -> Built:
        """Run hatchling in this environment, without isolation: the fastest real build."""
        before = set((self.root / "dist").glob("*"))
        done = self.run("hatchling", "build", *words, **env)
        made = sorted(set((self.root / "dist").glob("*.whl")), key=lambda p: p.stat().st_mtime_ns)
        wheel = made[-1] if made and (done.status == 0 or made[-1] not in before) else None
        return Built(done.status, done.output, wheel)

    def build(self, **env: str) -> Built:
        """Build the wheel."""
        return self.hatchling("-t", "wheel", **env)

    def begin(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start Python in the project's folder; by default it builds the wheel."""
        return subprocess.Popen(
            [self.python, *(words or self.build_words)],
            cwd=self.root, env=self.env(**env), text=True, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def editable(self, **env: str) -> Built:
        """Build the editable wheel."""
        return self.hatchling("-t", "wheel:editable", **env)

    def sdist(self, **env: str) -> Path:
        """Build the sdist."""
        built = self.hatchling("-t", "sdist", **env)
        assert built.status == 0, built.output
        (made,) = (self.root / "dist").glob("*.tar.gz")
        return made

    def tree(self) -> list[str]:
        """List the files of the project, without dist and without bytecode."""
        files = (p.relative_to(self.root) for p in self.root.rglob("*") if p.is_file())
        kept = (path for path in files if path.parts[0] not in self.left_by_builds)
        return sorted(path.as_posix() for path in kept if path.parent.name != "__pycache__")


_BACKEND = """\
import json, sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])("dist", json.loads(sys.argv[2])))
"""


class SetuptoolsProject(Project):
    """A project that setuptools builds."""

    pyproject = SETUPTOOLS_PYPROJECT
    table = "tool.wazcache"
    build_words = ("-c", _BACKEND, "build_wheel", "{}")
    left_by_builds = ("dist", "build", "demo.egg-info")

    def use(self, wasmtime: str) -> None:
        packages = [f"wasmtime=={wasmtime}"] if wasmtime else []
        self.python = environment_of("setuptools", *packages)

    def env(self, **more: str) -> dict[str, str]:
        return super().env(**{"SOURCE_DATE_EPOCH": "1580601600", **more})

    def backend(self, hook: str, settings: Mapping[str, str] | None = None, **env: str) -> Built:
        """Call the build backend, without isolation: the fastest real build."""
        done = self.run_python("-c", _BACKEND, hook, json.dumps(settings or {}), **env)
        made = self.root / "dist" / done.output.splitlines()[-1] if done.status == 0 else None
        return Built(done.status, done.output, made)

    def build(self, **env: str) -> Built:
        return self.backend("build_wheel", **env)

    def editable(self, mode: str = "lenient", **env: str) -> Built:
        return self.backend("build_editable", {"editable_mode": mode}, **env)

    def sdist(self, **env: str) -> Path:
        built = self.backend("build_sdist", **env)
        assert built.wheel is not None, built.output
        return built.wheel

    def setup(self, *words: str, **env: str) -> Built:
        """Run a command of setuptools."""
        return self.run_python("-c", "import setuptools; setuptools.setup()", *words, **env)


FRONT_ENDS = {
    "pip": ("pip", "wheel", "-v", "--no-deps", ".", "-w"),
    "uv": ("uv", "build", "--wheel", "-o"),
    "build": ("build", "--wheel", "-o"),
    "build, by way of an sdist": ("build", "-o"),
    "hatch": ("hatch", "build", "-t", "wheel"),
}
"""The command with which each front end builds a wheel. The folder of the wheel follows."""


@dataclass
class IsolatedProject(Project):
    """A project that a front end builds in new environments, as its author does."""

    def build_with(self, front_end: str, **env: str) -> Built:
        """Build the wheel into a new folder."""
        folder = Path(tempfile.mkdtemp(dir=self.root.parent))
        done = self.run(*FRONT_ENDS[front_end], folder, **env)
        return Built(done.status, done.output, next(folder.glob("*.whl"), None))


def unpack_sdist(sdist: Path, folder: Path, cache: Path) -> Project:
    """Unpack an sdist into a new project."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    (root,) = folder.iterdir()
    return Project(root, cache)


def run_python(code: str, path: Path, python: Path = Path(sys.executable), **env: str) -> Built:
    """Run code with a folder or a wheel as the first entry of its path.

    The user's cache folder is empty, so that the loader finds no code that an earlier test kept.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty:
        done = subprocess.run(
            [python, "-c", code],
            env={**os.environ, "XDG_CACHE_HOME": empty, "PYTHONPATH": str(path), **env}, text=True,
            encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    return Built(done.returncode, done.stdout)


def flat_setuptools_project(folder: Path) -> SetuptoolsProject:
    """Make a flat project with the package `demo` and one tiny asset, `demo/a.wasm`."""
    made = SetuptoolsProject(folder / "project", folder / "cache")
    made.write("pyproject.toml", SETUPTOOLS_PYPROJECT)
    made.write("demo/__init__.py")
    made.write("demo/a.wasm", tiny("a"))
    return made
