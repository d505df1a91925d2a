"""The loader compiles if artifacts are refused, also with wasmtime's own cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.environments import environment_with
from tests.support.loading import (
    ARTIFACT,
    FALL_BACK,
    REFUSE,
    change_manifest,
    check_fall_back,
    home,
    run,
)
from tests.support.marks import as_ordinary_user
from tests.support.projects import Project
from tests.support.wheels import TARGET, unpack

# The way back: artifacts that are refused


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "the file is missing"),
    "empty": (lambda path: path.write_bytes(b""), "it is damaged: it has 0 bytes, not "),
    "cut short by a byte": (
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "it is damaged: it has ",
    ),
    "cut in half": (
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "it is damaged: it has ",
    ),
    "another file": (
        lambda path: path.write_bytes(b"x" * path.stat().st_size),
        "Unsupported ELF header",
    ),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), "it is not a file"),
    "a FIFO": (lambda path: (path.unlink(), os.mkfifo(path)), "it is not a file"),
    "a link to nowhere": (
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        "the file is missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_artifact_is_a_reason_to_compile(damage: str, own_site: Path):
    do, reason = DAMAGES[damage]
    do(own_site / "demo" / ARTIFACT)
    check_fall_back(run(FALL_BACK, own_site), reason)


@as_ordinary_user
def test_an_unreadable_artifact_is_a_reason_to_compile(own_site: Path):
    (own_site / "demo" / ARTIFACT).chmod(0)
    check_fall_back(run(FALL_BACK, own_site), "Permission denied")


def test_an_artifact_of_another_kind_is_a_reason_to_compile(own_site: Path):
    artifact = own_site / f"demo/c.{TARGET}.cwasm"

    def change(manifest: dict) -> None:
        manifest["assets"]["answer.wasm"]["artifacts"][0]["size"] = artifact.stat().st_size

    change_manifest(own_site, change)
    shutil.copy(artifact, own_site / "demo" / ARTIFACT)
    check_fall_back(run(FALL_BACK, own_site), "incompatible object file format")


@pytest.mark.parametrize("other", ["36.0.0", "44.0.0", "50.0.1"])
def test_another_wasmtime_compiles_and_names_both_versions(other: str, site: Path):
    major = int(version("wasmtime").partition(".")[0])
    reason = (
        f"compiled for wasmtime {major}, installed is {other}; install wasmtime>={major},"
        f"<{major + 1}, or a release of demo with artifacts for the installed one"
    )
    check_fall_back(run(FALL_BACK, site, environment_with(other)), reason, reason)


def test_a_wasmtime_without_components_is_said_so(site: Path):
    code = """
        print(status('c.wasm').reason)
        print(refused(lambda: load_component('c.wasm')))
        print(refused(lambda: load_component('answer.wasm')))
        """
    assert run(code, site, environment_with("36.0.0")) == [
        "components need wasmtime 39 or later",
        "components need wasmtime 39 or later",
        "answer.wasm is a module: use load_module",
    ]


def test_an_own_engine_is_told_which_profile_it_fits(site: Path):
    code = """
        import wasmtime
        config = wasmtime.Config()
        config.consume_fuel = True
        own = wasmtime.Engine(config)
        print(refused(lambda: load_module('answer.wasm', own, strict=True)))
        print(status('answer.wasm', own).reason)
        print(*warned(lambda: load_module('answer.wasm', own)))
        print(bool(status('answer.wasm', own, profile='fuel')))
        print(refused(lambda: load_module('answer.wasm', engine(), profile='fuel', strict=True)))
        """
    *fuel, loads, default = run(code, site)
    for said in fuel:
        assert said.endswith(
            "; the engine has the settings of the profile fuel: pass profile='fuel'"
        )
    assert len(fuel) == 3
    assert loads == "True"
    assert default.endswith("of the profile default: pass profile='default'")


def test_an_own_engine_that_fits_no_profile_is_told_of_none(site: Path):
    code = """
        import wasmtime
        config = wasmtime.Config()
        config.epoch_interruption = True
        print(status('answer.wasm', wasmtime.Engine(config)).reason)
        """
    (said,) = run(code, site)
    assert "profile" not in said


def test_backtrace_details_in_the_environment_are_named_as_the_cause(site: Path):
    reason = "the environment variable WASMTIME_BACKTRACE_DETAILS is set"
    check_fall_back(run(FALL_BACK, site, **REFUSE), reason)


def test_the_warning_points_at_the_line_that_loads(site: Path, tmp_path: Path):
    (tmp_path / "user.py").write_text(
        "import demo._wazcache as w\n\nw.load_module('answer.wasm')\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import user"
    warning, line = run(code, site, **REFUSE)
    assert warning.startswith(f"{tmp_path / 'user.py'}:3: WazcacheWarning: answer.wasm is ")
    assert line.strip() == "w.load_module('answer.wasm')"


def test_each_asset_is_warned_of_once(site: Path):
    code = """
        def load():
            for _ in range(3):
                load_module('answer.wasm')
                load_module('answer.wasm', profile='fuel')
                load_module('data/deep/b.wasm')
        print(*(text.split()[0] for text in warned(load)))
        """
    assert run(code, site, **REFUSE) == ["answer.wasm answer.wasm data/deep/b.wasm"]


def test_a_wheel_with_none_for_this_system_is_silent(own_site: Path):
    def change(manifest: dict) -> None:
        for artifact in manifest["assets"]["answer.wasm"]["artifacts"]:
            artifact["target"] = "riscv64-plan9"

    change_manifest(own_site, change)
    reason = "the wheel has none for this system"
    assert run(FALL_BACK, own_site) == [
        "42 42",
        "",
        reason,
        f"answer.wasm is not precompiled (strict): {reason}",
    ]


def test_the_first_artifact_that_wasmtime_accepts_wins(own_site: Path):
    """Two CPU levels, two systems in one file: the loader only asks."""
    (own_site / "demo/refused.cwasm").write_bytes(b"for another CPU")

    def change(manifest: dict) -> None:
        artifacts = manifest["assets"]["answer.wasm"]["artifacts"]
        artifacts.insert(0, {**artifacts[0], "file": "refused.cwasm"})

    change_manifest(own_site, change)
    code = """
        print(warned(lambda: print(call(load_module('answer.wasm', strict=True)))))
        print(status('answer.wasm').artifact)
        """
    assert run(code, own_site) == ["42", "[]", str(own_site / "demo" / ARTIFACT)]


def test_without_the_wasm_in_the_wheel_a_refusal_is_an_error(project: Project, tmp_path: Path):
    project.options('assets = ["demo/*.wasm"]\nkeep-wasm = false')
    built = project.build()
    assert "demo/a.wasm" not in built.names
    site = unpack(built.wheel, tmp_path / "site")
    assert run("print(bool(load_module('a.wasm')))", site) == ["True"]
    said = run("print(refused(lambda: load_module('a.wasm')))", site, **REFUSE)
    assert said[0].startswith(
        f"a.wasm cannot be loaded, and there is no .wasm to compile: a.{TARGET}.cwasm: "
        "the environment variable WASMTIME_BACKTRACE_DETAILS is set"
    )


def test_where_wasm_and_artifact_are_gone_the_error_names_both(own_site: Path):
    wasm = own_site / "demo/answer.wasm"
    wasm.unlink()
    (own_site / "demo" / ARTIFACT).unlink()
    (said,) = run("print(refused(lambda: load_module('answer.wasm')))", own_site)
    assert str(wasm) in said
    assert f"{ARTIFACT}: the file is missing" in said


def test_a_wasm_that_wasmtime_refuses_is_its_error(own_site: Path):
    (own_site / "demo" / ARTIFACT).unlink()
    (own_site / "demo/answer.wasm").write_bytes(b"\0asm\1\0\0\0\xff")
    code = """
        from wasmtime import WasmtimeError
        try:
            load_module('answer.wasm')
        except WasmtimeError as error:
            print('refused')
        """
    assert run(code, own_site)[-1] == "refused"


# wasmtime's own cache


@pytest.mark.parametrize("asked", [False, True])
def test_wasmtimes_own_cache_is_written_when_asked_for_and_never_unasked(
    asked: bool, site: Path, tmp_path: Path
):
    code = f"""
        own = engine(cache={asked})
        print(call(load_module('answer.wasm', own, fallback='compile'), own))
        """
    assert run(code, site, **REFUSE, **home(tmp_path))[-1] == "42"
    assert any(tmp_path.rglob("*")) is asked


def test_an_engine_with_the_cache_loads_artifacts_too(site: Path, tmp_path: Path):
    code = """
        print(call(load_module('answer.wasm', engine(cache=True), strict=True), engine(cache=True)))
        print(engine(cache=True) is engine('default', True))
        """
    assert run(code, site, **home(tmp_path)) == ["42", "True"]


@pytest.mark.parametrize("broken", ["a home that cannot be written", "a broken configuration"])
def test_a_cache_that_cannot_be_used_is_a_warning_and_no_cache(
    broken: str, site: Path, tmp_path: Path
):
    folder = Path(os.devnull) if "home" in broken else tmp_path
    if folder == tmp_path:
        (tmp_path / "config/wasmtime").mkdir(parents=True)
        (tmp_path / "config/wasmtime/config.toml").write_text("[cache")
    code = """
        print(len(warned(lambda: engine('fuel', cache=True))))
        print(*warned(lambda: engine(cache=True)))
        print(engine(cache=True) is engine())
        print(call(load_module('answer.wasm', engine(cache=True), strict=True)))
        """
    count, warning, same, answer = run(code, site, **home(folder))
    assert count == "1"
    assert warning.startswith("wasmtime's cache cannot be used: ")
    assert (same, answer) == ("True", "42")


def test_a_broken_configuration_of_wasmtime_matters_to_nobody_who_has_not_asked(
    site: Path, tmp_path: Path
):
    (tmp_path / "config/wasmtime").mkdir(parents=True)
    (tmp_path / "config/wasmtime/config.toml").write_text("[cache")
    code = "print(warned(lambda: load_module('answer.wasm', strict=True)))"
    assert run(code, site, **home(tmp_path)) == ["[]"]
