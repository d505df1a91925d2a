"""The requirement on wasmtime, and the packages of a build environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import TARGETS, find_targets, native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.engine_check import check_engine
from hatch_wazcache.project.engine_requirement import EngineRequirement
from tests.support.options import requirements
from tests.support.projects import Project

NATIVE = native_system().name
FOREIGN = "x86_64-windows" if NATIVE != "x86_64-windows" else "x86_64-linux"


def required(dependencies=(), optional=None, engine=None) -> EngineRequirement:
    return EngineRequirement.of(dependencies, optional or {}, engine)


def install(requirement: EngineRequirement, target: str = "native") -> list[str]:
    """Return the requirements of a build environment that is empty."""
    return requirement.needed(find_targets(target))


def check(requirement: EngineRequirement, installed: str, target: str = NATIVE) -> str:
    """Return the warning about an installed version, if there is one."""
    warnings = check_engine(requirement, installed, TARGETS[target])
    assert len(warnings) <= 1, warnings
    return "".join(warnings)


def test_a_build_environment_gets_the_wasmtime_of_the_project(project: Project):
    project.requires("wasmtime>=47,<48")
    assert requirements(project).output.strip() == "['wasmtime<48,>=47']"
    assert "'wasmtime<48,>=47'" in requirements(project, "editable").output


def test_an_installed_wasmtime_that_fits_is_enough(project: Project):
    assert requirements(project).output.strip() == "[]"
    project.requires("wasmtime>=36")
    assert requirements(project).output.strip() == "[]"


@pytest.mark.parametrize("target", ["any", "riscv64-linux"])
def test_a_wheel_without_artifacts_needs_no_wasmtime(project: Project, target: str):
    project.requires("wasmtime>=47,<48")
    project.environment["WAZCACHE_TARGET"] = target
    asked = project.run_python(
        "-c", "import hatchling.build as b; print(b.get_requires_for_build_wheel())"
    )
    assert asked.output.strip() == "[]"


def test_an_sdist_needs_no_wasmtime(project: Project):
    assert requirements(project, "sdist").output.strip() == "[]"


def test_a_project_that_does_not_name_wasmtime_gets_one_that_its_dependencies_admit():
    assert install(required(["requests"])) == ["requests", "wasmtime"]


def test_dependencies_are_stronger_than_optional_ones():
    both = required(["wasmtime>=48,<49"], {"run": ["wasmtime>=36,<37"]})
    assert install(both) == ["wasmtime>=48,<49"]


def test_optional_dependencies_count_where_they_agree():
    assert install(required([], {"a": ["wasmtime>=48,<49"], "b": ["x"]})) == ["wasmtime>=48,<49"]
    agreeing = {"a": ["wasmtime>=48,<49"], "all": ["Wasmtime <49, >=48"]}
    (line,) = install(required([], agreeing))
    assert check(required([line]), "48.0.0") == ""
    differing = {"a": ["wasmtime>=48,<49"], "b": ["wasmtime>=36,<37"]}
    assert install(required([], differing)) == ["wasmtime"]


def test_the_option_engine_says_what_the_project_does_not():
    silent = required([], {}, "wasmtime>=48,<49")
    assert install(silent) == ["wasmtime>=48,<49"]
    assert check(silent, "48.0.0") == ""
    with pytest.raises(WazcacheError, match="but the option engine says wasmtime<49,>=48"):
        check(silent, "50.0.1")


def test_the_option_engine_narrows_what_the_project_says():
    narrowed = required(["wasmtime>=36"], {}, "wasmtime>=48,<49")
    assert install(narrowed) == ["wasmtime>=36", "wasmtime>=48,<49"]
    assert check(narrowed, "48.0.0") == ""
    with pytest.raises(WazcacheError, match="and the option engine says"):
        check(narrowed, "50.0.1")


def test_only_the_line_whose_marker_fits_counts():
    lines = [
        "wasmtime>=48,<49; python_version >= '3.8'",
        "wasmtime>=36,<37; python_version < '3.8'",
    ]
    assert install(required(lines)) == lines
    assert check(required(lines), "48.0.0") == ""
    with pytest.raises(WazcacheError, match=r"project\.dependencies says wasmtime<49,>=48"):
        check(required(lines), "36.0.0")


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
        check(required([line]), version)


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
    assert check(required(lines), "48.0.0") == ""


@pytest.mark.parametrize(
    "line", ["wasmtime", "wasmtime>=48", "wasmtime<49", "wasmtime>=47.0.1,<49", "wasmtime!=50.0.0"]
)
def test_a_requirement_of_several_major_versions_warns_of_what_users_get(line):
    warning = check(required([line]), "48.0.0")
    assert warning
    assert "admits other major versions than 48" in warning
    assert "wait for the compiler at their first start; set the option engines" in warning
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
    assert "(an error because strict is on)" in strict.output


# each target has its own users

MARKED = ["wasmtime>=48,<49; sys_platform != 'win32'", "wasmtime>=47,<48; sys_platform == 'win32'"]


def test_markers_count_for_the_target_and_not_for_this_machine():
    assert check(required(MARKED), "48.0.0", "aarch64-linux") == ""
    assert check(required(MARKED), "47.0.1", "x86_64-windows") == ""
    with pytest.raises(WazcacheError) as refused:
        check(required(MARKED), "48.0.0", "x86_64-windows")
    assert "project.dependencies says wasmtime<48,>=47" in str(refused.value)
    assert "x86_64-windows" in str(refused.value)


@pytest.mark.parametrize("target", ["x86_64-windows", "aarch64-macos"])
def test_a_build_environment_gets_the_wasmtime_of_the_targets_users(target: str):
    (line,) = install(required(MARKED), target)
    assert line == ("wasmtime<48,>=47" if "windows" in target else "wasmtime<49,>=48")


@pytest.mark.parametrize(
    ("marker", "target"),
    [
        ("platform_machine == 'arm64'", "aarch64-macos"),
        ("platform_machine == 'aarch64'", "aarch64-linux"),
        ("platform_machine == 'AMD64' and os_name == 'nt'", "x86_64-windows"),
        ("platform_system == 'Darwin'", "universal2-macos"),
    ],
)
def test_a_marker_of_a_machine_counts_for_its_target(marker: str, target: str):
    lines = [f"wasmtime>=47,<48; {marker}"]
    assert check(required(lines), "47.0.1", target) == ""
    with pytest.raises(WazcacheError, match=r"project\.dependencies says wasmtime<48,>=47"):
        check(required(lines), "48.0.0", target)


@pytest.mark.parametrize("line", ["wasmtime; os_name ~= '1'", "other; os_name ~= '1'"])
def test_a_marker_that_cannot_be_evaluated_is_an_error(line: str):
    with pytest.raises(WazcacheError, match="cannot be evaluated"):
        check(required([line]), "48.0.0", "x86_64-linux")


def test_every_python_that_the_project_admits_counts():
    lines = [
        "wasmtime>=48,<49; python_version >= '3.11'",
        "wasmtime>=36,<37; python_version < '3.11'",
    ]
    warning = check(required(lines), "48.0.0")
    assert f"wasmtime<37,>=36 for {NATIVE} with Python 3.9, 3.10" in warning
    assert check_engine(required(lines), "48.0.0", TARGETS[NATIVE], ">=3.11") == []


def test_a_python_whose_users_get_no_wasmtime_is_named():
    lines = ["wasmtime>=48,<49; python_version >= '3.10'"]
    warning = check(required(lines), "48.0.0")
    assert f"does not require wasmtime on {NATIVE} with Python 3.9" in warning


def test_a_target_whose_users_get_no_wasmtime_is_refused():
    lines = ["wasmtime>=48,<49; sys_platform != 'win32'"]
    with pytest.raises(WazcacheError, match="does not require wasmtime on x86_64-windows"):
        check(required(lines), "48.0.0", "x86_64-windows")
    assert check_engine(required(lines), "48.0.0", TARGETS["any"]) == []


# a project that does not name wasmtime


def test_without_dependencies_the_package_cannot_import_wasmtime():
    warning = check(required([]), "48.0.0")
    assert "does not name wasmtime, and no dependency requires it" in warning
    assert 'add "wasmtime>=48,<49" to project.dependencies' in warning


def test_a_dependency_that_is_not_installed_may_require_wasmtime():
    warning = check(required(["yowasp-runtime-that-is-missing"]), "50.0.1")
    assert "if a dependency requires it (yowasp-runtime-that-is-missing)" in warning
    assert "set the option engine" in warning


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that requires wasmtime, and one that requires that."""
    for name, line in {"runtime": "wasmtime>=47,<49", "outer": "runtime"}.items():
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {line}\n"
        (folder / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("name", ["runtime", "outer"])
def test_the_wasmtime_that_a_dependency_requires_is_the_one_to_compile_for(name: str):
    warning = check(required([name]), "48.0.0")
    assert "runtime, a dependency of the project, requires wasmtime<49,>=47" in warning
    assert 'require "wasmtime>=48,<49" instead' in warning
    with pytest.raises(WazcacheError, match='set the option engine = "wasmtime<49,>=47"'):
        check(required([name]), "50.0.1")


def test_extras_that_disagree_on_wasmtime_are_a_warning_with_advice_that_can_be_installed():
    extras = {"old": ["wasmtime>=47,<48"], "new": ["wasmtime>=48,<49"]}
    warning = check(required([], extras), "48.0.0")
    assert "has several requirements on wasmtime: set the option engine" in warning
    assert "project.dependencies" not in warning
    assert check(required([], extras, "wasmtime>=48,<49"), "48.0.0") == ""


# for one build


def test_wazcache_engine_is_stronger_than_all_that_the_project_says(monkeypatch):
    monkeypatch.setenv("WAZCACHE_ENGINE", "wasmtime>=49")
    requirement = required(["wasmtime>=48,<49"], {}, "wasmtime>=49")
    assert install(requirement) == ["wasmtime>=49"]
    with pytest.raises(WazcacheError, match="but WAZCACHE_ENGINE says wasmtime>=49"):
        check(requirement, "48.0.0")


def test_a_distribution_builds_with_its_own_wasmtime(project: Project):
    project.requires("wasmtime>=47,<48")
    refused = project.build()
    assert refused.status != 0
    built = project.build(WAZCACHE_ENGINE="wasmtime==48.*", WAZCACHE_STRICT="1")
    assert built.status == 0, built.output
    assert "warning: the wheel requires wasmtime<48,>=47, but WAZCACHE_ENGINE chose" in built.output
    wrong = project.build(WAZCACHE_ENGINE="wasmer")
    assert wrong.status != 0
    assert "WAZCACHE_ENGINE" in wrong.output
