"""The modules that a front end imports."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT as OURS
from tests.support.projects import Project, run_python

HEAVY = ("wasmtime", "deflate", "platformdirs")

TOGETHER = ("cache_commands", "completion_command", "help_command")
"""The command that a test runs, and those that need the parser of all commands."""
OF_OTHERS = ("hatch_wazcache.audit", "hatch_wazcache.adoption", "hatch_wazcache.packing")


def test_importing_the_hook_imports_nothing_heavy():
    code = "import sys, hatch_wazcache.hooks; print(*[m for m in sys.modules if '.' not in m])"
    imported = run_python(code, OURS).output.split()
    assert "hatchling" in imported
    assert "hatch_wazcache" in imported
    assert not {*HEAVY, "json.tool", "zipfile", "subprocess", "asyncio"} & set(imported)


def test_asking_for_requirements_imports_nothing_heavy(project: Project):
    project.requires("wasmtime>=47,<48")
    code = f"import os, sys, hatchling.build as b; os.chdir({str(project.root)!r}); "
    code += "print(*b.get_requires_for_build_wheel(), *sys.modules)"
    imported = run_python(code, project.root).output.split()
    assert "wasmtime<48,>=47" in imported
    assert not set(HEAVY) & set(imported)


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_the_process_that_builds_never_imports_wasmtime(project: Project, cache):
    if cache == "warm":
        assert project.build().status == 0
    built = project.build(PYTHONPROFILEIMPORTTIME="1")
    assert built.status == 0, built.output
    imports = [line.split("|")[-1].strip() for line in built.output.splitlines() if "|" in line]
    assert "hatch_wazcache.packing.build" in imports
    assert not [name for name in imports if name.split(".")[0] == "wasmtime"]
    assert ("hatch_wazcache.compile.pool" in imports) == (cache == "cold")


def test_a_command_imports_nothing_that_only_other_commands_need(project: Project):
    code = "import sys; from hatch_wazcache.cli import main; main(['dir']); print(*sys.modules)"
    done = project.run_python("-c", code)
    folder, *imported = done.output.split()
    assert (folder, done.status) == (str(project.cache), 0)
    assert "hatch_wazcache.cli.cache_commands" in imported
    commands = {name for name in imported if name.endswith(("_command", "_commands"))}
    assert commands <= {f"hatch_wazcache.cli.{name}" for name in TOGETHER}
    assert not {name for name in imported if name.startswith(OF_OTHERS)}
