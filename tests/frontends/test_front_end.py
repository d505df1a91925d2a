"""The questions, results and messages of one front end. `slow/test_front_ends.py` has all."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

from tests.support.environments import UNMEASURED, environment_with
from tests.support.projects import PYPROJECT, Built, IsolatedProject, Project, run_python
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET


def test_pip_and_uv_build_the_bytes_that_hatchling_builds_here_cold_and_warm(
    isolated: IsolatedProject,
):
    same = PYPROJECT.replace('"hatchling"', f'"hatchling=={version("hatchling")}"')
    same = same.replace("wasmtime>=48,<49", f"wasmtime=={version('wasmtime')}")
    isolated.write("pyproject.toml", same)
    shared = str(isolated.root.parent / "shared")
    builds = {
        "hatchling, cold": isolated.build(),
        "uv, cold": isolated.build_with("uv", WAZCACHE_DIR=shared),
        "pip, warm": isolated.build_with("pip", WAZCACHE_DIR=shared),
        "uv, warm": isolated.build_with("uv", WAZCACHE_DIR=shared),
    }
    for how, built in builds.items():
        assert built.wheel is not None, built.output
        said = "1 compiled, 0 found" if "cold" in how else "0 compiled, 1 found"
        assert said in built.output, how
    assert len({built.wheel.name for built in builds.values()}) == 1
    wheels = {how: built.wheel.read_bytes() for how, built in builds.items()}
    assert {how for how in wheels if wheels[how] != wheels["hatchling, cold"]} == set()


def ask(project: Project, hook: str) -> Built:
    """Call a PEP 517 hook as front ends do, where no wasmtime is installed yet."""
    code = (
        "import json, os, hatchling.build as backend; "
        f"os.chdir({str(project.root)!r}); print(json.dumps(backend.{hook}))"
    )
    return run_python(code, project.root, environment_with(""), WAZCACHE_DIR=str(project.cache))


def requirements(answer: Built) -> list[Requirement]:
    assert answer.status == 0, answer.output
    return [Requirement(line) for line in json.loads(answer.output)]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_wheel_needs_the_wasmtime_that_the_project_names(project: Project, kind: str):
    asked = requirements(ask(project, f"get_requires_for_build_{kind}()"))
    assert Requirement("wasmtime>=48,<49") in asked


def test_a_wheel_of_a_project_that_names_none_needs_any_wasmtime(project: Project):
    project.write("pyproject.toml", PYPROJECT.replace('"wasmtime>=48,<49"', ""))
    assert requirements(ask(project, "get_requires_for_build_wheel()")) == [Requirement("wasmtime")]


def test_an_sdist_needs_nothing(project: Project):
    assert requirements(ask(project, "get_requires_for_build_sdist()")) == []


def test_metadata_is_had_without_wasmtime_and_without_compiling(project: Project, tmp_path):
    made = ask(project, f"prepare_metadata_for_build_wheel({str(tmp_path)!r})")
    assert json.loads(made.output) == "demo-1.0.dist-info"
    assert (
        "Requires-Dist: wasmtime<49,>=48" in (tmp_path / "demo-1.0.dist-info/METADATA").read_text()
    )
    assert not project.cache.exists()


def test_a_wrong_option_is_told_when_the_front_end_asks_what_to_install(project: Project):
    project.options('asets = ["demo/*.wasm"]')
    asked = ask(project, "get_requires_for_build_wheel()")
    assert asked.status == 1
    assert asked.output.count("asets: there is no such option; did you mean assets?") == 1
    assert "Traceback" not in asked.output


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_installing_without_isolation_and_without_wasmtime_says_what_to_install(
    project: Project, installer: str
):
    python = environment_with("")
    words = {
        "pip": ["pip", "--python", str(python), "install"],
        "uv": ["uv", "pip", "install", "--python", str(python)],
    }[installer]
    built = project.run(*words, "--no-build-isolation", "--no-deps", ".")
    assert built.status != 0
    assert built.output.count("wazcache: wasmtime is not installed in this environment") == 1
    assert 'pip install "wasmtime>=48,<49"' in built.output
    assert "Traceback" not in built.output
    assert not project.cache.exists()


@pytest.mark.parametrize("installed", ["", "36.0.0"], ids=["none", "another"])
@pytest.mark.parametrize("target", ["wheel", "wheel:editable", "wazcache"])
def test_under_hatch_a_wrong_wasmtime_is_a_message_with_the_line_to_add(
    project: Project, installed: str, target: str
):
    project.use(installed)
    project.use_name_of_hatch()
    built = project.hatchling("-t", target, HATCH_ENV_ACTIVE="default")
    assert built.status != 0
    assert "with isolation" not in built.output
    (message,) = (line for line in built.output.splitlines() if "wazcache: " in line)
    assert 'add "wasmtime<49,>=48" to build-system.requires in pyproject.toml' in message
    project.use(installed)
    inside_another = project.hatchling("-t", target, HATCH_ENV_ACTIVE="default")
    assert "a build with isolation does that by itself" in inside_another.output


def said(built: Built) -> list[str]:
    """What the build said, without the line that hatchling itself ends with."""
    assert built.status == 0, built.output
    *lines, last = built.output.splitlines()
    assert last == f"dist/{built.wheel.name}"
    return lines


def one_of(pattern: str, lines: list[str]) -> re.Match[str]:
    (match,) = filter(None, (re.fullmatch(pattern, line) for line in lines))
    return match


def test_each_asset_has_a_line_when_it_begins_and_one_when_it_is_done(project: Project):
    project.append('targets = "native"\n')
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    *lines, last = said(project.build())
    for asset in ("demo/a.wasm", "demo/b.wasm"):
        begins = one_of(f"wazcache: {asset}: compiling for {TARGET}", lines)
        done = one_of(rf"wazcache: {asset}: compiled for {TARGET} in \d+\.\d s, \d+\.\d kB", lines)
        assert lines.index(begins.string) < lines.index(done.string)
    assert len(lines) == 4
    assert re.fullmatch(
        r"wazcache: 2 compiled, 0 found in the cache: demo-1\.0-\S+\.whl \(\d+\.\d kB\)", last
    )


def test_a_build_that_finds_everything_says_one_line(project: Project):
    project.append('targets = "native"\n')
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.build()
    (line,) = said(project.build())
    assert re.fullmatch(
        r"wazcache: 0 compiled, 2 found in the cache \(\d+\.\d s saved\): "
        r"demo-1\.0-\S+\.whl \(\d+\.\d kB\)",
        line,
    )


def test_a_build_that_finds_some_says_only_what_it_compiles(project: Project):
    project.append('targets = "native"\n')
    project.build()
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    *lines, last = said(project.build())
    assert all(line.startswith("wazcache: demo/b.wasm: ") for line in lines)
    assert len(lines) == 2
    assert "1 compiled, 1 found in the cache (" in last


def test_a_wheel_for_one_system_says_last_how_others_get_theirs(project: Project):
    last = said(project.build())[-1]
    assert last.startswith(f"wazcache: this wheel is for {TARGET} only: users of other systems ")
    assert "WAZCACHE_TARGET=any" in last
    assert 'targets = "all"' in last
    assert "`hatch build -t wazcache`" in last


def test_nothing_is_said_of_other_systems_where_the_user_has_chosen(project: Project):
    assert "of other systems" not in project.build(WAZCACHE_TARGET="native").output
    assert "of other systems" not in project.editable().output
    project.append('targets = "native"\n')
    assert "of other systems" not in project.build().output


def test_each_profile_of_an_asset_has_lines_of_its_own(project: Project):
    project.options(
        'assets = ["demo/*.wasm"]\nprofiles.default = {}\nprofiles.metered = {consume-fuel = true}'
    )
    lines = said(project.build())
    for profile in ("default", "metered"):
        one_of(rf"wazcache: demo/a\.wasm \(profile {profile}\): compiling for {TARGET}", lines)
        one_of(rf"wazcache: demo/a\.wasm \(profile {profile}\): compiled for .*", lines)


def test_a_terminal_that_cannot_show_a_name_gets_it_escaped(project: Project):
    project.write("demo/größe.wasm", ANSWER)
    built = project.build(PYTHONIOENCODING="ascii")
    assert built.status == 0, built.output
    assert r"wazcache: demo/gr\xf6\xdfe.wasm: compiling" in built.output
    assert f"demo/größe.{TARGET}.cwasm" in built.names


def refused(built: Built, message: str) -> bool:
    """Say whether a build ended with this message, shown once, and no other."""
    assert built.output.count(message) == 1, built.output
    said_else = [line for line in built.output.splitlines() if not line.startswith("wazcache: ")]
    return built.status != 0 and built.wheel is None and said_else == []


def test_a_name_that_is_not_utf_8_is_refused(project: Project):
    (project.root / os.fsdecode(b"demo/gr\xf6\xdfe.wasm")).write_bytes(ANSWER)
    built = project.build()
    assert refused(built, r"demo/gr\udcf6\udcdfe.wasm: its name is not UTF-8")


def test_a_disk_that_is_full_when_the_wheel_is_written_is_said(project: Project):
    project.build()
    (project.root / "dist" / "full").mkdir()
    code = (
        "import resource, sys; from hatchling.cli import hatchling; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000)); "
        "sys.argv[1:] = ['build', '-t', 'wheel', '-d', 'dist/full']; hatchling()"
    )
    done = subprocess.run(
        [project.python, "-c", code], cwd=project.root, env=project.env(**UNMEASURED), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    built = Built(done.returncode, done.stdout)
    assert refused(built, "the wheel cannot be written to dist/full: File too large")
    assert list((project.root / "dist" / "full").iterdir()) == []


def test_a_quiet_build_says_its_warnings_and_no_more(project: Project):
    project.write("pyproject.toml", PYPROJECT.replace(">=48,<49", ">=48"))
    built = project.build(HATCH_QUIET="1")
    assert built.status == 0
    (line,) = [line for line in built.output.splitlines() if not line.startswith("dist/")]
    assert line.startswith("wazcache: warning: project.dependencies says wasmtime>=48")
