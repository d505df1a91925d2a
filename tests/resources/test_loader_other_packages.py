"""The loader of a runtime package loads the assets of other packages, if they are installed."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.loading import ARTIFACT, PRELUDE, UNICODE
from tests.support.projects import Project, run_python
from tests.support.wheels import unpack

RUNTIME = """\
loader = "rt/_wazcache.py"
[tool.hatch.build.hooks.wazcache.profiles.default]
[tool.hatch.build.hooks.wazcache.profiles.fuel]
consume-fuel = true
"""


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a runtime package: it has the loader and no assets."""
    folder = tmp_path_factory.mktemp("runtime")
    project = Project(folder / "project", folder / "cache")
    project.write("rt/__init__.py")
    project.options(RUNTIME)
    pyproject = project.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8").replace('"demo"', '"rt"'), "utf-8")
    built = project.build()
    assert built.wheel, built.output
    return built.wheel


@pytest.fixture
def both(runtime: Path, wheel: Path, tmp_path: Path) -> Path:
    """The runtime and the package with the assets, installed for one test, which may change it."""
    site = unpack(runtime, tmp_path / "site")
    (unpack(wheel, site) / "demo/_wazcache.py").unlink()
    return site


def run(code: str, path: Path, **env: str) -> list[str]:
    """Run code that uses the loader of the runtime; return the lines that it prints."""
    prelude = PRELUDE.replace("from demo", "from rt")
    ran = run_python(prelude + dedent(code), path, **env)
    assert ran.status == 0, ran.output
    return ran.output.splitlines()


def test_an_asset_of_another_package_loads_from_its_artifact(both: Path):
    code = f"""
        import os
        from importlib.resources import files
        from pathlib import Path
        demo = {str(both / "demo")!r}
        print(call(load_module(demo + '/answer.wasm', strict=True)))
        print(call(load_module(files('demo') / 'answer.wasm', strict=True)))
        fueled = load_module(Path(demo, 'answer.wasm'), profile='fuel', strict=True)
        print(call(fueled, engine('fuel'), 1000))
        load_module(Path(demo, 'data/deep/b.wasm'), strict=True)
        load_module(Path(demo, {UNICODE!r}), strict=True)
        load_component(Path(demo, 'c.wasm'), strict=True)
        os.chdir(Path(demo, 'data'))
        print(call(load_module('../answer.wasm', strict=True)))
        print(call(load_module('deep/../../answer.wasm', strict=True)))
        print(*status('../answer.wasm'), sep='|')
        print(assets())
        """
    assert run(code, both) == [
        *["42"] * 5,
        f"demo/answer.wasm|default|True|{both / 'demo' / ARTIFACT}|None",
        "[]",
    ]
