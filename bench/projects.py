"""The projects of the contenders: the same files for each build system."""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from bench.inputs import Input
from bench.measure import Figures, child, run

__all__ = ["Projects"]

HERE = Path(__file__).parent

_DEPENDENCIES = '["wasmtime>=48,<49"]'
_PROJECT = f"""\
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = {_DEPENDENCIES}
"""
_HATCHLING = f"""\
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

{_PROJECT}
"""
_SETUPTOOLS = f"""\
[build-system]
requires = ["setuptools", "hatch-wazcache[setuptools]"]
build-backend = "setuptools.build_meta"

{_PROJECT}
[tool.setuptools]
packages = ["demo"]

"""
_OURS = 'assets = ["demo/*.wasm"]\n'
_PYPROJECTS = {
    "ours": f"{_HATCHLING}[tool.hatch.build.hooks.wazcache]\n{_OURS}",
    "hand-written": f"{_HATCHLING}[tool.hatch.build.hooks.custom]\n",
    "stock": _HATCHLING,
    "wasm alone": _HATCHLING,
    "setuptools": f"{_SETUPTOOLS}[tool.wazcache]\n{_OURS}",
    "stock setuptools": f'{_SETUPTOOLS}[tool.setuptools.package-data]\ndemo = ["*"]\n',
}


class Projects:
    """One input as a project of each contender, with a separate cache."""

    def __init__(self, work: Path, given: Input, wasmtime_cli: Path | None) -> None:
        """Write the projects.

        Args:
            work: the folder for the projects.
            given: the files.
            wasmtime_cli: the wasmtime CLI; None for none.
        """
        self.input = given
        self.wasmtime_cli = wasmtime_cli
        self._folder = work / given.name.replace(" ", "-").replace(",", "")
        shutil.rmtree(self._folder, ignore_errors=True)
        self.cache = self._folder / "cache"
        for kind in ("ours", "hand-written", "wasm alone", "setuptools"):
            given.write(self._package(kind))
        shutil.copy(HERE / "hand_written_hook.py", self.root("hand-written") / "hatch_build.py")

    def _package(self, kind: str) -> Path:
        root = self.root(kind)
        package = root / "demo"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (root / "pyproject.toml").write_text(_PYPROJECTS[kind])
        return package

    def wasm_of(self, kind: str) -> list[Path]:
        """Return the `.wasm` files of a contender's project."""
        return sorted((self.root(kind) / "demo").glob("*.wasm"))

    @property
    def wasm(self) -> list[Path]:
        """The `.wasm` files, which stay unchanged."""
        return self.wasm_of("wasm alone")

    def root(self, kind: str) -> Path:
        """Return the folder of a contender's project."""
        return self._folder / kind.replace(" ", "-")

    def dist(self, kind: str) -> Path:
        """Return the folder of its wheel."""
        return self._folder / "dist" / kind.replace(" ", "-")

    def wheel(self, kind: str) -> Path:
        """Return its newest wheel."""
        return max(self.dist(kind).glob("*.whl"), key=lambda path: path.stat().st_mtime_ns)

    @property
    def env(self) -> dict[str, str]:
        """The environment of a build."""
        named = {} if self.wasmtime_cli is None else {"WAZCACHE_WASMTIME": str(self.wasmtime_cli)}
        return {"WAZCACHE_DIR": str(self.cache), **named}

    def options(self, text: str = "", dependencies: str = _DEPENDENCIES) -> None:
        """Add options to our project, or replace its dependencies; by default, neither."""
        project = _PYPROJECTS["ours"].replace(_DEPENDENCIES, dependencies)
        (self.root("ours") / "pyproject.toml").write_text(project + text)

    def install(self, site: Path, target: str = "wheel") -> Path:
        """Build our wheels, and unpack all of them into a folder, as installers do."""
        for folder in (site, self.dist("ours")):
            shutil.rmtree(folder, ignore_errors=True)
        self.build("ours", target)
        for wheel in self.dist("ours").glob("*.whl"):
            with zipfile.ZipFile(wheel) as opened:
                opened.extractall(site)
        compileall.compile_dir(site, quiet=2)
        return site

    def unpack(self) -> None:
        """Build once, and copy the files of our wheel into the stock projects."""
        self.build("ours")
        for kind in ("stock", "stock setuptools"):
            if not self.root(kind).exists():
                self._package(kind)
            with zipfile.ZipFile(self.wheel("ours")) as wheel:
                for member in wheel.namelist():
                    if member.startswith("demo/"):
                        wheel.extract(member, self.root(kind))
            compileall.compile_dir(self.root(kind), quiet=2)  # as installers do

    @property
    def artifacts(self) -> list[Path]:
        """The artifacts, uncompressed."""
        return sorted((self.root("stock") / "demo").glob("*.cwasm"))

    def in_process(self, kind: str, *words: str) -> Figures:
        """Build in a process that times hatchling alone."""
        return child("hatchling", self.root(kind), self.dist(kind), *words, **self.env)

    def by_setuptools(self, kind: str) -> Figures:
        """Build with setuptools, without an old `build` folder."""
        shutil.rmtree(self.root(kind) / "build", ignore_errors=True)
        self.dist(kind).mkdir(parents=True, exist_ok=True)
        return child("setuptools", self.root(kind), self.dist(kind), **self.env)

    def words(self, kind: str, target: str = "wheel") -> list[str | Path]:
        """Return the command that builds a project."""
        return [
            sys.executable, "-m", "hatchling", "build", "-t", target, "-d", self.dist(kind),
        ]  # fmt: skip

    def build(self, kind: str, target: str = "wheel") -> Figures:
        """Build with hatchling's own command."""
        return run(self.words(kind, target), self.env, self.root(kind))

    def cold(self, kind: str, target: str = "wheel") -> Figures:
        """Build with empty caches."""
        self.forget()
        return self.build(kind, target)

    def forget(self) -> None:
        """Remove the artifacts of our hook and of the hand-written hook."""
        shutil.rmtree(self.cache, ignore_errors=True)
        for file in (self.root("hand-written") / "demo").glob("*.cwasm"):
            file.unlink()

    def bare(
        self, level: int, threads: str = "all", files: Sequence[Path] | None = None
    ) -> Figures:
        """Compile the files in a loop with wasmtime-py, in a new process."""
        folder = self._folder / "bare"
        folder.mkdir(exist_ok=True)
        return child("compile", threads, str(level), folder, *(files or self.wasm))

    def by_wasmtime_cli(self) -> Figures:
        """Compile the files with the wasmtime CLI, one after the other."""
        assert self.wasmtime_cli is not None
        seconds = 0.0
        out = self._folder / "bare" / "by-cli.cwasm"
        for file in self.wasm:
            options = [
                "-C",
                "cache=n",
                "-C",
                "collector=drc",
                "--target",
                "x86_64-unknown-linux-gnu",
            ]
            words = [str(self.wasmtime_cli), "compile", *options, "-o", str(out), str(file)]
            seconds += run(words)["whole"]
        return {"whole": seconds}

    def cache_size(self, pattern: str) -> int:
        """Return the bytes on disk of the entries that a pattern finds."""
        return sum(os.stat(path).st_blocks * 512 for path in self.cache.glob(pattern))
