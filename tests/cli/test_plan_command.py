"""`plan`: what a build would make, without making it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import TARGETS
from tests.support.commands import answer, artifacts, entries, refused, run, said, tree
from tests.support.engines import OFFLINE, OLDER, give_engine, with_engines
from tests.support.marks import needs_c_compiler
from tests.support.projects import Project, SetuptoolsProject, flat_setuptools_project
from tests.support.wasm import tiny
from tests.support.wheels import TARGET

FOREIGN = "aarch64-linux" if TARGET != "aarch64-linux" else "x86_64-linux"
NATIVE_WHEEL = f"demo-1.0-py3-none-{'.'.join(TARGETS[TARGET].platform_tags)}.whl"


def companions(project: Project) -> Project:
    """Give the project companions for two engines, one of which is not there."""
    with_engines(project)
    project.append('companion = "demo-wasmtime"\n')
    text = (project.root / "pyproject.toml").read_text("utf-8")
    project.write(
        "pyproject.toml", text.replace('"wasmtime>=44"', '"wasmtime>=44", "demo-wasmtime"')
    )
    return project


# what is in the plan


@pytest.mark.parametrize("requires_python", ['requires-python = ">=3.9"\n', ""])
def test_it_names_the_wheels_of_the_next_build(filled: Project, requires_python: str):
    text = (filled.root / "pyproject.toml").read_text("utf-8")
    assert 'requires-python = ">=3.9"\n' in text
    filled.write("pyproject.toml", text.replace('requires-python = ">=3.9"\n', requires_python))
    plan = answer(filled, "plan")
    assert (plan["name"], plan["version"]) == ("demo", "1.0")
    named = [wheel["file"] for wheel in plan["wheels"]]
    assert named == [NATIVE_WHEEL, "demo-1.0-py3-none-any.whl"]
    built = filled.hatchling("-t", "wazcache")
    assert built.status == 0, built.output
    assert sorted(path.name for path in (filled.root / "dist").iterdir()) == sorted(named)


def test_a_hit_has_the_size_that_it_has_in_the_wheel(filled: Project):
    native, for_any = answer(filled, "plan")["wheels"]
    assert [one["asset"] for one in native["artifacts"]] == ["demo/a.wasm", "demo/sub/b.wasm"]
    assert {one["key"] for one in native["artifacts"]} == {path.stem for path in artifacts(filled)}
    assert all(one["hit"] and one["engine"] == "48.0.0" for one in native["artifacts"])
    assert native["size_known"]
    assert native["over_limit"] is False
    assert for_any["artifacts"] == []
    built = filled.build()
    assert built.wheel is not None
    infos = zipfile.ZipFile(built.wheel).infolist()
    ours = [info for info in infos if info.filename.endswith((".wasm", ".cwasm"))]
    assert len(ours) == 4
    planned = [one["path"] for one in (*native["assets"], *native["artifacts"])]
    assert sorted(info.filename for info in ours) == sorted(planned)
    assert native["size"] == sum(info.compress_size for info in ours)


def test_people_read_the_same(filled: Project):
    first, *rows, any_line, last = said(filled, "plan").splitlines()
    assert re.fullmatch(rf"{re.escape(NATIVE_WHEEL)}: about [\d.]+ kB", first)
    pattern = rf"  demo/\S+\.wasm +{TARGET}  wasmtime 48\.0\.0  hit  [\d.]+ kB +saves [\d.]+ s"
    assert len([row for row in rows if re.fullmatch(pattern, row)]) == len(rows) == 2
    assert re.fullmatch(r"demo-1\.0-py3-none-any\.whl: about [\d.]+ kB", any_line)
    assert last == "2 wheels: 2 found in the cache, 0 to compile"


def test_all_targets_profiles_and_cpu_levels_are_in_it(filled: Project):
    filled.append(
        f'targets = ["{TARGET}", "{FOREIGN}", "any"]\ncpu = ["x86-64-v3", "baseline"]\n'
        "profiles.default = {}\nprofiles.fuel = {consume-fuel = true}\n"
    )
    plan = answer(filled, "plan")
    assert [wheel["target"] for wheel in plan["wheels"]] == [TARGET, FOREIGN, "any"]
    made = [
        (one["target"], one["profile"], one["cpu"], one["hit"])
        for wheel in plan["wheels"]
        for one in wheel["artifacts"]
        if one["asset"] == "demo/a.wasm"
    ]
    for system in (TARGET, FOREIGN):
        cpus = ("x86-64-v3", "baseline") if system.startswith("x86_64") else ("baseline",)
        for profile in ("default", "fuel"):
            for cpu in cpus:
                is_hit = (system, profile, cpu) == (TARGET, "default", "baseline")
                made.remove((system, profile, cpu, is_hit))
    assert made == []
    assert "demo/a.wasm (profile fuel)" in said(filled, "plan")


def test_an_artifact_in_two_wheels_is_compiled_once(filled: Project):
    filled.append('targets = ["universal2-macos", "aarch64-macos", "x86_64-macos"]\n')
    assert said(filled, "plan").endswith("3 wheels: 0 found in the cache, 4 to compile\n")


def test_a_changed_or_broken_entry_is_a_miss(filled: Project):
    broken = artifacts(filled)[0]
    broken.write_bytes(b"no entry")
    filled.write("demo/new.wasm", tiny("new"))
    native = answer(filled, "plan")["wheels"][0]
    hits = {one["asset"]: one["hit"] for one in native["artifacts"]}
    assert hits.pop("demo/new.wasm") is False
    assert sorted(hits.values()) == [False, True]
    assert native["size_known"] is False
    assert native["over_limit"] is None


def test_a_wheel_over_the_limit_of_pypi_is_named(filled: Project):
    over = "import hatch_wazcache.wheels as w; w.PYPI_LIMIT = 1000; "
    over += "from hatch_wazcache.cli import main; raise SystemExit(main(['plan']))"
    done = filled.run_python("-c", over)
    assert done.status == 0, done.output
    first = done.output.splitlines()[0]
    assert first.endswith("kB; too large for PyPI, which accepts 1.0 kB")


def test_the_variable_names_one_target(filled: Project):
    plan = answer(filled, "plan", WAZCACHE_TARGET="any")
    assert [wheel["target"] for wheel in plan["wheels"]] == ["any"]
    assert plan["engines"] == []


# engines


def test_an_engine_that_is_not_there_is_unknown_and_not_fetched(filled: Project):
    with_engines(filled)
    plan = answer(filled, "plan", **OFFLINE)
    assert plan["engines"] == [
        {"requirement": "wasmtime>=48,<49", "version": "48.0.0"},
        {"requirement": OLDER, "version": None},
    ]
    made = [(one["engine_major"], one["engine"], one["hit"]) for one in _first(plan)["artifacts"]]
    assert made == [(48, "48.0.0", True), (47, None, None)]
    assert _first(plan)["artifacts"][1]["key"] is None
    lines = said(filled, "plan", **OFFLINE).splitlines()
    assert lines[0].startswith(f"{NATIVE_WHEEL}: at least ")
    assert lines[-2:] == [
        f"{OLDER}: unknown until it is fetched",
        "2 wheels: 1 found in the cache, 0 to compile, 1 unknown",
    ]
    assert not list((filled.cache / "engines").glob("wasmtime*"))


def test_a_fetched_engine_is_known(filled: Project):
    with_engines(filled)
    folder = give_engine(filled.cache)
    os.utime(folder, (0, 0))
    plan = answer(filled, "plan", **OFFLINE)
    assert folder.stat().st_mtime == 0  # its last use is that of a build
    assert [one["version"] for one in plan["engines"]] == ["48.0.0", "47.0.0"]
    hits = [(one["engine"], one["hit"]) for one in _first(plan)["artifacts"]]
    assert hits == [("48.0.0", True), ("47.0.0", False)]


def test_without_wasmtime_the_plan_says_what_is_unknown(filled: Project):
    filled.use("")
    plan = answer(filled, "plan")
    assert plan["engines"] == [{"requirement": "wasmtime<49,>=48", "version": None}]
    assert [one["hit"] for one in _first(plan)["artifacts"]] == [None, None]
    assert "wasmtime<49,>=48: unknown until it is fetched" in said(filled, "plan")


def test_the_plan_warns_of_the_users_wasmtime_as_a_build_does(filled: Project):
    filled.write("pyproject.toml", filled.pyproject.replace("wasmtime>=48,<49", "wasmtime>=44"))
    (warning,) = answer(filled, "plan")["warnings"]
    assert warning in filled.build().output
    assert f"warning: {warning}" in said(filled, "plan")


def test_companions_are_wheels_of_the_plan(filled: Project):
    give_engine(filled.cache)
    companions(filled)
    plan = answer(filled, "plan", **OFFLINE)
    tags = ".".join(TARGETS[TARGET].platform_tags)
    named = [wheel["file"] for wheel in plan["wheels"]]
    assert named == [
        "demo-1.0-py3-none-any.whl",
        f"demo_wasmtime-48.1.0-py3-none-{tags}.whl",
        f"demo_wasmtime-47.1.0-py3-none-{tags}.whl",
        "demo_wasmtime-0-py3-none-any.whl",
    ]
    of_48 = plan["wheels"][1]
    assert [one["hit"] for one in of_48["artifacts"]] == [True]
    assert of_48["assets"] == []
    built = filled.hatchling("-t", "wazcache", **OFFLINE)
    assert built.status == 0, built.output
    assert sorted(path.name for path in (filled.root / "dist").iterdir()) == sorted(named)
    with zipfile.ZipFile(filled.root / "dist" / str(of_48["file"])) as wheel:
        made = [name for name in wheel.namelist() if name.endswith(".cwasm")]
    assert made == [one["path"] for one in of_48["artifacts"]]


def test_a_companion_for_an_unknown_wasmtime_has_no_version(filled: Project):
    companions(filled)
    text = (filled.root / "pyproject.toml").read_text("utf-8")
    filled.write("pyproject.toml", re.sub(r"engines = .*\n", "", text))
    filled.use("")
    package, companion, version_0 = answer(filled, "plan")["wheels"]
    assert (companion["name"], companion["version"], companion["file"]) == (
        "demo-wasmtime", None, None
    )  # fmt: skip
    assert companion["artifacts"][0]["engine_major"] is None
    assert package["file"]
    assert version_0["file"]
    assert "  wasmtime ?  unknown\n" in said(filled, "plan")


# nothing is written


def test_nothing_is_written(filled: Project):
    before = tree(filled.cache), tree(filled.root)
    assert run(filled, "plan").returncode == 0
    assert run(filled, "plan", "--json").returncode == 0
    assert run(filled, "plan", "--matrix", "github").returncode == 0
    assert (tree(filled.cache), tree(filled.root)) == before
    assert entries(filled)


def test_no_cache_is_made(filled: Project):
    shutil.rmtree(filled.cache)
    assert said(filled, "plan").endswith("0 found in the cache, 2 to compile\n")
    assert not filled.cache.exists()


def test_a_plan_that_no_build_could_follow_is_an_error(filled: Project):
    filled.write("demo/a.wasm", b"no wasm")
    assert "demo/a.wasm" in refused(filled, "plan")


# matrix


def test_each_job_of_the_matrix_makes_its_wheel(filled: Project):
    text = said(filled, "plan", "--matrix", "github")
    assert text.count("\n") == 1
    matrix = json.loads(text)
    assert matrix == answer(filled, "plan", "--matrix", "github")
    assert [job["target"] for job in matrix["include"]] == [TARGET, "any"]
    for job in matrix["include"]:
        command = job["command"].replace("hatch build", "hatchling build")
        built = filled.run(*command.split())
        assert built.status == 0, built.output
    made = sorted(path.name for path in (filled.root / "dist").iterdir())
    assert made == sorted(wheel["file"] for wheel in answer(filled, "plan")["wheels"])


def test_the_matrix_needs_no_assets_and_no_wasmtime(filled: Project):
    (filled.root / "demo" / "a.wasm").unlink()
    (filled.root / "demo" / "sub" / "b.wasm").unlink()
    filled.append('targets = "all"\n')
    filled.use("")
    jobs = answer(filled, "plan", "--matrix", "github")["include"]
    assert [job["target"] for job in jobs] == [*list(TARGETS)[:4], *list(TARGETS)[5:7], "any"]


def test_with_companions_each_job_makes_those_of_a_target(filled: Project):
    companions(filled).append(f'targets = ["{TARGET}", "{FOREIGN}", "any"]\n')
    jobs = answer(filled, "plan", "--matrix", "github")["include"]
    assert [job["command"] for job in jobs] == [
        f"hatch build -t wazcache:{TARGET}",
        f"hatch build -t wazcache:{FOREIGN}",
    ]


def test_only_github_has_a_matrix(filled: Project):
    done = run(filled, "plan", "--matrix", "other")
    assert done.returncode == 2
    assert "github" in done.stderr


# setuptools


@pytest.fixture
def setuptools(tmp_path: Path) -> SetuptoolsProject:
    return flat_setuptools_project(tmp_path)


def test_setuptools_makes_the_planned_wheels(setuptools: SetuptoolsProject):
    before = tree(setuptools.root)
    plan = answer(setuptools, "plan")
    assert tree(setuptools.root) == before
    assert [wheel["file"] for wheel in plan["wheels"]] == [
        NATIVE_WHEEL, "demo-1.0-py3-none-any.whl",
    ]  # fmt: skip
    assert [one["hit"] for one in _first(plan)["artifacts"]] == [False]
    built = setuptools.build()
    assert built.wheel is not None, built.output
    assert built.wheel.name == NATIVE_WHEEL
    assert [one["hit"] for one in _first(answer(setuptools, "plan"))["artifacts"]] == [True]


def test_the_jobs_for_setuptools_name_the_target_in_the_environment(setuptools: SetuptoolsProject):
    jobs = answer(setuptools, "plan", "--matrix", "github")["include"]
    assert [job["command"] for job in jobs] == [
        f"WAZCACHE_TARGET={TARGET} python -m build --wheel",
        "WAZCACHE_TARGET=any python -m build --wheel",
    ]


@needs_c_compiler
def test_extension_modules_have_the_wheel_of_their_own_platform(setuptools: SetuptoolsProject):
    setuptools.write("ext.c", "int x;\n")
    setuptools.write(
        "setup.py",
        "from setuptools import Extension, setup\n"
        "setup(ext_modules=[Extension('demo.ext', ['ext.c'])])\n",
    )
    (wheel,) = answer(setuptools, "plan")["wheels"]
    assert wheel["target"] == TARGET
    built = setuptools.build()
    assert built.wheel is not None, built.output
    assert wheel["file"] == built.wheel.name


def test_the_jobs_for_companions_by_setuptools_can_be_run_by_a_shell(
    setuptools: SetuptoolsProject,
):
    companions(setuptools).append('targets = "native"\n')
    (job,) = answer(setuptools, "plan", "--matrix", "github")["include"]
    give_engine(setuptools.cache)
    folder = setuptools.root.parent / "bin"
    folder.mkdir()
    python = setuptools.python
    for name, words in {
        "python": f'{python} "${{@/build/build}}" --no-isolation',
        "hatch-wazcache": f'{python} -m hatch_wazcache "$@"',
    }.items():
        file = folder / name
        file.write_text(f"#!/bin/bash\nexec {words}\n")
        file.chmod(0o700)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", job["command"]],
        cwd=setuptools.root, env=setuptools.env(PATH=path), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    made = sorted(path.name for path in (setuptools.root / "dist").iterdir())
    plan = answer(setuptools, "plan", **OFFLINE)
    assert made == sorted(wheel["file"] for wheel in plan["wheels"])


def test_companions_by_setuptools_need_engines_for_a_matrix(setuptools: SetuptoolsProject):
    companions(setuptools)
    text = (setuptools.root / "pyproject.toml").read_text("utf-8")
    setuptools.write("pyproject.toml", re.sub(r"engines = .*\n", "", text))
    message = refused(setuptools, "plan", "--matrix", "github")
    assert "tool.wazcache.companion: a matrix needs tool.wazcache.engines" in message


def _first(plan: dict) -> dict:
    return plan["wheels"][0]
