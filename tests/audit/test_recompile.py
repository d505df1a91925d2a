"""Artifacts are compiled again and compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.support.audits import ARTIFACT, answer, artifact, asset, findings, run, with_artifact
from tests.support.doctored import Wheel
from tests.support.environments import environment_with
from tests.support.projects import Project
from tests.support.wasm import tiny


def test_an_artifact_of_other_code_is_found_by_compiling_again(
    project: Project, good: Path, tmp_path: Path
):
    """Another module's artifact, with every digest fixed: only the compiler can tell."""
    project.write("demo/a.wasm", tiny("another"))
    other = Wheel(project.build().wheel).members[ARTIFACT]
    wheel = Wheel(good)
    size = len(wheel.members[ARTIFACT])
    path = with_artifact(wheel, other, tmp_path)
    assert findings(path) == []
    answered = answer("audit", "--recompile", path, status=3)
    (found,) = answered["findings"]
    assert found["member"] == ARTIFACT
    assert found["finding"].startswith(
        "differs from the newly compiled artifact (profile default), from byte "
    )
    assert found["finding"].endswith(f"it has {len(other)} bytes, not {size}")


def test_a_setting_that_the_header_does_not_tell_is_found_by_compiling_again(
    wheel: Wheel, tmp_path: Path
):
    wheel.manifest(lambda m: m["profiles"]["default"].update({"consume-fuel": True}))
    path = wheel.write(tmp_path)
    assert findings(path) == []
    (found,) = answer("audit", "--recompile", path, status=3)["findings"]
    assert found["member"] == ARTIFACT


def test_compiling_again_compares_where_others_could_write_to_the_temporary_folder(
    wheel: Wheel, project: Project, tmp_path: Path
):
    """No cache is trusted there, so what is compiled is kept aside."""
    project.append("[tool.hatch.build.hooks.wazcache.profiles.default]\nwasm-threads = false\n")
    other = project.build().read(ARTIFACT)
    path = with_artifact(wheel, other, tmp_path)
    assert findings(path) == []
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o777)
    done = run("audit", "--recompile", path, TMPDIR=str(folder))
    assert done.returncode == 3, done.stdout
    assert done.stdout.endswith("1 wheel audited, 1 artifact, 1 compiled again: 1 finding\n")


@pytest.mark.parametrize("installed", ["50.0.1", ""])
def test_compiling_again_fetches_the_engine_of_the_manifest(
    good: Path, tmp_path: Path, installed: str
):
    python = environment_with(installed)
    cache = tmp_path / "cache"
    for _ in range(2):
        env = {"WAZCACHE_DIR": str(cache), "UV": find_uv_bin()}
        done = run("audit", "--recompile", good, python=python, **env)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("1 artifact, 1 compiled again: 0 findings\n")
    assert len(list((cache / "engines").glob("wasmtime-48.*"))) == 1


def test_nothing_is_fetched_for_an_engine_that_is_installed(good: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    assert run("audit", "--recompile", good, WAZCACHE_DIR=str(cache)).returncode == 0
    assert not cache.exists()


def offline(tmp_path: Path) -> dict[str, str]:
    """An environment without an index, and with an empty cache."""
    (tmp_path / "uv.toml").write_text("no-index = true\n")
    return {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
        "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
        "UV_FIND_LINKS": "",
        "WAZCACHE_DIR": str(tmp_path / "cache"),
    }


def test_an_engine_that_cannot_be_fetched_is_one_problem_for_all_its_artifacts(
    wheel: Wheel, tmp_path: Path
):
    def change(manifest: dict) -> None:
        more = "demo/more.cwasm"
        wheel.members[more] = wheel.members[ARTIFACT]
        asset(manifest)["artifacts"].append({**artifact(manifest), "file": "more.cwasm"})

    wheel.manifest(change)
    path = wheel.write(tmp_path)
    done = run("audit", "--recompile", path, python=environment_with("50.0.1"), **offline(tmp_path))
    assert done.returncode == 1
    *fetching, line = done.stderr.splitlines()
    assert fetching == [
        "wazcache: fetching wasmtime==48.0.0",
        "wazcache: fetching wasmtime<49,>=48",
    ]
    begin = f"hatch-wazcache: {path}: {ARTIFACT}: is compiled by wasmtime 48.0.0: wasmtime"
    assert line.startswith(begin)
    assert "needed for compiling artifacts again" in line
    assert run("audit", path, python=environment_with("")).returncode == 0


def test_the_assets_of_companions_are_in_the_wheel_of_their_package(project: Project):
    project.options('assets = ["demo/*.wasm"]\ncompanion = "demo-wasmtime"\nengines = ["48"]')
    text = (project.root / "pyproject.toml").read_text("utf-8")
    requires = 'wasmtime>=48,<49", "demo-wasmtime'
    project.write("pyproject.toml", text.replace("wasmtime>=48,<49", requires))
    built = project.hatchling("-t", "wazcache")
    assert built.status == 0, built.output
    wheels = sorted((project.root / "dist").iterdir())
    (companion,) = (path for path in wheels if "-48.1.0-" in path.name)
    done = run("audit", "--recompile", companion, *wheels)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("4 wheels audited, 2 artifacts, 2 compiled again: 0 findings\n")
    done = run("audit", "--recompile", companion)
    assert done.returncode == 1
    assert done.stderr.endswith(
        ": the .wasm of a.wasm is not in the wheel; name the wheel of demo 1.0, too\n"
    )


def test_a_compiler_of_nobody_is_one_message(good: Path):
    words = ["audit", "--recompile", good]
    by_option = run(*words, "--compiler", "~nobody.here/wasmtime")
    by_variable = run(*words, WAZCACHE_WASMTIME="~nobody.here/wasmtime")
    for done, name in ((by_option, "--compiler"), (by_variable, "WAZCACHE_WASMTIME")):
        assert done.returncode == 1
        assert done.stderr == (
            f"hatch-wazcache: {name} = ~nobody.here/wasmtime: must be a path; there is no such "
            "user\n"
        )


def test_a_compiler_is_for_compiling_again(good: Path):
    done = run("audit", "--compiler", ".", good)
    assert done.returncode == 1
    assert done.stderr == "hatch-wazcache: --compiler has no effect without --recompile\n"


def test_compiling_again_obeys_the_time_limit_of_the_environment(good: Path):
    done = run("audit", "--recompile", good, WAZCACHE_TIMEOUT="0.001")
    assert done.returncode == 1
    assert (
        "not finished after 0.001 s; to allow more time, set the option timeout or WAZCACHE_TIMEOUT"
        in done.stderr
    )
    done = run("audit", "--recompile", good, WAZCACHE_TIMEOUT="soon")
    assert done.returncode == 1
    assert done.stderr == (
        "hatch-wazcache: WAZCACHE_TIMEOUT = soon: must be a number of seconds greater than 0\n"
    )


def test_nothing_but_letters_of_a_wheels_names_reaches_the_terminal(wheel: Wheel, tmp_path: Path):
    """Neither in the progress of compiling again, nor in the problems."""
    name = "\x1b[2J\x9b\u202e\n.cwasm"
    wheel.members[f"demo/{name}"] = wheel.members.pop(ARTIFACT)
    wheel.manifest(lambda m: artifact(m).update(file=name))
    path = wheel.write(tmp_path)
    for env in ({}, {"WAZCACHE_TIMEOUT": "0.001"}):
        done = run("audit", "--recompile", path, **env)
        assert "compiling for" in done.stderr
        for text in (done.stdout, done.stderr):
            assert all(line.isprintable() for line in text.split("\n"))
