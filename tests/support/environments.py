"""Environments with other packages and other Pythons. They are made once and shared."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT, WORK

UNMEASURED = {"COVERAGE_PROCESS_CONFIG": "", "PYTHONDONTWRITEBYTECODE": "1"}
"""For a child without coverage.py, which imports hashlib, and writes a file at the end.

It writes no bytecode either: with a limit on the size of files, Python would keep half of a file.
"""


def environment_with(wasmtime: str, python: Path = Path(sys.executable)) -> Path:
    """Return the Python of an environment that holds one wasmtime; made once, then shared."""
    return environment_of(*[f"wasmtime=={wasmtime}"] if wasmtime else [], python=python)


def environment_of(
    *packages: str, python: Path = Path(sys.executable), with_ours: bool = True
) -> Path:
    """Return the Python of an environment with these packages and ours; made once, then shared."""
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    name = "-".join(package.strip("-").replace("==", "") for package in packages)
    folder = WORK / f"python{version}-{name or 'wasmtime'}{'' if with_ours else '-alone'}"
    WORK.mkdir(exist_ok=True)
    with (WORK / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "-q", "--clear", "-p", str(python), folder], check=True)
            made = folder / "bin" / "python"
            install = [*uv, "pip", "install", "-q", "-p", made, *packages]
            subprocess.run([*install, "-e", ROOT] if with_ours else install, check=True)
            (folder / "done").touch()
    return folder / "bin" / "python"


def find_python(version: str) -> Path:
    """Return a Python of this machine by its version, as `3.9`; where there is none, skip."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    words = [sys.executable, "-m", "uv", "python", "dir", "-q"]
    uv = Path(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    folders = [*map(Path, os.get_exec_path()), *pyenv.glob(f"versions/{version}.*/bin")]
    folders += uv.glob(f"cpython-{version}.*/bin")
    folders += (WORK / "platforms").glob(f"*-python{version}/bin")
    for path in (folder / f"python{version}" for folder in folders):
        # A shim of pyenv's is there and yet does not run.
        if not path.is_file():
            continue
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    easier = "make platforms, or " if version == "3.14" else ""
    pytest.skip(f"Python {version} is needed: {easier}.venv/bin/uv python install {version}")


@cache
def newest(requirement: str) -> str:
    """Return the newest version that fits a requirement, as `48.0.0`."""
    words = ["uv", "pip", "compile", "-q", "--no-deps", "--no-header", "--no-annotate", "-"]
    return subprocess.run(
        [sys.executable, "-m", *words],
        input=requirement, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.strip().partition("==")[2]  # fmt: skip
