"""The table of the options, and the questions of front ends."""

from __future__ import annotations

from tests.support.projects import Built, Project, run_python

TABLE = "tool.hatch.build.hooks.wazcache"


def requirements(project: Project, target: str = "wheel") -> Built:
    """Ask for the requirements of a build environment, as a front end does."""
    code = f"import os, hatchling.build as b; os.chdir({str(project.root)!r}); "
    return run_python(code + f"print(b.get_requires_for_build_{target}())", project.root)
