"""Runs the command line as a process."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from hatch_wazcache.cli import main
from tests.support.paths import WORK
from tests.support.projects import Project

OTHER = "source-map__mappings.wasm"

QUICK = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(WORK / "pycache"),
}
"""Lets Python write bytecode: the tests start hundreds of processes."""


def run_command(
    *words: str | Path, python: Path, environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, and check that it shows no traceback."""
    done = subprocess.run(
        [python, "-m", "hatch_wazcache", *words],
        cwd=cwd, env={**environment}, text=True, encoding="utf-8", capture_output=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def read_answer(done: subprocess.CompletedProcess[str], status: int) -> dict:
    """Read the output of a command with --json."""
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def run(project: Project, *words: str | Path, cwd: Path | None = None, **env: str):
    """Run a command in the project's folder."""
    environment = project.env(**{**QUICK, **env})
    cwd = cwd or project.root
    return run_command(*words, python=project.python, environment=environment, cwd=cwd)


def answer(project: Project, *words: str | Path, status: int = 0, **env: str) -> dict:
    """Run a command with --json."""
    return read_answer(run(project, *words, "--json", **env), status)


def without_ages(text: str) -> str:
    """Return what a command said without words such as "just now", and their columns."""
    return re.sub(" +", " ", re.sub(r"just now|\d+ \w+ ago", "", text))


def said(project: Project, *words: str | Path, status: int = 0, **env: str) -> str:
    """Run a command for people."""
    done = run(project, *words, **env)
    assert done.returncode == status, done.stderr
    return done.stdout


def refused(project: Project, *words: str | Path, **env: str) -> str:
    """Run a command that is an error: one message, and nothing on standard output."""
    done = run(project, *words, **env)
    assert done.returncode == 1, done.stdout
    return _only_message((done.stdout, done.stderr))


def _only_message(said: tuple[str, str]) -> str:
    output, errors = said
    assert output == ""
    lines = errors.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("hatch-wazcache: ")
    return lines[0]


def refused_here(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run a command that is an error in this process: the same `main`, without its start."""
    assert main([str(word) for word in words]) == 1
    return _only_message(capsys.readouterr())


def entries(project: Project) -> list[Path]:
    return sorted(project.cache.glob("*/*.zip"))


def artifacts(project: Project) -> list[Path]:
    return sorted(project.cache.glob("wasmtime-*/*.zip"))


def tree(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return the files of a folder with their time stamps."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def break_(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)
