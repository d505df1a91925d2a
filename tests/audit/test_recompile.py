"""Artifacts are compiled again and compared."""

from __future__ import annotations

from pathlib import Path

from tests.support.audits import ARTIFACT, answer, artifact, findings, run, with_artifact
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


def test_compiling_again_needs_the_engine_of_the_manifest(good: Path):
    python = environment_with("50.0.1")
    done = run("audit", "--recompile", good, python=python)
    assert done.returncode == 1
    assert done.stderr == (
        f"hatch-wazcache: {good}: {ARTIFACT}: is compiled by wasmtime 48.0.0, but the engine "
        "installed here is 50.0.0; install a wasmtime with engine 48.0.0\n"
    )
    done = run("audit", "--recompile", good, python=environment_with(""))
    assert done.returncode == 1
    assert "hatch-wazcache: wasmtime is not installed" in done.stderr
    assert run("audit", good, python=environment_with("")).returncode == 0


def test_a_compiler_of_nobody_is_one_message(good: Path):
    words = ["audit", "--recompile", good]
    by_option = run(*words, "--compiler", "~nobody.here/wasmtime")
    by_variable = run(*words, WAZCACHE_WASMTIME="~nobody.here/wasmtime")
    for done, name in ((by_option, "--compiler"), (by_variable, "WAZCACHE_WASMTIME")):
        assert done.returncode == 1
        assert done.stderr == (
            f"hatch-wazcache: {name} ~nobody.here/wasmtime: there is no such user\n"
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
