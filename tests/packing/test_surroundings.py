"""A build beside other wasmtimes and other builds, and in odd homes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.environments import environment_of
from tests.support.projects import Project, SetuptoolsProject, run_python
from tests.support.sections import custom
from tests.support.wasm import ANSWER
from tests.support.wheels import unpack

OTHER = "50.0.1"


def wasmtime_of(version: str) -> Path:
    """Return the folder of a wasmtime package as it is installed."""
    python = environment_of(f"wasmtime=={version}")
    (folder,) = python.parent.parent.glob("lib/python*/site-packages/wasmtime")
    return folder


def sdist_names(project: Project, **env: str) -> list[str]:
    with tarfile.open(project.sdist(**env)) as archive:
        return archive.getnames()


# the engine


def test_a_wasmtime_that_is_on_the_path_but_not_installed_compiles_nothing(project, tmp_path):
    shutil.copytree(wasmtime_of(OTHER), tmp_path / "path" / "wasmtime")
    built = project.build(PYTHONPATH=str(tmp_path / "path"))
    assert built.status == 0, built.output
    code = "from demo._wazcache import *; load_module('a.wasm', strict=True)"
    ran = run_python(code, unpack(built.wheel, tmp_path / "site"))
    assert ran.status == 0, ran.output


def test_a_module_named_wasmtime_in_the_project_compiles_nothing(project: Project):
    project.write("wasmtime.py", "raise SystemExit('shadow')")
    built = project.build()
    assert built.status == 0, built.output
    assert "1 compiled" in built.output


def test_a_library_of_another_version_than_installed_is_an_error(project: Project):
    made = environment_of("wasmtime==44.0.0")
    folder = project.root.parent / "environment"
    shutil.copytree(made.parent.parent, folder, symlinks=True)
    project.python = folder / "bin" / "python"
    (installed,) = folder.glob("lib/python*/site-packages/wasmtime")
    shutil.rmtree(installed)
    shutil.copytree(wasmtime_of(OTHER), installed)
    project.options('assets = ["demo/*.wasm"]')
    text = (project.root / "pyproject.toml").read_text().replace(">=48,<49", ">=44,<45")
    project.write("pyproject.toml", text)
    built = project.build()
    assert built.status != 0
    assert "install wasmtime again" in built.output
    assert "Traceback" not in built.output


@pytest.fixture
def packaged(project: Project) -> Path:
    """The folder of a wasmtime 48 that a packager may change; the project is built with it."""
    made = environment_of("wasmtime==48.0.0")
    folder = project.root.parent / "environment"
    shutil.copytree(made.parent.parent, folder, symlinks=True)
    project.python = folder / "bin" / "python"
    (package,) = folder.glob("lib/python*/site-packages/wasmtime")
    return package


def test_a_library_that_a_packager_has_stripped_or_patched_compiles(
    project: Project, packaged: Path
):
    whole = project.build().wheel.read_bytes()
    (library,) = packaged.glob("linux-*/_libwasmtime.so")
    with library.open("ab") as file:  # as patchelf and strip do, it changes the size
        file.write(bytes(8))
    shutil.rmtree(project.cache)
    built = project.build()
    assert built.status == 0, built.output
    assert built.wheel.read_bytes() == whole
    assert "0 compiled, 1 found" in project.build().output


def test_a_library_in_a_folder_of_the_distribution_compiles(project: Project, packaged: Path):
    whole = project.build().wheel.read_bytes()
    (library,) = packaged.glob("linux-*/_libwasmtime.so")
    moved = library.rename(packaged.parent.parent.parent / "libwasmtime.so")
    code = (packaged / "_ffi.py").read_text()
    line = "dll = cdll.LoadLibrary(str(filename))"
    assert line in code
    (packaged / "_ffi.py").write_text(code.replace(line, f"dll = cdll.LoadLibrary({str(moved)!r})"))
    shutil.rmtree(project.cache)
    built = project.build()
    assert built.status == 0, built.output
    assert built.wheel.read_bytes() == whole


def test_a_wasmtime_without_a_library_is_one_message(project: Project, packaged: Path):
    (library,) = packaged.glob("linux-*/_libwasmtime.so")
    library.unlink()
    built = project.build()
    assert built.status != 0
    assert "wasmtime 48.0.0 is installed in " in built.output
    assert "cannot be imported on this machine" in built.output
    assert "Traceback" not in built.output


# no engine


@pytest.mark.parametrize("target", ["any", "riscv64-linux", "s390x-linux"])
def test_a_wheel_with_the_wasm_alone_is_built_without_wasmtime(project: Project, target: str):
    project.use("")
    built = project.build(WAZCACHE_TARGET=target)
    assert built.status == 0, built.output
    assert "demo/a.wasm" in built.names
    assert not [name for name in built.names if name.endswith(".cwasm")]


@pytest.mark.parametrize("kind", [Project, SetuptoolsProject])
def test_a_machine_whose_users_get_no_wasmtime_gets_the_wheel_for_any(
    tmp_path: Path, kind: type[Project]
):
    project = kind(tmp_path / "project", tmp_path / "cache")
    project.requires("wasmtime>=48,<49; platform_system == 'OS/2'")
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    project.use("")
    built = project.build()
    assert built.status == 0, built.output
    assert built.wheel.name == "demo-1.0-py3-none-any.whl"
    assert "demo/a.wasm" in built.names
    assert "does not require wasmtime on x86_64-linux, so there are no artifacts" in built.output


def test_an_editable_install_of_users_without_wasmtime_needs_no_wasmtime(project: Project):
    project.requires("wasmtime>=48,<49; platform_system == 'OS/2'")
    project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    project.use("")
    code = "import hatchling.build as b; print(b.get_requires_for_build_editable())"
    assert "wasmtime" not in project.run_python("-c", code).output
    built = project.editable()
    assert built.status == 0, built.output
    assert not list((project.root / "demo").glob("*.cwasm"))


@pytest.mark.skipif(not shutil.which("setarch"), reason="setarch is part of util-linux")
def test_a_machine_without_a_library_of_wasmtime_gets_the_wheel_for_any(
    project: Project, tmp_path: Path
):
    project.use("")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec setarch i686 {project.python} "$@"\n')
    python.chmod(0o755)
    project.python = python
    built = project.build()
    assert built.status == 0, built.output
    assert built.wheel.name == "demo-1.0-py3-none-any.whl"
    assert "demo/a.wasm" in built.names
    assert "wasmtime-py has no wheels for this machine" in built.output


def test_a_wasmtime_that_is_older_than_the_tests_is_a_warning(project: Project):
    project.use("35.0.0")
    project.requires("wasmtime>=35,<36")
    built = project.build()
    assert "wasmtime 35.0.0 is installed, but hatch-wazcache is tested only" in built.output


@pytest.mark.parametrize("note", ["50.0.0", "48", "", "48.0.0 0000", "\0"])
def test_a_note_of_the_engines_version_is_not_believed_unchecked(project: Project, note: str):
    first = project.build()
    (file,) = (project.cache / "engines").glob("sha256=*")
    file.write_text(note)
    again = project.build()
    assert again.status == 0, again.output
    assert again.wheel.read_bytes() == first.wheel.read_bytes()
    assert [path.name for path in project.cache.glob("wasmtime-*")] == [
        "wasmtime-48.0.0-x86_64-linux"
    ]


# caches in the project


def test_the_users_cache_inside_of_the_project_is_not_in_the_sdist(project: Project):
    home = str(project.root / ".cache")
    assert project.build(WAZCACHE_DIR="", XDG_CACHE_HOME=home).status == 0
    assert list(project.root.glob(".cache/wazcache/*/*.zip"))
    names = sdist_names(project, WAZCACHE_DIR="", XDG_CACHE_HOME=home)
    assert [name for name in names if ".cache" in name] == []


def test_a_cache_of_an_earlier_build_is_not_in_the_sdist(project: Project):
    assert project.build(WAZCACHE_DIR=str(project.root / "was")).status == 0
    names = sdist_names(project)
    assert [name for name in names if "/was" in name] == []
    assert "demo-1.0/demo/a.wasm" in names


def test_a_cache_in_a_project_behind_a_link_is_not_in_the_sdist(project: Project):
    link = project.root.parent / "link"
    link.symlink_to(project.root)
    behind = Project(link, link / "kept")
    assert behind.build().status == 0
    assert [name for name in sdist_names(behind) if "/kept" in name] == []


# the project's own files


def test_a_file_of_the_manifests_name_that_is_not_ours_is_never_replaced(project: Project):
    project.options('assets = ["demo/*.wasm"]\nloader = "demo/data.py"')
    own = project.write("demo/data.json", '{"precious": 1}')
    for built in (project.build(), project.editable()):
        assert built.status != 0
        assert "demo/data.json" in built.output
        assert "Traceback" not in built.output
        assert own.read_text() == '{"precious": 1}'


def test_a_glob_that_ends_in_two_stars_means_all_files_below(project: Project):
    project.options('assets = ["demo/data/**"]')
    project.wasm("demo/data/deep/b.wasm")
    built = project.build()
    assert built.status == 0, built.output
    assert "demo/data/deep/b.wasm" in built.names


@pytest.mark.parametrize("glob", ["demo/*/" + 300 * "x" + ".wasm", 3000 * "a/" + "*.wasm"])
def test_a_glob_that_the_system_cannot_follow_matches_nothing(project: Project, glob: str):
    project.options(f'assets = ["{glob}"]')
    built = project.build()
    assert built.status != 0
    assert "matches no file" in built.output
    assert "Traceback" not in built.output


# other builds, and the system


def test_builds_of_one_project_into_one_folder_at_once_all_end_well(project: Project):
    expected = project.build().wheel.read_bytes()
    words = [project.python, "-m", "hatchling", "build", "-t", "wheel"]
    for _ in range(5):
        builds = [
            subprocess.Popen(
                words, cwd=project.root, env=project.env(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for _ in range(6)
        ]  # fmt: skip
        outputs = [build.communicate()[0] for build in builds]
        assert [build.returncode for build in builds] == [0] * 6, outputs
        (wheel,) = (project.root / "dist").iterdir()
        assert wheel.read_bytes() == expected


def test_without_a_home_there_is_no_cache_and_a_warning(project: Project):
    built = project.build(WAZCACHE_DIR="", XDG_CACHE_HOME="", HOME="/dev/null")
    assert built.status == 0, built.output
    assert built.output.count("wazcache: warning: ") == 1
    assert "no home directory" in built.output
    assert "1 compiled" in built.output


def test_a_compiler_that_cannot_be_started_is_a_message(project: Project):
    assert project.build().status == 0
    shutil.rmtree(project.cache)
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 10; exec "$0" -m hatchling build -t wheel', project.python],
        cwd=project.root, env=project.env(), text=True, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "demo/a.wasm" in done.stderr


def test_without_a_cache_a_build_has_few_open_files_however_many_assets(project: Project):
    (project.root / "demo" / "a.wasm").unlink()
    for number in range(60):
        project.write(f"demo/{number}.wasm", ANSWER + custom("n", os.urandom(20_000)))
    project.cache.mkdir(mode=0o777)
    project.cache.chmod(0o777)  # so it is not used
    temporary = project.write("tmp/.keep").parent
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 60; exec "$0" -m hatchling build -t wheel', project.python],
        cwd=project.root,
        env=project.env(TMPDIR=str(temporary)),
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    assert "new artifacts are not kept" in done.stdout
    assert "60 compiled, 0 found" in done.stdout
    assert [path.name for path in temporary.iterdir()] == [".keep"]
