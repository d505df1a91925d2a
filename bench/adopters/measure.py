"""Runs the released package and the converted one in turn, each in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from bench.adopters.package import Package

__all__ = ["Environment", "Times", "measure", "run_tests"]

_SLOW = "WazcacheWarning"
"""What the loader prints if it has to compile."""

_HOMES = "/var/tmp" if Path("/var/tmp").is_dir() else None
"""The folder for users' folders: yowasp-runtime hides the system's /tmp from its programs."""


class Times(NamedTuple):
    """The seconds of whole processes, one for each round."""

    first: tuple[float, ...]
    """With nothing in the user's folders, as after the installation."""
    second: tuple[float, ...]


class Environment(NamedTuple):
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def make(self, links: Path, *wheels: str | Path) -> None:
        """Create it, and install into it."""
        _run(sys.executable, "-m", "uv", "venv", "-q", "-p", sys.executable, self.folder)
        self.install(links, *wheels)

    def install(self, links: Path, *wheels: str | Path) -> None:
        """Install packages, also from a folder of wheels."""
        words = ("-m", "uv", "pip", "install", "-q", "--compile-bytecode", "--find-links")
        _run(sys.executable, *words, links, "-p", self.python, *wheels)

    def wasmtime(self) -> str:
        """Return the version of wasmtime in it."""
        code = "from importlib.metadata import version; print(version('wasmtime'))"
        return _run(self.python, "-c", code).strip()


def measure(package: Package, sides: dict[str, Environment], rounds: int) -> dict[str, Times]:
    """Run the work twice in each round, for the sides in turn; both must print the same."""
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    printed = set()
    for number in range(rounds):
        names = list(sides)
        for side in names if number % 2 == 0 else reversed(names):
            with tempfile.TemporaryDirectory(dir=_HOMES) as home:
                seconds = []
                for _ in range(2):
                    begin = time.perf_counter()
                    out = _work(sides[side], package.work, Path(home))
                    seconds.append(time.perf_counter() - begin)
                    printed.add(out)
                times[side].append((seconds[0], seconds[1]))
    assert len(printed) == 1, (package.name, printed)
    return {
        side: Times(tuple(one for one, _ in found), tuple(two for _, two in found))
        for side, found in times.items()
    }


def _work(environment: Environment, code: str, home: Path) -> str:
    folder = home / "work"
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    done = subprocess.run(
        [environment.python, "-c", code], cwd=folder, env=_as_new_user(home),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 or _SLOW in done.stderr:
        raise SystemExit(f"{environment.folder}: {done.stdout}{done.stderr}")
    return done.stdout.splitlines()[-1]  # some also print their log


def _as_new_user(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    names = ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA")
    return {**kept, **dict.fromkeys(names, str(home)), "WAZCACHE_DIR": "", "PYTHONPATH": ""}


def run_tests(package: Package, sdist: Path, environment: Environment, links: Path) -> str:
    """Run the package's own tests, from its sdist; return the counts that pytest prints."""
    environment.install(links, *package.tests["requires"])
    with tempfile.TemporaryDirectory() as folder, tarfile.open(sdist) as archive:
        root = Path(folder) / sdist.name.removesuffix(".tar.gz")
        for member in archive.getmembers():
            top = Path(member.name).parts[1:2]
            if top and (top[0] in ("test", "tests", "pyproject.toml", "examples")):
                archive.extract(member, folder, filter="data")
        tests = next(one for one in ("tests", "test") if (root / one).is_dir())
        words: list[str | Path] = [
            environment.python,
            "-P",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        words += ["--continue-on-collection-errors", tests, *package.tests.get("select", ())]
        home = Path(folder) / "home"
        home.mkdir()
        done = subprocess.run(
            words, cwd=root, env=_as_new_user(home), capture_output=True, text=True, check=False
        )  # fmt: skip
        found = re.findall(
            r"(\d+) (passed|failed|skipped|errors?)\b", done.stdout.rsplit("\n", 2)[-2]
        )
        if not found or any(word != "passed" for _, word in found):
            (environment.folder / "tests.txt").write_text(done.stdout + done.stderr)
        return ", ".join(f"{count} {word}" for count, word in found) or "none ran"


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout
