"""The requirement on wasmtime, and what a build environment gets."""

from __future__ import annotations

import pytest

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.engine_requirement import EngineRequirement
from tests.support.options import requirements
from tests.support.projects import Project


def required(dependencies=(), optional=None, engine=None) -> EngineRequirement:
    return EngineRequirement.of(dependencies, optional or {}, engine)


def test_a_build_environment_gets_the_wasmtime_of_the_project(project: Project):
    assert requirements(project).output.strip() == "['wasmtime<49,>=48']"
    assert "'wasmtime<49,>=48'" in requirements(project, "editable").output


def test_an_sdist_needs_no_wasmtime(project: Project):
    assert requirements(project, "sdist").output.strip() == "[]"


def test_a_project_that_does_not_name_wasmtime_gets_the_newest():
    assert required(["requests"]).to_install() == ["wasmtime"]


def test_dependencies_are_stronger_than_optional_ones():
    both = required(["wasmtime>=48,<49"], {"run": ["wasmtime>=36,<37"]})
    assert both.to_install() == ["wasmtime>=48,<49"]


def test_optional_dependencies_count_where_they_agree():
    assert required([], {"a": ["wasmtime>=48,<49"], "b": ["x"]}).to_install() == [
        "wasmtime>=48,<49"
    ]
    agreeing = {"a": ["wasmtime>=48,<49"], "all": ["Wasmtime <49, >=48"]}
    (line,) = required([], agreeing).to_install()
    assert required([line]).check("48.0.0") is None
    differing = {"a": ["wasmtime>=48,<49"], "b": ["wasmtime>=36,<37"]}
    assert required([], differing).to_install() == ["wasmtime"]


def test_the_option_engine_says_what_the_project_does_not():
    silent = required([], {}, "wasmtime>=48,<49")
    assert silent.to_install() == ["wasmtime>=48,<49"]
    assert silent.check("48.0.0") is None
    with pytest.raises(WazcacheError, match="but the option engine says wasmtime<49,>=48"):
        silent.check("50.0.1")


def test_the_option_engine_narrows_what_the_project_says():
    narrowed = required(["wasmtime>=36"], {}, "wasmtime>=48,<49")
    assert narrowed.to_install() == ["wasmtime>=36", "wasmtime>=48,<49"]
    assert narrowed.check("48.0.0") is None
    with pytest.raises(WazcacheError, match="and the option engine says"):
        narrowed.check("50.0.1")


def test_only_the_line_whose_marker_fits_counts():
    lines = [
        "wasmtime>=48,<49; python_version >= '3.8'",
        "wasmtime>=36,<37; python_version < '3.8'",
    ]
    assert required(lines).to_install() == lines
    assert required(lines).check("48.0.0") is None
    with pytest.raises(WazcacheError, match=r"project\.dependencies says wasmtime<49,>=48"):
        required(lines).check("36.0.0")


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("wasmtime>=49", "48.0.0"),
        ("wasmtime<48", "48.0.0"),
        ("wasmtime==48.0.1", "48.0.0"),
        ("wasmtime>=48,<49", "48.0.0rc1"),
    ],
)
def test_a_wasmtime_outside_the_requirement_is_refused(line, version):
    with pytest.raises(WazcacheError, match=f"wasmtime {version} is installed in this env"):
        required([line]).check(version)


@pytest.mark.parametrize(
    "lines",
    [
        ["wasmtime>=48,<49"],
        ["wasmtime~=48.0"],
        ["wasmtime==48.*"],
        ["wasmtime==48.0.0"],
        ["wasmtime>47.999999,<48.5"],
        ["wasmtime>=48", "wasmtime<49"],
        ["wasmtime[extra]>=48,<49"],
    ],
)
def test_a_requirement_of_one_major_version_brings_no_warning(lines):
    assert required(lines).check("48.0.0") is None


@pytest.mark.parametrize(
    "line", ["wasmtime", "wasmtime>=48", "wasmtime<49", "wasmtime>=47.0.1,<49", "wasmtime!=50.0.0"]
)
def test_a_requirement_of_several_major_versions_warns_of_what_users_get(line):
    warning = required([line]).check("48.0.0")
    assert warning is not None
    assert "admits other major versions than 48" in warning
    assert "waits for the compiler at every start" in warning
    assert '"wasmtime>=48,<49"' in warning


def test_no_requirement_at_all_warns_of_what_users_get(project: Project):
    pyproject = project.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"wasmtime>=48,<49"', ""))
    built = project.build()
    assert built.status == 0, built.output
    assert "wazcache: warning: project.dependencies does not name wasmtime" in built.output
    assert '"wasmtime>=48,<49"' in built.output
    strict = project.build(WAZCACHE_STRICT="1")
    assert strict.status != 0
    assert "wazcache: project.dependencies does not name wasmtime" in strict.output
    assert "(an error, since strict is on)" in strict.output
