"""The option `sbom`: each wheel holds an SBOM of what hatch-wazcache has put into it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

import hatch_wazcache
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.wheels.sbom import REQUIREMENT, check_place, sbom_path
from tests.support.audits import findings
from tests.support.commands import run
from tests.support.doctored import Wheel
from tests.support.engines import OLDER, give_engine
from tests.support.environments import environment_of
from tests.support.options import requirements
from tests.support.paths import EXAMPLE, ROOT
from tests.support.projects import (
    Built,
    Project,
    SetuptoolsProject,
    flat_setuptools_project,
)
from tests.support.sboms import FILE, components, has_sbom, properties, sbom_text, sha256
from tests.support.sections import producers
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET, members

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MADE_BY_RUST = ANSWER + producers(language=[("Rust", "")], processed_by=[("rustc", "1.75.0")])
OPTIONS = 'assets = ["demo/*.wasm"]\nsbom = true'
ARTIFACT = f"demo/a.{TARGET}.cwasm"
SOURCES = {"kind": "module", "producers:language": "Rust", "producers:processed-by": "rustc 1.75.0"}


@pytest.fixture(params=[Project, SetuptoolsProject], ids=["hatchling", "setuptools"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project of both front ends, with the option."""
    made = request.param(tmp_path / "project", tmp_path / "cache")
    made.write("pyproject.toml", made.pyproject)
    made.options(OPTIONS)
    made.write("demo/__init__.py")
    made.write("demo/a.wasm", MADE_BY_RUST)
    return made


@pytest.fixture
def project(project: Project) -> Project:
    project.options(OPTIONS)
    project.write("demo/a.wasm", MADE_BY_RUST)
    return project


def wheel_of(built: Built) -> Path:
    members(built)  # compares the wheel with RECORD
    assert built.wheel is not None
    return built.wheel


def digest(wheel: Path, name: str) -> str:
    return hashlib.sha256(zipfile.ZipFile(wheel).read(name)).hexdigest()


def test_the_sbom_lists_wasm_artifacts_and_loader_with_their_digests_and_origins(either: Project):
    wheel = wheel_of(either.build())
    listed = components(wheel)
    assert {*listed} == {"demo/a.wasm", ARTIFACT, "demo/_wazcache.py"}
    for name, component in listed.items():
        assert sha256(component) == digest(wheel, name)
    assert properties(listed["demo/a.wasm"]) == SOURCES
    about = {"target": TARGET, "cpu": "baseline", "profile": "default", "wasmtime": "48.0.0"}
    assert properties(listed[ARTIFACT]) == about
    (source,) = listed[ARTIFACT]["pedigree"]["ancestors"]
    assert (source["name"], sha256(source)) == ("demo/a.wasm", digest(wheel, "demo/a.wasm"))
    assert properties(source) == SOURCES
    (loader,) = listed["demo/_wazcache.py"]["pedigree"]["ancestors"]
    purl = f"pkg:pypi/hatch-wazcache@{hatch_wazcache.__version__}"
    assert (loader["name"], loader["purl"]) == ("hatch-wazcache", purl)
    assert findings(wheel) == []


def test_the_sbom_names_the_project_the_compiler_and_hatch_wazcache(either: Project):
    metadata = json.loads(sbom_text(wheel_of(either.build())))["metadata"]
    about = metadata["component"]
    assert (about["name"], about["version"], about["purl"]) == (
        "demo",
        "1.0",
        "pkg:pypi/demo@1.0",
    )
    tools = {one["name"]: one["version"] for one in metadata["tools"]["components"]}
    assert tools == {"hatch-wazcache": hatch_wazcache.__version__, "wasmtime": "48.0.0"}


def test_without_the_option_there_is_no_sbom_and_the_library_is_not_imported(either: Project):
    either.options('assets = ["demo/*.wasm"]')
    built = either.build(PYTHONPROFILEIMPORTTIME="1")
    assert "hatch_wazcache.packing.wheel" in built.output
    assert "cyclonedx" not in built.output
    (wheel,) = (either.root / "dist").glob("*.whl")
    assert not has_sbom(wheel)


def test_the_sbom_has_the_same_bytes_each_time_cold_and_warm_and_on_another_day(either: Project):
    cold = either.build(WAZCACHE_DIR=str(either.root.parent / "other cache"))
    texts = {sbom_text(wheel_of(cold))}
    for day in ("1580601600", "1780601600"):
        texts.add(sbom_text(wheel_of(either.build(SOURCE_DATE_EPOCH=day))))
        texts.add(sbom_text(wheel_of(either.build(PYTHONHASHSEED=day))))
    assert len(texts) == 1


def test_both_front_ends_and_compile_write_the_same_sbom(tmp_path: Path):
    made = {}
    for kind in (Project, SetuptoolsProject):
        one = kind(tmp_path / kind.__name__, tmp_path / "cache")
        one.write("pyproject.toml", one.pyproject)
        one.options(OPTIONS)
        one.write("demo/__init__.py")
        one.write("demo/a.wasm", MADE_BY_RUST)
        made[kind.__name__] = sbom_text(wheel_of(one.build()))
        any_wheel = wheel_of(one.build(WAZCACHE_TARGET="any"))
        done = run(one, "compile", any_wheel, "--targets", "native")
        assert done.returncode == 0, done.stderr
        (wheel,) = (one.root / "wheelhouse").glob("*.whl")
        assert findings(wheel) == []
        made[f"{kind.__name__}, compile"] = sbom_text(wheel)
    assert len(set(made.values())) == 1, made


OLDEST = "cyclonedx-python-lib==11.0.0"


def test_each_release_of_the_library_writes_the_same_bytes(project: Project):
    project.python = environment_of("hatchling", "wasmtime==48.0.0", OLDEST)
    old = sbom_text(wheel_of(project.build()))
    project.python = Path(sys.executable)
    assert sbom_text(wheel_of(project.build())) == old


def test_the_builder_gives_the_wheel_of_each_target_its_own_sbom(project: Project):
    project.options(f'{OPTIONS}\ntargets = ["{TARGET}", "any"]')
    done = project.run("hatchling", "build", "-t", "wazcache")
    assert done.status == 0, done.output
    listed = {}
    for wheel in (project.root / "dist").glob("*.whl"):
        assert findings(wheel) == []
        listed["any" if wheel.stem.endswith("-any") else TARGET] = {*components(wheel)}
    both = {"demo/a.wasm", "demo/_wazcache.py"}
    assert listed == {"any": both, TARGET: {*both, ARTIFACT}}


def test_a_wheel_for_several_versions_of_wasmtime_names_each_as_a_tool(project: Project):
    project.options(f"{OPTIONS}\nengines = ['48', '{OLDER}']")
    text = (project.root / "pyproject.toml").read_text("utf-8")
    project.write("pyproject.toml", text.replace("wasmtime>=48,<49", "wasmtime>=44"))
    give_engine(project.cache)
    wheel = wheel_of(project.build())
    tools = json.loads(sbom_text(wheel))["metadata"]["tools"]["components"]
    assert [one["version"] for one in tools if one["name"] == "wasmtime"] == ["47.0.0", "48.0.0"]
    compilers = {properties(one).get("wasmtime") for one in components(wheel).values()}
    assert compilers == {None, "47.0.0", "48.0.0"}
    assert findings(wheel) == []


def test_a_runtime_package_lists_its_loader_alone(project: Project):
    project.options('loader = "demo/_wazcache.py"\nsbom = true')
    wheel = wheel_of(project.build())
    assert {*components(wheel)} == {"demo/_wazcache.py"}
    assert findings(wheel) == []


def test_without_the_wasm_the_artifact_still_names_what_it_was_compiled_from(project: Project):
    project.options(f"{OPTIONS}\nkeep-wasm = false")
    wheel = wheel_of(project.build())
    listed = components(wheel)
    assert {*listed} == {ARTIFACT, "demo/_wazcache.py"}
    (source,) = listed[ARTIFACT]["pedigree"]["ancestors"]
    assert sha256(source) == hashlib.sha256(MADE_BY_RUST).hexdigest()
    assert properties(source) == SOURCES
    assert findings(wheel) == []


def test_a_companion_has_an_sbom_if_its_package_has_one_and_the_same_when_made_again(
    project: Project,
):
    project.options(f'{OPTIONS}\nengines = ["48"]\ncompanion = "demo-wasmtime"')
    text = (project.root / "pyproject.toml").read_text("utf-8")
    text = text.replace('"wasmtime>=48,<49"', '"demo-wasmtime", "wasmtime>=48"')
    project.write("pyproject.toml", text)
    done = project.run("hatchling", "build", "-t", "wazcache")
    assert done.status == 0, done.output
    dist = project.root / "dist"
    package = dist / "demo-1.0-py3-none-any.whl"
    (companion,) = dist.glob("demo_wasmtime-48.1.0-*.whl")
    (version_0,) = dist.glob("demo_wasmtime-0-*.whl")
    assert not has_sbom(version_0)
    listed = components(companion)
    assert {*listed} == {f"demo_wasmtime/demo/a.{TARGET}.wasmtime48.cwasm"}
    (component,) = listed.values()
    (source,) = component["pedigree"]["ancestors"]
    assert (source["name"], properties(source)) == ("demo/a.wasm", SOURCES)
    about = json.loads(sbom_text(companion))["metadata"]["component"]
    assert about["purl"] == "pkg:pypi/demo-wasmtime@48.1.0"
    audited = run(project, "audit", package, companion, version_0)
    assert audited.returncode == 0, audited.stdout
    again = project.root / "again"
    words = ["--engine", "48", "--targets", TARGET, "-w", str(again)]
    done = run(project, "companion", package, *words)
    assert done.returncode == 0, done.stderr
    assert (again / companion.name).read_bytes() == companion.read_bytes()


def test_a_compiled_wheel_keeps_its_option_and_flags_change_it(project: Project):
    first = wheel_of(project.build())
    project.write("pyproject.toml", "")

    def compiled(*flags: str) -> Path:
        shutil.rmtree(project.root / "wheelhouse", ignore_errors=True)
        done = run(project, "compile", first, *flags)
        assert done.returncode == 0, done.stderr
        (wheel,) = (project.root / "wheelhouse").glob("*.whl")
        return wheel

    assert sbom_text(compiled()) == sbom_text(first)
    without = compiled("--no-sbom")
    assert not has_sbom(without)
    shutil.copy(without, first)
    assert sbom_text(compiled("--sbom"))


def test_the_sbom_of_a_strangers_wheel_is_about_it_whatever_lines_its_metadata_has(
    project: Project,
):
    wheel = Wheel(wheel_of(project.build()))
    metadata = f"{wheel.info}/METADATA"
    wheel.members[metadata] = b"Metadata-Version: 2.4\nno field\n" + wheel.members[metadata]
    done = run(project, "compile", wheel.write(project.root / "odd"), "--targets", "native")
    assert done.returncode == 0, done.stderr
    (compiled,) = (project.root / "wheelhouse").glob("*.whl")
    about = json.loads(sbom_text(compiled))["metadata"]["component"]
    assert (about["name"], about["version"]) == ("demo", "1.0")


def test_the_sboms_of_others_stay_in_the_wheel(project: Project):
    project.write("others.cdx.json", '{"of": "others"}')
    project.append('[tool.hatch.build.targets.wheel]\nsbom-files = ["others.cdx.json"]\n')
    wheel = wheel_of(project.build())
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("demo-1.0.dist-info/sboms/others.cdx.json") == b'{"of": "others"}'
    assert components(wheel)
    done = run(project, "compile", wheel, "--targets", "native")
    assert done.returncode == 0, done.stderr
    (compiled,) = (project.root / "wheelhouse").glob("*.whl")
    with zipfile.ZipFile(compiled) as archive:
        assert "demo-1.0.dist-info/sboms/others.cdx.json" in archive.namelist()
    assert findings(compiled) == []


@pytest.mark.parametrize("kind", ["standard", "editable"])
def test_a_front_end_installs_the_library_only_if_the_option_is_set(project: Project, kind: str):
    target = "wheel" if kind == "standard" else "editable"
    assert REQUIREMENT in requirements(project, target).output
    project.options('assets = ["demo/*.wasm"]')
    assert "cyclonedx" not in requirements(project, target).output


def test_setuptools_asks_for_the_library_too(tmp_path: Path):
    project = flat_setuptools_project(tmp_path)
    project.options(OPTIONS)
    code = "from setuptools import build_meta; print(build_meta.get_requires_for_build_wheel())"
    assert REQUIREMENT in project.run_python("-c", code).output
    project.options('assets = ["demo/*.wasm"]')
    assert "cyclonedx" not in project.run_python("-c", code).output


def test_the_extra_is_the_requirement_of_a_build():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras["optional-dependencies"]["sbom"] == [REQUIREMENT]


def test_a_missing_library_is_one_message_before_anything_is_compiled(project: Project):
    project.python = environment_of("hatchling", "wasmtime==48.0.0")
    done = project.build()
    assert done.status != 0
    (line,) = (line for line in done.output.splitlines() if "cyclonedx" in line)
    assert "hatch-wazcache[sbom]" in line
    assert f'add "{REQUIREMENT}" to build-system.requires' in line
    assert "Traceback" not in done.output
    assert "compiling" not in done.output
    assert not list((project.root / "dist").glob("*"))


def test_an_old_library_is_one_message_before_anything_is_compiled(project: Project):
    old = "cyclonedx-python-lib==10.0.0"
    project.python = environment_of("hatchling", "wasmtime==48.0.0", old)
    done = project.build()
    assert done.status != 0
    (line,) = (line for line in done.output.splitlines() if "cyclonedx" in line)
    assert f"the option sbom needs {REQUIREMENT}, not 10.0.0: install hatch-wazcache[sbom]" in line
    assert "Traceback" not in done.output
    assert "compiling" not in done.output


def test_a_file_that_some_systems_would_unpack_over_the_sbom_is_one_message(project: Project):
    name = "HATCH-WAZCACHE.cdx.json"
    project.write(name, "{}")
    project.append(f'[tool.hatch.build.targets.wheel]\nsbom-files = ["{name}"]\n')
    done = project.build()
    assert done.status != 0
    (line,) = (line for line in done.output.splitlines() if name in line)
    assert f"sbom: the wheel has the file demo-1.0.dist-info/sboms/{name}, so it has no" in line
    assert "Traceback" not in done.output
    assert not list((project.root / "dist").glob("*"))


@pytest.mark.parametrize("name", ["sboms/", "sboms/other.json", "sboms/hatch-wazcache.cdx.json"])
def test_an_sbom_has_a_place_beside_other_files_and_instead_of_an_older_one(name: str):
    check_place(sbom_path("a.dist-info"), ["a/a.wasm", f"a.dist-info/{name}"])


@pytest.mark.parametrize(
    "name",
    [
        "a.dist-info/sboms",
        "a.dist-info/SBOMS",
        "a.dist-info/sboms/hatch-wazcache.cdx.json/",
        "a.dist-info/sboms/hatch-wazcache.cdx.json/more",
        "A.dist-info/sboms/Hatch-wazcache.cdx.json",
    ],
)
def test_an_sbom_is_not_written_where_another_file_is(name: str):
    with pytest.raises(WazcacheError, match=f"^sbom: the wheel has the file {name}, "):
        check_place(sbom_path("a.dist-info"), ["a/a.wasm", name])


@pytest.mark.parametrize(("option", "variable"), [(True, "0"), (False, "1")])
def test_the_variable_is_stronger_than_the_option(project: Project, option: bool, variable: str):
    if not option:
        project.options('assets = ["demo/*.wasm"]')
    wheel = wheel_of(project.build(WAZCACHE_SBOM=variable))
    assert has_sbom(wheel) != option


def test_an_editable_install_has_no_sbom_and_needs_no_library(project: Project):
    project.python = environment_of("hatchling", "editables", "wasmtime==48.0.0")
    built = project.editable()
    assert built.wheel is not None, built.output
    assert not has_sbom(built.wheel)


HOSTILE = "\x1b]0;title\x07\u202e\u2028</script>\n"


def test_text_of_a_stranger_is_escaped_in_the_file_and_in_findings(project: Project):
    project.write("demo/a.wasm", ANSWER + producers(language=[(HOSTILE, "")]))
    wheel = wheel_of(project.build())
    text = sbom_text(wheel)
    assert text.isascii()
    assert not any(byte < 32 and byte != 10 for byte in text)
    assert properties(components(wheel)["demo/a.wasm"])["producers:language"] == HOSTILE.strip()
    assert findings(wheel) == []


def test_the_page_shows_the_entry_of_the_example(tmp_path: Path):
    page = (ROOT / "docs" / "sbom.md").read_text("utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    shutil.copytree(EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns("dist"))
    example = Project(tmp_path / "project", tmp_path / "cache")
    text = (example.root / "pyproject.toml").read_text("utf-8")
    example.write("pyproject.toml", text.replace("\nassets", "\nsbom = true\nassets"))
    wheel = wheel_of(example.build(WAZCACHE_TARGET="any"))
    assert components(wheel)["gofmt/gofmt.wasm"] == json.loads(block)


def test_the_sbom_is_where_pep_770_says(project: Project):
    built = project.build()
    assert f"demo-1.0.dist-info/{FILE}" in built.names
