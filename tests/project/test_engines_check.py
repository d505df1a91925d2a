"""The option `engines`, compared with the wasmtime that the users of a target can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import TARGETS, native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.engine_check import check_engine
from hatch_wazcache.project.engine_requirement import EngineRequirement
from hatch_wazcache.project.engines_check import EnginesResult, check_engines
from hatch_wazcache.project.options import read_config
from tests.support.options import TABLE

NATIVE = native_system().name


def check(
    lines: list[str],
    engines: list[str],
    target: str = NATIVE,
    python: str = ">=3.9",
    fallback: str = "cache",
    extras: dict[str, list[str]] | None = None,
) -> EnginesResult:
    options = {"assets": "a.wasm", "engines": engines, "fallback": fallback}
    config = read_config(options, TABLE, {}, Path("/project").absolute())
    requirement = EngineRequirement.of(lines, extras or {}, None)
    return check_engines(requirement, config, TARGETS[target], python)


def problem(lines: list[str], engines: list[str], target: str = NATIVE) -> str:
    with pytest.raises(WazcacheError) as caught:
        check(lines, engines, target)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "engines"),
    [
        ("wasmtime>=47,<49", ["47", "48"]),
        ("wasmtime>=47.0.1,<47.1", ["47"]),
        ("wasmtime>=47,<51,!=49.*", ["50", "48", "47"]),
        ("wasmtime==48.*", ["wasmtime==48.0.0"]),
    ],
)
def test_a_requirement_that_admits_only_what_is_covered_brings_no_word(line, engines):
    assert check([line], engines) == ([], [])


@pytest.mark.parametrize(
    "line", ["wasmtime", "wasmtime>=47", "wasmtime<49", "wasmtime>=46,<49", "wasmtime>=47,!=50.0.0"]
)
def test_a_requirement_that_admits_more_brings_one_line_and_no_warning(line):
    warnings, (said,) = check([line], ["47", "48"])
    assert warnings == []
    assert "which admits other major versions than those of engines (47, 48)" in said
    assert said.endswith("users with another one wait for the compiler at their first start")


@pytest.mark.parametrize(
    ("fallback", "what"),
    [
        ("cache", "users with another one wait for the compiler at their first start"),
        ("compile", "users with another one wait for the compiler at every start"),
        ("error", "the package does not load its .wasm for users with another one"),
    ],
)
def test_what_happens_there_is_what_the_option_fallback_says(fallback, what):
    _warnings, (said,) = check(["wasmtime>=47"], ["47"], fallback=fallback)
    assert said.endswith(what)
    requirement = EngineRequirement.of(["wasmtime>=47"], {}, None)
    (warning,) = check_engine(requirement, "48.0.0", TARGETS[NATIVE], fallback=fallback)
    assert f"{what}; set the option engines" in warning


def test_a_line_is_said_once_for_all_systems_and_pythons():
    target = "universal2-macos"
    assert check(["wasmtime>=47"], ["47"], target)[1] == check(["wasmtime>=47"], ["47"])[1]


@pytest.mark.parametrize("engines", [["50", "47"], ["47", "50"]])
def test_an_engine_that_no_user_can_have_is_an_error_with_its_place(engines):
    number = engines.index("47")
    assert problem(["wasmtime>=48"], engines) == (
        f"{TABLE}.engines[{number}]: users of {NATIVE} cannot have wasmtime 47, because "
        "project.dependencies says wasmtime>=48; leave 47 out of engines, or admit it"
    )


def test_the_users_are_those_of_the_target():
    lines = [
        "wasmtime>=48,<49; sys_platform != 'win32'",
        "wasmtime>=47,<48; sys_platform == 'win32'",
    ]
    assert check(lines, ["48"], "aarch64-linux") == ([], [])
    assert "users of x86_64-windows cannot have wasmtime 48" in problem(
        lines, ["48"], "x86_64-windows"
    )
    assert check(lines, ["48"], "any") == ([], [])


def test_an_engine_for_some_pythons_is_enough():
    lines = [
        "wasmtime>=48,<49; python_version >= '3.11'",
        "wasmtime>=47,<48; python_version < '3.11'",
    ]
    warnings, said = check(lines, ["47", "48"])
    assert (warnings, said) == ([], [])
    _warnings, (line,) = check(lines, ["48"])
    assert line.startswith("project.dependencies says wasmtime<48,>=47, which admits other major")


def test_a_python_or_a_target_whose_users_get_no_wasmtime_is_told_as_without_engines():
    (warning,), _said = check(["wasmtime>=48,<49; python_version >= '3.10'"], ["48"])
    assert f"does not require wasmtime on {NATIVE} with Python 3.9" in warning
    lines = ["wasmtime>=48,<49; sys_platform != 'win32'"]
    assert "does not require wasmtime on x86_64-windows" in problem(lines, ["48"], "x86_64-windows")


def test_a_project_that_does_not_name_wasmtime_gets_the_line_for_all_engines():
    (warning,), said = check([], ["50", "47", "48"])
    assert said == []
    assert "does not name wasmtime, and no dependency requires it" in warning
    assert 'add "wasmtime>=47,<51" to project.dependencies' in warning


def test_extras_that_disagree_cannot_be_compared():
    extras = {"old": ["wasmtime>=47,<48"], "new": ["wasmtime>=48,<49"]}
    (warning,), _said = check([], ["47", "48"], extras=extras)
    assert "has several requirements on wasmtime" in warning


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that requires wasmtime."""
    folder = tmp_path / "runtime-1.0.dist-info"
    folder.mkdir()
    text = "Metadata-Version: 2.1\nName: runtime\nVersion: 1.0\nRequires-Dist: wasmtime>=47,<49\n"
    (folder / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("runtime")
def test_the_wasmtime_that_a_dependency_requires_counts():
    assert check(["runtime"], ["47", "48"]) == ([], [])
    _warnings, (said,) = check(["runtime"], ["48"])
    assert said.startswith("runtime, a dependency of the project, requires wasmtime<49,>=47")
    message = problem(["runtime"], ["48", "50"])
    assert f"{TABLE}.engines[1]: users cannot have wasmtime 50, because runtime" in message
