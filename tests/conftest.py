"""The fixtures of all tests. `support` has their other helpers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hatch_wazcache.util.ci_log import VARIABLES
from tests.support.compilers import Compilers
from tests.support.paths import ROOT, WORK
from tests.support.projects import PYPROJECT, IsolatedProject, Project
from tests.support.warm import warm_up

for variable in VARIABLES:  # tests read what a log without commands gets
    os.environ.pop(variable, None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each reason to skip; pytest's own has one for each place."""
    reports = terminalreporter.getreports("skipped")
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reports
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section(f"{reasons.total()} skipped")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:5}  {reason}")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A flat project with the package `demo` and one small asset, `demo/a.wasm`."""
    made = Project(tmp_path / "project", tmp_path / "cache")
    made.write("pyproject.toml", PYPROJECT)
    made.write("demo/__init__.py")
    made.wasm("demo/a.wasm")
    return made


@pytest.fixture
def warm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Project], None]:
    """Gives a project a cache that has its artifacts, for tests of something else."""
    folder = tmp_path_factory.getbasetemp() / "warm"
    return lambda made: warm_up(made, folder)


@pytest.fixture(scope="session")
def own_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of hatch-wazcache as it is now."""
    made = tmp_path_factory.mktemp("own")
    build = [sys.executable, "-m", "build", "--wheel", "-o", made, ROOT]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    wheel = next(made.glob("*.whl"))
    # uv caches a package by its path.
    folder = made / hashlib.sha256(wheel.read_bytes()).hexdigest()
    folder.mkdir()
    return wheel.rename(folder / wheel.name)


@pytest.fixture(scope="session")
def wasmtime_cli() -> Path:
    """The wasmtime CLI, which compiles for all systems."""
    named = os.environ.get("WAZCACHE_WASMTIME")
    found = Path(named) if named else WORK / "wasmtime" / "bin" / "wasmtime"
    if not found.is_file():
        assert "CI" not in os.environ, "CI has the wasmtime CLI"
        pytest.skip("the wasmtime CLI is needed: make wasmtime")
    return found


@pytest.fixture
def isolated(project: Project, own_wheel: Path, tmp_path: Path) -> IsolatedProject:
    """The project, for builds in environments that hold hatch-wazcache as a released wheel."""
    pip, uv = (os.environ.get(name, "") for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"))
    environment = {
        "PIP_FIND_LINKS": f"{pip} {own_wheel.parent}".strip(),
        "UV_FIND_LINKS": f"{uv},{own_wheel.parent}".strip(","),
        "HATCH_DATA_DIR": str(tmp_path / "hatch"),
    }
    return IsolatedProject(project.root, project.cache, environment)


@pytest.fixture
def compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compilers:
    made = Compilers(tmp_path / "python", tmp_path / "started")
    made.log.touch()
    made.script.write_text(f'#!/bin/sh\necho started >> {made.log}\nexec {sys.executable} "$@"\n')
    made.script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(made.script))
    return made
