"""The folder that setuptools' `build` fills: any folder, in which other files are safe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hatch_wazcache.resources import loader_text
from tests.support.projects import SETUPTOOLS_PYPROJECT, Built, SetuptoolsProject
from tests.support.wasm import tiny
from tests.support.wheels import TARGET, members, ours, precompiled

SRC = '[tool.setuptools.packages.find]\nwhere = ["src"]\n'
FIND = '[tool.setuptools.packages.find]\ninclude = ["demo*", "other*"]\n'
BUILT = {"demo/__init__.py", *ours("demo", "a")}


def make(folder: Path, sources: str = "") -> SetuptoolsProject:
    """A project with one asset, and with other files of the kinds that a build writes."""
    project = SetuptoolsProject(folder / "project", folder / "cache")
    text = SETUPTOOLS_PYPROJECT.replace("demo/*.wasm", f"{sources}demo/a.wasm")
    project.write("pyproject.toml", text.replace(FIND, SRC) if sources else text)
    project.write(f"{sources}demo/__init__.py")
    project.write(f"{sources}demo/a.wasm", tiny("a"))
    project.write(f"{sources}demo/own.wasm", tiny("own"))
    project.write(f"{sources}demo/own.x86_64-linux.cwasm", b"own")
    project.write("elsewhere/a.wasm", tiny("elsewhere"))
    project.write("elsewhere/a.x86_64-linux.cwasm", b"elsewhere")
    project.write("elsewhere/_wazcache.py", loader_text())
    project.write("elsewhere/_wazcache.json", b"{}")
    return project


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("command", "build_lib", "sources"),
    [
        ("build", ".", ""),
        ("build", ".", "src/"),
        ("build", "src", "src/"),
        ("build", "elsewhere", ""),
        ("bdist_wheel", "src", "src/"),  # with "." setuptools copies its own copies, without an end
        ("bdist_wheel", "elsewhere", ""),
    ],
)
def test_no_build_removes_or_changes_a_file_that_it_did_not_write(
    tmp_path: Path, command: str, build_lib: str, sources: str
):
    project = make(tmp_path, sources)
    project.write("setup.cfg", f"[build]\nbuild_lib = {build_lib}\n")
    before = contents(project.root)
    for _ in range(2):
        done = project.setup(command)
        assert done.status == 0, done.output
        after = contents(project.root)
        assert {path: after.get(path) for path in before} == before
        (project.root / f"{sources}demo/__init__.py").touch()
    if command == "build":
        loaded = precompiled(project.root / build_lib)
        assert loaded["demo/a.wasm"] == f"demo/a.{TARGET}.cwasm"


def test_a_folder_outside_the_project_keeps_the_files_of_others(tmp_path: Path):
    project = make(tmp_path)
    others = tmp_path / "others"
    shutil.copytree(project.root / "elsewhere", others / "package")
    before = contents(others)
    for _ in range(2):
        assert project.setup("build", "--build-lib", str(others)).status == 0
    after = contents(others)
    assert {path: after.get(path) for path in before} == before
    assert after.keys() - before.keys() == BUILT


def test_the_next_build_removes_exactly_the_files_that_the_last_one_wrote(tmp_path: Path):
    project = make(tmp_path)
    lib = project.root / "build/lib"
    assert project.setup("build").status == 0
    assert contents(lib).keys() == BUILT
    (project.root / "demo/a.wasm").rename(project.root / "demo/b.wasm")
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace("a.wasm", "b.wasm"))
    assert project.setup("build").status == 0
    assert contents(lib).keys() == {"demo/__init__.py", *ours("demo", "b")}


def test_a_file_that_changed_since_the_build_wrote_it_stays(tmp_path: Path):
    project = make(tmp_path)
    assert project.setup("build").status == 0
    changed = project.root / f"build/lib/demo/a.{TARGET}.cwasm"
    changed.write_bytes(b"mine now")
    (project.root / "demo/a.wasm").unlink()
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace("demo/a.wasm", "demo/own.wasm"))
    assert project.setup("build").status == 0
    assert changed.read_bytes() == b"mine now"
    assert not changed.with_name("a.wasm").exists()


def test_a_build_that_was_killed_leaves_a_record_of_what_it_may_have_written(tmp_path: Path):
    project = make(tmp_path)
    project.write("build/lib/demo/_wazcache.py").unlink()
    (project.root / "build/lib/demo/_wazcache.py").mkdir()
    assert project.setup("build").status != 0
    assert (project.root / "build/lib/demo/a.wasm").is_file()
    (project.root / "build/lib/demo/_wazcache.py").rmdir()
    project.write("demo/a.wasm").unlink()
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace("demo/a.wasm", "demo/own.wasm"))
    assert members(project.build()) == {"demo/__init__.py", *ours("demo", "own")}


@pytest.mark.parametrize("name", ["../../demo/own.wasm", "/etc/own.wasm", "link/own.wasm"])
def test_a_record_cannot_lead_out_of_the_folder(tmp_path: Path, name: str):
    project = make(tmp_path)
    assert project.setup("build").status == 0
    (record,) = (project.root / "build").glob("wazcache-*.json")
    (project.root / "build/lib/link").symlink_to(project.root / "demo")
    known = json.loads(record.read_text())
    digests = {name: known["files"]["demo/a.wasm"]}
    project.write("demo/own.wasm", tiny("a"))
    record.write_text(json.dumps({**known, "files": digests}))
    assert project.setup("build").status == 0
    assert (project.root / "demo/own.wasm").is_file()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 3}', '{"files": {"demo/a.wasm": 3}}'])
def test_a_damaged_record_removes_nothing_and_stops_nothing(tmp_path: Path, text: str):
    project = make(tmp_path)
    assert project.setup("build").status == 0
    (record,) = (project.root / "build").glob("wazcache-*.json")
    record.write_text(text)
    done = project.setup("build")
    assert done.status == 0, done.output
    assert contents(project.root / "build/lib").keys() == BUILT


def test_the_record_is_in_no_wheel_even_if_it_lies_in_the_folder(tmp_path: Path):
    project = make(tmp_path)
    project.write("setup.cfg", "[build]\nbuild_base = out\nbuild_lib = out\n")
    assert project.setup("build", "bdist_wheel").status == 0
    assert list((project.root / "out").glob("wazcache-*.json"))
    (wheel,) = (project.root / "dist").glob("*.whl")
    assert members(Built(0, "", wheel)) == BUILT
