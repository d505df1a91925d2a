"""Good wheels of every kind and every target pass the audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import TARGETS
from tests.support.audits import ARTIFACT, findings, loads, retag, run, with_artifact
from tests.support.doctored import Wheel
from tests.support.layouts import LAYOUTS, built_layout
from tests.support.projects import PYPROJECT, Project
from tests.support.wheels import TARGET

PROFILES = """
[tool.hatch.build.hooks.wazcache.profiles.default]
[tool.hatch.build.hooks.wazcache.profiles.metered]
consume-fuel = true
cranelift-opt-level = "none"
cranelift-nan-canonicalization = true
cranelift-debug-verifier = true
native-unwind-info = false
"""


def test_a_good_wheel_has_no_finding(good: Path):
    done = run("audit", good)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 wheel audited, 1 artifact: 0 findings\n"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_good_wheel_of_every_layout_has_no_finding(layout: str):
    _project, built = built_layout(layout)
    assert built.status == 0, built.output
    assert findings(built.wheel) == []


@pytest.mark.parametrize(
    "options",
    [
        "keep-wasm = false",
        "loader = false",
        'cpu = "native"',
        pytest.param(
            'cpu = ["x86-64-v3", "baseline"]',
            marks=pytest.mark.skipif("x86_64" not in TARGET, reason="a level of x86_64"),
        ),
        PROFILES,
    ],
)
def test_a_good_wheel_of_every_kind_has_no_finding_compiled_again_or_not(
    project: Project, options: str
):
    project.options(f'assets = ["demo/*.wasm"]\n{options}')
    project.write("demo/component.wasm", bytes.fromhex("0061736d0d000100"))
    built = project.build()
    assert built.status == 0, built.output
    assert findings(built.wheel) == []
    done = run("audit", "--recompile", built.wheel)
    if "keep-wasm" in options:
        assert done.returncode == 1
        assert f"{ARTIFACT}: the .wasm of a.wasm is not in the wheel" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("compiled again: 0 findings\n")


def test_a_link_to_a_wheel_is_that_wheel(good: Path, tmp_path: Path):
    (tmp_path / good.name).symlink_to(good)
    assert findings(tmp_path / good.name) == []


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory, wasmtime_cli: Path) -> dict[str, Path]:
    """A wheel of every target, by the target's name."""
    folder = tmp_path_factory.mktemp("every")
    project = Project(folder / "project", folder / "cache")
    project.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    project.write("pyproject.toml", PYPROJECT)
    project.append("targets = " + json.dumps(list(TARGETS)))
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    built = project.run("hatchling", "build", "-t", "wazcache")
    assert built.status == 0, built.output
    by_tags = {".".join(target.platform_tags): target.name for target in TARGETS.values()}
    wheels = (project.root / "dist").glob("*.whl")
    return {by_tags[wheel.stem.split("-")[-1]]: wheel for wheel in wheels}


def test_the_wheel_of_every_target_has_no_finding_compiled_again_or_not(
    every: dict[str, Path], wasmtime_cli: Path
):
    assert every.keys() == TARGETS.keys()
    for path in every.values():
        assert findings(path) == []
    done = run("audit", "--recompile", "--compiler", wasmtime_cli, *every.values())
    assert done.returncode == 0, done.stderr
    count = sum(len(target.systems) for target in TARGETS.values())
    assert done.stdout == (
        f"{len(every)} wheels audited, {count} artifacts, {count} compiled again: 0 findings\n"
    )


def test_every_wheel_under_the_name_of_every_other_is_found(every: dict[str, Path], tmp_path: Path):
    """Retagged throughout; the two without artifacts may have each other's."""
    for name, path in every.items():
        for target in TARGETS.values():
            wheel = Wheel(path)
            retag(wheel, ".".join(target.platform_tags))
            found = findings(wheel.write(tmp_path / name / target.name))
            alike = {system.name for system in TARGETS[name].systems} == {
                system.name for system in target.systems
            }
            assert (not found) == alike, (name, target.name, found)


def test_without_the_program_other_systems_are_not_compiled_again(
    every: dict[str, Path], tmp_path: Path
):
    other = next(name for name, target in TARGETS.items() if target.systems and name != TARGET)
    done = run("audit", "--recompile", "--compiler", tmp_path, every[other], every[TARGET])
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()[-1:]
    assert f"{every[other]}: demo/a.{other}.cwasm: the wasmtime CLI is needed for " in line
    assert done.stdout == "2 wheels audited, 2 artifacts, 1 compiled again: 0 findings\n"


def test_a_real_artifact_of_another_system_is_found(every: dict[str, Path], tmp_path: Path):
    """Swapped in, under the name of the one that was there, with every digest fixed."""
    other = next(name for name, target in TARGETS.items() if target.systems and name != TARGET)
    data = Wheel(every[other]).members[f"demo/a.{other}.cwasm"]
    wheel = Wheel(every[TARGET])
    found = findings(with_artifact(wheel, data, tmp_path))
    assert found[0][0] == ARTIFACT
    assert found[0][1].startswith(f"holds code for {other} (")
    assert found[0][1].endswith(f"; the manifest says {TARGET}")
    assert len(found) == 3


def test_an_artifact_without_an_address_map_is_compiled_again_by_the_program(
    project: Project, wasmtime_cli: Path
):
    project.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    project.append("[tool.hatch.build.hooks.wazcache.profiles.default]\naddress-map = false\n")
    built = project.build()
    assert built.status == 0, built.output
    assert findings(built.wheel) == []
    done = run("audit", "--recompile", built.wheel, WAZCACHE_WASMTIME=str(wasmtime_cli))
    assert done.returncode == 0, done.stderr
    assert loads(built.wheel) == [(True, None)]
