"""Whole commands: what a person waits for when a front end builds a wheel in a new environment.

The package index is the usual one, and so are the download caches of pip and uv. Our own package is
a wheel of this checkout, with a version of its own, so that no cache has an older one.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.inputs import Input
from bench.measure import Figures, alternately, run
from bench.rows import Row, Sample

__all__ = ["build_environment_rows", "whole_command_rows"]

ROOT = Path(__file__).parent.parent
_BIN = Path(sys.executable).parent
_ENGINE = "48.0.0"

FRONT_ENDS: dict[str, tuple[str | Path, ...]] = {
    "python -m build -w": (sys.executable, "-m", "build", "-w", "-o"),
    "pip wheel": (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", ".", "-w"),
    "uv build --wheel": (_BIN / "uv", "build", "-p", sys.executable, "--wheel", "-o"),
    "hatch build": (_BIN / "hatch", "build", "-t", "wheel"),
}
"""The command of each front end. The folder of the wheel follows."""

_PROJECT = """\
[build-system]
requires = {requires}
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]

{hook}
"""
_OURS = '[tool.hatch.build.hooks.wazcache]\nassets = ["demo/*.wasm"]\n'
_KINDS = {
    "exact": ('["hatchling", "hatch-wazcache"]', f'{_OURS}engine = "wasmtime=={_ENGINE}"'),
    "range": ('["hatchling", "hatch-wazcache"]', _OURS),
    "both": ('["hatchling", "hatch-wazcache", "wasmtime>=48,<49"]', _OURS),
    "empty": ('["hatchling", "hatch-empty"]', "[tool.hatch.build.hooks.empty]"),
    "stock": ('["hatchling"]', ""),
}
"""What each contender requires, and its hook."""

_EMPTY_HOOK = """\
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

class Empty(BuildHookInterface):
    PLUGIN_NAME = "empty"

@hookimpl
def hatch_register_build_hook():
    return Empty
"""


class _Commands:
    """One input as a project of each contender, and the environment of the front ends."""

    def __init__(self, work: Path, given: Input) -> None:
        shutil.rmtree(work, ignore_errors=True)
        self.work = work
        self.links = work / "links"
        _release(work / "source", self.links)
        for kind, (requires, hook) in _KINDS.items():
            package = work / kind / "demo"
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
            text = _PROJECT.format(requires=requires, hook=hook)
            (work / kind / "pyproject.toml").write_text(text)
            given.write(package)

    @property
    def env(self) -> dict[str, str]:
        """Our packages beside the index, a cache of our own, and a new environment of hatch."""
        pip, uv = (os.environ.get(f"{name}_FIND_LINKS", "") for name in ("PIP", "UV"))
        return {
            "PIP_FIND_LINKS": f"{pip} {self.links}".strip(),
            "UV_FIND_LINKS": f"{uv},{self.links}".strip(","),
            "WAZCACHE_DIR": str(self.work / "cache"),
            "HATCH_DATA_DIR": str(self.work / "hatch"),
        }

    def build(self, front_end: str, kind: str) -> Figures:
        """Build a wheel by a front end."""
        shutil.rmtree(self.work / "hatch", ignore_errors=True)
        words = [*FRONT_ENDS[front_end], self.work / "dist" / kind]
        return {"whole": run(words, self.env, self.work / kind)["whole"]}

    def install(self, *packages: str) -> Figures:
        """Install packages as `python -m build` does, into a new environment."""
        folder = self.work / "environment"
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, symlinks=True)
        words: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            folder / "bin" / "python",
            "install",
        ]
        words += ["-q", "--no-compile", "--no-input", *packages]
        return {"whole": run(words, self.env)["whole"]}


def _release(source: Path, links: Path) -> None:
    """Make a wheel of this checkout, and one of the smallest hook that does nothing."""
    source.mkdir(parents=True)
    version = f"0.1.0+bench.{time.time_ns()}"
    text = (ROOT / "pyproject.toml").read_text()
    old = next(line for line in text.splitlines() if line.startswith("version = "))
    (source / "pyproject.toml").write_text(text.replace(old, f'version = "{version}"'))
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hatch_wazcache", source / "hatch_wazcache", ignore=skipped)
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", links], cwd=source)
    info = "hatch_empty-1.0.dist-info"
    files = {
        "hatch_empty.py": _EMPTY_HOOK,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: hatch-empty\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[hatch]\nempty = hatch_empty\n",
    }
    with zipfile.ZipFile(links / "hatch_empty-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
        wheel.writestr(f"{info}/RECORD", record)


def whole_command_rows(work: Path, given: Input, rounds: int) -> Iterator[Row]:
    """Build by each front end, warm, and compare with stock hatchling and the .wasm alone.

    Args:
        work: a folder for the projects.
        given: the files.
        rounds: how many times each is timed.
    """
    commands = _Commands(work, given)
    for front_end in FRONT_ENDS:
        contenders: dict[str, Callable[[], Figures]] = {
            kind: partial(commands.build, front_end, kind) for kind in _KINDS
        }
        for build in contenders.values():
            build()  # fills the caches
        took = alternately(rounds, contenders)
        stock = took["stock", "whole"]
        what = "stock hatchling without a hook, the .wasm alone"
        for kind, about in (
            ("exact", "warm, one exact wasmtime"),
            ("range", "warm, a range of wasmtime"),
            ("both", "warm, the same range in `build-system.requires`"),
            ("empty", "a hook that does nothing"),
        ):
            ours = took[kind, "whole"]
            most = 1.15 if kind == "exact" else None
            yield Row(14, given.name, f"`{front_end}`, {about}", ours, what, stock,
                      ours.over(stock), "s", None, most)  # fmt: skip


def build_environment_rows(work: Path, given: Input, rounds: int) -> Iterator[Row]:
    """Install what a build environment needs by pip, with and without each package.

    Args:
        work: a folder for the environments.
        given: any files.
        rounds: how many times each is timed.
    """
    commands = _Commands(work, given)
    libraries = ("deflate", "platformdirs")
    sets: dict[str, tuple[str, ...]] = {
        "hatchling": ("hatchling",),
        **{name: ("hatchling", name) for name in libraries},
        "libraries": ("hatchling", *libraries),
        "hatch-wazcache": ("hatchling", "hatch-wazcache"),
        "hatch-empty": ("hatchling", "hatch-empty"),
        "wasmtime": ("hatchling", "hatch-wazcache", f"wasmtime=={_ENGINE}"),
    }
    contenders = {name: partial(commands.install, *packages) for name, packages in sets.items()}
    for install in contenders.values():
        install()
    took = alternately(rounds, contenders)
    took["nothing", "whole"] = Sample((0.0,) * rounds)
    for name, without in (
        ("hatchling", "nothing"),
        *((name, "hatchling") for name in libraries),
        ("hatch-wazcache", "libraries"),
        ("hatch-empty", "hatchling"),
        ("wasmtime", "hatch-wazcache"),
    ):
        here, there = took[name, "whole"], took[without, "whole"]
        added = here.less(there).times(1e3)
        about = f"`pip install` of {' and '.join(sets[name])}"
        against = "" if without == "nothing" else f"{' and '.join(sets[without])}"
        yield Row(14, name, about, here, against, None if without == "nothing" else there,
                  added, "s", figure_unit="ms")  # fmt: skip
