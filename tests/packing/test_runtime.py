"""Runtime packages: the loader is in one package, and the `.wasm` in others."""

from __future__ import annotations

import json

import pytest

from tests.support.projects import Project, SetuptoolsProject
from tests.support.wheels import members

RUNTIME = """\
loader = "rt/_wazcache.py"
profiles.fueled = {consume-fuel = true, debug-info = true}
profiles.plain = {}
"""


def runtime(kind, folder, options=RUNTIME):
    """Make the project of a runtime package."""
    made = kind(folder / "project", folder / "cache")
    made.write("rt/__init__.py")
    made.options(options)
    pyproject = made.root / "pyproject.toml"
    text = pyproject.read_text("utf-8").replace('"demo"', '"rt"').replace("demo*", "rt*")
    pyproject.write_text(text, "utf-8")
    return made


@pytest.mark.parametrize("kind", [Project, SetuptoolsProject])
def test_a_runtime_package_has_the_loader_and_all_its_profiles_and_no_assets(kind, tmp_path):
    project = runtime(kind, tmp_path)
    project.use("")
    built = project.build()
    assert built.wheel.name == "rt-1.0-py3-none-any.whl"
    assert {"rt/__init__.py", "rt/_wazcache.json", "rt/_wazcache.py"} == members(built)
    assert not [name for name in built.names if name.endswith((".wasm", ".cwasm"))]
    assert json.loads(built.read("rt/_wazcache.json")) == {
        "schema": 2,
        "profiles": {"fueled": {"consume-fuel": True, "debug-info": True}, "plain": {}},
        "assets": {},
    }
    assert "there are no assets, so the wheel has the loader and its profiles" in built.output
