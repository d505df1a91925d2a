"""A runtime package, whose loader loads the assets of other packages."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from tests.support.loading import PRELUDE
from tests.support.projects import Project, run_python

RUNTIME = """\
loader = "rt/_wazcache.py"
[tool.hatch.build.hooks.wazcache.profiles.default]
[tool.hatch.build.hooks.wazcache.profiles.fuel]
consume-fuel = true
"""


def build_runtime(folder: Path, options: str = RUNTIME) -> Path:
    """Build the wheel of a runtime package. It has the loader and no assets."""
    project = Project(folder / "project", folder / "cache")
    project.write("rt/__init__.py")
    project.options(options)
    pyproject = project.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8").replace('"demo"', '"rt"'), "utf-8")
    built = project.build()
    assert built.wheel, built.output
    return built.wheel


def run(code: str, path: Path, **env: str) -> list[str]:
    """Run code that uses the loader of the runtime; return the lines that it prints."""
    prelude = PRELUDE.replace("from demo", "from rt")
    ran = run_python(prelude + dedent(code), path, **env)
    assert ran.status == 0, ran.output
    return ran.output.splitlines()
