"""`hatch-wazcache audit` and `inspect`: good wheels pass, and whatever was done to one is named."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from conftest import ANSWER, PYPROJECT, TARGET, WORK, Project, environment_with, tiny
from doctored import SECTION, Wheel, engine_of, of_aarch64, said, sections, with_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import LAYOUTS, built_layout

from hatch_wazcache.audit import Audit
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.targets import TARGETS, native_target
from hatch_wazcache.wheelfile import BrokenWheelError, WheelFile

TAGS = ".".join(native_target().platform_tags)
WHEEL = f"demo-1.0-py3-none-{TAGS}.whl"
ARTIFACT = f"demo/a.{TARGET}.cwasm"
MANIFEST = "demo/_wazcache.json"
QUICK = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(WORK / "pycache")}

PROFILES = """
[tool.hatch.build.hooks.wazcache.profiles.default]
[tool.hatch.build.hooks.wazcache.profiles.metered]
consume-fuel = true
cranelift-opt-level = "none"
cranelift-nan-canonicalization = true
cranelift-debug-verifier = true
native-unwind-info = false
"""

on_x86_64_linux = pytest.mark.skipif(TARGET != "x86_64-linux", reason="names its tags")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with one asset and one artifact."""
    folder = tmp_path_factory.mktemp("good")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", PYPROJECT)
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    built = project.build()
    assert built.status == 0, built.output
    return built.wheel


@pytest.fixture
def wheel(good: Path) -> Wheel:
    """Its members, to be doctored."""
    return Wheel(good)


def run(*words: str | Path, python: Path = Path(sys.executable), **env: str):
    done = subprocess.run(
        [python, "-m", "hatch_wazcache", *words],
        env={**os.environ, **QUICK, **env}, text=True, encoding="utf-8", capture_output=True,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def answer(*words: str | Path, status: int = 0, **env: str) -> dict:
    done = run(*words, "--json", **env)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def findings(path: Path) -> list[tuple[str | None, str]]:
    """Audit one wheel in this process."""
    try:
        with WheelFile(path) as opened:
            return [(finding.member, finding.text) for finding in Audit(opened).findings]
    except BrokenWheelError as error:
        return [(None, str(error))]


def only_finding(path: Path) -> tuple[str | None, str]:
    (found,) = findings(path)
    return found


# Good wheels.


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
        assert f"{ARTIFACT}: its .wasm is not in the wheel" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("compiled again: 0 findings\n")


def test_a_link_to_a_wheel_is_that_wheel(good: Path, tmp_path: Path):
    (tmp_path / good.name).symlink_to(good)
    assert findings(tmp_path / good.name) == []


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory, program: Path) -> dict[str, Path]:
    """A wheel of every target, by the target's name."""
    folder = tmp_path_factory.mktemp("every")
    project = Project(folder / "project", folder / "cache")
    project.environment = {"WAZCACHE_WASMTIME": str(program)}
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
    every: dict[str, Path], program: Path
):
    assert every.keys() == TARGETS.keys()
    for path in every.values():
        assert findings(path) == []
    done = run("audit", "--recompile", "--compiler", program, *every.values())
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
    assert f"{every[other]}: demo/a.{other}.cwasm: the wasmtime program is needed for " in line
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
    project: Project, program: Path
):
    project.environment = {"WAZCACHE_WASMTIME": str(program)}
    project.append("[tool.hatch.build.hooks.wazcache.profiles.default]\naddress-map = false\n")
    built = project.build()
    assert built.status == 0, built.output
    assert findings(built.wheel) == []
    done = run("audit", "--recompile", built.wheel, WAZCACHE_WASMTIME=str(program))
    assert done.returncode == 0, done.stderr
    assert loads(built.wheel) == [(True, None)]


# What the wheel says of itself.


def test_an_unchanged_copy_by_our_own_hand_has_no_finding(wheel: Wheel, tmp_path: Path):
    assert findings(wheel.write(tmp_path)) == []


@on_x86_64_linux
def test_a_retagged_name_is_found(good: Path, tmp_path: Path):
    name = good.name.replace(TAGS, "win_amd64")
    ours = ", ".join(f"py3-none-{tag}" for tag in sorted(TAGS.split(".")))
    said = f"says {ours}; the wheel's name says py3-none-win_amd64"
    assert findings(Path(shutil.copy(good, tmp_path / name))) == [
        ("demo-1.0.dist-info/WHEEL", said),
        (ARTIFACT, "is for x86_64-linux; the wheel's tags (win_amd64) are not"),
        (
            MANIFEST,
            "a.wasm has no artifact for x86_64-windows; the wheel's tag win_amd64 is for that",
        ),
    ]


def retag(wheel: Wheel, tags: str) -> None:
    """Change the platform in name and WHEEL."""
    wheel.name = f"{wheel.name.rpartition('-')[0]}-{tags}.whl"
    name = f"{wheel.info}/WHEEL"
    lines = [line for line in wheel.members[name].decode().splitlines() if "Tag:" not in line]
    lines += [f"Tag: py3-none-{tag}" for tag in tags.split(".")]
    wheel.members[name] = "\n".join(lines).encode()


def test_a_retagged_wheel_file_is_found(wheel: Wheel, tmp_path: Path):
    retag(wheel, "win32")
    wheel.name = WHEEL
    member, text = only_finding(wheel.write(tmp_path))
    assert member == "demo-1.0.dist-info/WHEEL"
    assert text.startswith("says py3-none-win32; the wheel's name says py3-none-")


@on_x86_64_linux
@pytest.mark.parametrize("tag", ["manylinux2014_aarch64", "macosx_10_13_x86_64", "win_arm64"])
def test_a_wheel_retagged_throughout_is_found_by_its_artifact(
    wheel: Wheel, tmp_path: Path, tag: str
):
    retag(wheel, tag)
    (by_artifact, first), (by_manifest, second) = findings(wheel.write(tmp_path))
    assert (by_artifact, by_manifest) == (ARTIFACT, MANIFEST)
    assert first == f"is for x86_64-linux; the wheel's tags ({tag}) are not"
    assert second.startswith("a.wasm has no artifact for ")


def test_a_wheel_for_all_must_not_have_artifacts(wheel: Wheel, tmp_path: Path):
    retag(wheel, "any")
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        f"is for {TARGET}; the wheel's tags (any) are not",
    )


@on_x86_64_linux
def test_each_tag_needs_its_artifact(wheel: Wheel, tmp_path: Path):
    retag(wheel, f"{TAGS}.macosx_11_0_arm64")
    assert only_finding(wheel.write(tmp_path)) == (
        MANIFEST,
        "a.wasm has no artifact for aarch64-macos; the wheel's tag macosx_11_0_arm64 is for that",
    )


@on_x86_64_linux
def test_universal2_needs_both_artifacts(wheel: Wheel, tmp_path: Path):
    retag(wheel, "macosx_10_13_universal2")
    missing = [text for member, text in findings(wheel.write(tmp_path)) if member == MANIFEST]
    assert missing == [
        f"a.wasm has no artifact for {system}; the wheel's tag macosx_10_13_universal2 is for that"
        for system in ("aarch64-macos", "x86_64-macos")
    ]


@pytest.mark.parametrize(
    "name", ["demo.whl", "demo-1.0.whl", "demo-1.0-py3-none-any.zip", "demo-x-py3-none-any.whl"]
)
def test_a_name_that_is_no_wheels_is_found(good: Path, tmp_path: Path, name: str):
    member, text = only_finding(Path(shutil.copy(good, tmp_path / name)))
    assert member is None
    assert text.startswith("its name is no wheel's")


@pytest.mark.parametrize("name", ["other-1.0", "demo-1.1"])
def test_the_name_of_another_project_or_version_is_found(good: Path, tmp_path: Path, name: str):
    path = Path(shutil.copy(good, tmp_path / good.name.replace("demo-1.0", name)))
    project, _, version = name.partition("-")
    assert only_finding(path) == (
        None,
        f"its name says {project} {version}, its files are demo-1.0.dist-info",
    )


def test_a_wheel_without_its_tags_is_found(wheel: Wheel, tmp_path: Path):
    del wheel.members["demo-1.0.dist-info/WHEEL"]
    assert only_finding(wheel.write(tmp_path)) == ("demo-1.0.dist-info/WHEEL", "it is missing")


def test_tags_that_are_none_are_found(wheel: Wheel, tmp_path: Path):
    wheel.members["demo-1.0.dist-info/WHEEL"] = b"Wheel-Version: 1.0\nTag: nonsense\n"
    assert only_finding(wheel.write(tmp_path)) == (
        "demo-1.0.dist-info/WHEEL",
        "its tags are none: nonsense",
    )


# RECORD.


def test_a_changed_byte_is_found(wheel: Wheel, tmp_path: Path):
    """RECORD is as it was; the manifest tells it too."""
    before = wheel.members[ARTIFACT]
    path = wheel.write(tmp_path / "before")
    wheel.members[ARTIFACT] = before[:5000] + bytes([before[5000] ^ 1]) + before[5001:]
    with zipfile.ZipFile(path) as archive:
        record = archive.read("demo-1.0.dist-info/RECORD").decode()
    wheel.record = lambda rows: rows.__setitem__(
        slice(None), [line.split(",") for line in record.splitlines()]
    )
    (first, one), (second, two) = findings(wheel.write(tmp_path / "after"))
    assert first == second == ARTIFACT
    assert "RECORD says sha256=" in one
    assert "the manifest says" in two


def test_a_changed_byte_is_found_with_the_record_fixed(wheel: Wheel, tmp_path: Path):
    data = wheel.members[ARTIFACT]
    wheel.members[ARTIFACT] = data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]
    member, text = only_finding(wheel.write(tmp_path))
    assert member == ARTIFACT
    assert text.startswith("has the SHA-256 ")
    assert "; the manifest says " in text


@pytest.mark.parametrize("name", [ARTIFACT, "demo/a.wasm", "demo/__init__.py", MANIFEST])
def test_a_row_that_is_missing_is_found(wheel: Wheel, tmp_path: Path, name: str):
    wheel.record = lambda rows: rows.remove(next(row for row in rows if row[0] == name))
    assert only_finding(wheel.write(tmp_path)) == (name, "is in the wheel, but not in RECORD")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda row: row.__setitem__(1, ""), "has no digest in RECORD, not sha256=…"),
        (lambda row: row.__setitem__(1, "md5=x"), "has the digest 'md5=x' in RECORD, not sha256=…"),
        (lambda row: row.__setitem__(2, "7"), "has 0 bytes; RECORD says 7"),
        (lambda row: row.__setitem__(slice(1, None), []), "has no digest in RECORD, not sha256=…"),
    ],
)
def test_a_row_that_is_wrong_is_found(wheel: Wheel, tmp_path: Path, change, text: str):
    wheel.record = lambda rows: change(next(row for row in rows if row[0] == "demo/__init__.py"))
    assert only_finding(wheel.write(tmp_path)) == ("demo/__init__.py", text)


def test_a_row_of_nothing_and_a_row_twice_are_found(wheel: Wheel, tmp_path: Path):
    wheel.record = lambda rows: rows.extend([["demo/gone.py", "sha256=x", "1"], rows[0]])
    found = findings(wheel.write(tmp_path))
    assert ("demo/gone.py", "is in RECORD, but not in the wheel") in found
    assert [text for _, text in found].count("has two rows in RECORD") == 1


def test_a_wheel_without_a_record_is_found(wheel: Wheel, tmp_path: Path):
    record = "demo-1.0.dist-info/RECORD"
    del wheel.members[record]
    assert only_finding(wheel.write(tmp_path / "without")) == (record, "it is missing")


# Manifests.


def test_a_wheel_without_a_manifest_is_found(wheel: Wheel, tmp_path: Path):
    """As a build that was killed leaves it: tagged, with a `.wasm` perhaps, and without ours."""
    for name in (ARTIFACT, MANIFEST, "demo/_wazcache.py"):
        del wheel.members[name]
    member, text = only_finding(wheel.write(tmp_path))
    assert member is None
    assert text.startswith("has no manifest of hatch-wazcache: it was built without it, or ")


def test_a_loader_without_its_manifest_is_found(wheel: Wheel, tmp_path: Path):
    del wheel.members[MANIFEST]
    assert findings(wheel.write(tmp_path)) == [
        (MANIFEST, "is missing: the loader beside it reads it"),
        (ARTIFACT, "is an artifact that no manifest lists: nothing loads it"),
    ]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (b"", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"[]", "its schema is null; this hatch-wazcache knows 1"),
        (b'{"schema": 2}', "its schema is 2; this hatch-wazcache knows 1"),
    ],
)
def test_a_manifest_that_is_none_is_found(wheel: Wheel, tmp_path: Path, text: bytes, finding: str):
    wheel.members[MANIFEST] = text
    found = dict(findings(wheel.write(tmp_path)))
    assert found[MANIFEST].startswith(finding)
    assert found[ARTIFACT] == "is an artifact that no manifest lists: nothing loads it"


def asset(manifest: dict) -> dict:
    return manifest["assets"]["a.wasm"]


def artifact(manifest: dict) -> dict:
    return asset(manifest)["artifacts"][0]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda m: m.update(wasmtime="new"), 'wasmtime = "new": must be a version as 48.0.0'),
        (lambda m: m.update(wasmtime=""), 'wasmtime = "": must be a version as 48.0.0'),
        (lambda m: m.pop("profiles"), "profiles is missing: must be a table"),
        (lambda m: m.update(assets=[]), "assets = []: must be a table"),
        (lambda m: m.update(editable={}), "it was written for an editable install, not for a"),
        (lambda m: asset(m).pop("sha256"), 'assets["a.wasm"].sha256 is missing: must be 64 hex'),
        (lambda m: asset(m).update(size=-1), 'assets["a.wasm"].size = -1: must be a number of'),
        (lambda m: asset(m).update(size=True), 'assets["a.wasm"].size = true: must be a number'),
        (lambda m: asset(m).update(kind="text"), 'assets["a.wasm"].kind = "text": must be "mod'),
        (lambda m: asset(m).update(wasm="/etc/passwd"), 'assets["a.wasm"].wasm = "/etc/passwd"'),
        (lambda m: asset(m).update(mtime_ns=1), 'assets["a.wasm"].mtime_ns: is for an editable'),
        (lambda m: asset(m).update(artifacts={}), 'assets["a.wasm"].artifacts = {}: must be a l'),
        (lambda m: asset(m).update(wasm=None, artifacts=[]), 'assets["a.wasm"].artifacts = []: t'),
        (lambda m: artifact(m).update(file="../x"), 'assets["a.wasm"].artifacts[0].file = "../x"'),
        (lambda m: artifact(m).update(file=7), 'assets["a.wasm"].artifacts[0].file = 7: must be'),
        (lambda m: artifact(m).update(target="vax"), 'assets["a.wasm"].artifacts[0].target = "vax'),
        (lambda m: artifact(m).update(cpu="z80"), 'assets["a.wasm"].artifacts[0].cpu = "z80": mu'),
        (lambda m: artifact(m).update(profile="x"), 'assets["a.wasm"].artifacts[0].profile = "x"'),
        (lambda m: artifact(m).update(sha256="é"), r'assets["a.wasm"].artifacts[0].sha256 = "\u00'),
        (lambda m: asset(m).update(artifacts=[1]), 'assets["a.wasm"].artifacts[0] = 1: must be a'),
        (lambda m: m["assets"].update({"a.wasm": 1}), 'assets["a.wasm"] = 1: must be a table'),
        (lambda m: m.update(profiles={"default": {"no": 1}}), 'profiles["default"].no: there is'),
        (
            lambda m: m.update(profiles={"default": {"address-map": False}}),
            'profiles["default"].address-map: there is no such setting',
        ),
        (
            lambda m: m.update(compiler={"default": {"consume-fuel": True}}),
            'compiler["default"].consume-fuel: there is no such setting',
        ),
        (lambda m: m.update(strip="name"), 'strip = "name": must be a list out of "name", "debug"'),
        (lambda m: m.update(strip=["name", 1]), 'strip = ["name", 1]: must be a list out of "name'),
        (lambda m: m.update(strip=["debug"] * 2), 'strip = ["debug", "debug"]: must be a list out'),
        (lambda m: m.update(strip=None), "strip = null: must be a list out of"),
        (
            lambda m: m.update(profiles={"default": {"consume-fuel": 1}}),
            'profiles["default"].consume-fuel = 1: must be true or false',
        ),
    ],
)
def test_a_field_that_is_not_sane_is_named(wheel: Wheel, tmp_path: Path, change, finding: str):
    wheel.manifest(change)
    named = [text for member, text in findings(wheel.write(tmp_path)) if member == MANIFEST]
    assert any(text.startswith(finding) for text in named), named


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_manifest_makes_the_audit_fail(
    good: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    """Any JSON value in the place of any other."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
    wheel = Wheel(good)

    def change(manifest: dict) -> None:
        inside = manifest
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            key = data.draw(st.sampled_from(keys))
            deeper = inside[key]
            if not (isinstance(deeper, dict | list) and deeper) or data.draw(st.booleans()):
                inside[key] = data.draw(values)
                return
            inside = deeper

    wheel.manifest(change)
    for _member, text in findings(wheel.write(tmp_path_factory.mktemp("any"))):
        assert text


def test_a_changed_digest_in_the_manifest_is_found(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: artifact(m).update(sha256="0" * 64))
    member, text = only_finding(wheel.write(tmp_path))
    assert member == ARTIFACT
    assert text.endswith(f"; the manifest says {'0' * 64}")


def test_a_replaced_wasm_is_found(wheel: Wheel, tmp_path: Path):
    size = len(wheel.members["demo/a.wasm"])
    wheel.members["demo/a.wasm"] = ANSWER
    (first, one), (second, two) = findings(wheel.write(tmp_path))
    assert first == second == "demo/a.wasm"
    assert one.startswith("has the SHA-256 ")
    assert two == f"has {len(ANSWER)} bytes; the manifest says {size}"


def test_a_wasm_of_another_kind_or_none_is_found(wheel: Wheel, tmp_path: Path):
    wheel.members["demo/a.wasm"] = bytes.fromhex("0061736d0d000100")
    wheel.claim("demo/a.wasm")
    assert only_finding(wheel.write(tmp_path / "component")) == (
        "demo/a.wasm",
        "is a WebAssembly component; the manifest says module",
    )
    wheel.members["demo/a.wasm"] = b"text"
    wheel.claim("demo/a.wasm")
    assert only_finding(wheel.write(tmp_path / "text")) == (
        "demo/a.wasm",
        "is no WebAssembly; the manifest says module",
    )


@pytest.mark.parametrize("name", ["demo/a.wasm", ARTIFACT])
def test_what_was_removed_is_found(wheel: Wheel, tmp_path: Path, name: str):
    del wheel.members[name]
    assert only_finding(wheel.write(tmp_path)) == (name, "is missing: the manifest lists it")


def test_an_artifact_removed_from_the_manifest_too_is_found(wheel: Wheel, tmp_path: Path):
    del wheel.members[ARTIFACT]
    wheel.manifest(lambda m: asset(m).update(artifacts=[]))
    (first, *_more) = findings(wheel.write(tmp_path))
    assert first[0] == MANIFEST
    assert first[1].startswith(f"a.wasm has no artifact for {TARGET}; the wheel's tag ")


def test_an_artifact_that_no_manifest_lists_is_found(wheel: Wheel, tmp_path: Path):
    wheel.members["demo/b.cwasm"] = wheel.members[ARTIFACT]
    assert only_finding(wheel.write(tmp_path)) == (
        "demo/b.cwasm",
        "is an artifact that no manifest lists: nothing loads it",
    )


# What an artifact says of itself.


def with_artifact(wheel: Wheel, data: bytes, folder: Path) -> Path:
    """Have another artifact in its place, with every digest as it should be."""
    wheel.members[ARTIFACT] = data
    wheel.claim(ARTIFACT)
    return wheel.write(folder)


@on_x86_64_linux
def test_an_artifact_of_another_architecture_is_found(wheel: Wheel, tmp_path: Path):
    path = with_artifact(wheel, of_aarch64(wheel.members[ARTIFACT]), tmp_path)
    assert findings(path)[0] == (
        ARTIFACT,
        "holds code for aarch64-linux (aarch64-unknown-linux-gnu); the manifest says x86_64-linux",
    )


@on_x86_64_linux
def test_an_artifact_of_another_system_is_found(wheel: Wheel, tmp_path: Path):
    engine = engine_of(wheel.members[ARTIFACT])
    engine = engine.replace(said("x86_64-unknown-linux-gnu"), said("x86_64-apple-darwin"))
    path = with_artifact(wheel, with_engine(wheel.members[ARTIFACT], engine), tmp_path)
    tags = ", ".join(sorted(TAGS.split(".")))
    tag = min(TAGS.split("."))
    says = "holds code for x86_64-macos (x86_64-apple-darwin); the manifest says x86_64-linux"
    assert findings(path) == [
        (ARTIFACT, says),
        (ARTIFACT, f"is for x86_64-macos; the wheel's tags ({tags}) are not"),
        (MANIFEST, f"a.wasm has no artifact for x86_64-linux; the wheel's tag {tag} is for that"),
    ]


def test_the_artifact_of_another_engine_is_found(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: m.update(wasmtime="47.0.1"))
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        "is compiled by wasmtime 48; the manifest says 47.0.1",
    )


def test_what_is_no_artifact_is_found(wheel: Wheel, tmp_path: Path):
    member, text = only_finding(with_artifact(wheel, ANSWER, tmp_path))
    assert member == ARTIFACT
    assert text.startswith("is no artifact: it is ")


def test_a_cut_artifact_is_found(wheel: Wheel, tmp_path: Path):
    path = with_artifact(wheel, wheel.members[ARTIFACT][:-100], tmp_path)
    member, text = only_finding(path)
    assert member == ARTIFACT
    assert text.startswith("is no artifact: it is cut short")


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("cranelift-opt-level", "none", '"speed"'),
        ("cranelift-nan-canonicalization", True, "false"),
        ("native-unwind-info", False, "true"),
        ("cranelift-debug-verifier", True, "false"),
    ],
)
def test_a_setting_that_the_artifact_was_not_compiled_with_is_found(
    wheel: Wheel, tmp_path: Path, setting: str, value: object, found: str
):
    wheel.manifest(lambda m: m["profiles"]["default"].update({setting: value}))
    claimed = f"the manifest says {json.dumps(value)} (profile default)"
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        f"is compiled with {setting} = {found}; {claimed}",
    )


def test_a_setting_that_only_a_compiler_knows_is_told_by_the_artifact_too(
    wheel: Wheel, tmp_path: Path
):
    wheel.manifest(lambda m: m.update(compiler={"default": {"address-map": False}}))
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        "is compiled with address-map = true; the manifest says false (profile default)",
    )


@pytest.mark.skipif("x86_64" not in TARGET, reason="a level of x86_64")
def test_cpu_features_that_are_not_claimed_are_found(project: Project, tmp_path: Path):
    project.options('assets = ["demo/*.wasm"]\ncpu = "x86-64-v2"')
    wheel = Wheel(project.build().wheel)
    wheel.manifest(lambda m: artifact(m).update(cpu="baseline"))
    member, text = only_finding(wheel.write(tmp_path))
    assert member == f"demo/a.{TARGET}.x86-64-v2.cwasm"
    assert text == (
        "uses cmpxchg16b, popcnt, sse3, sse41, sse42, ssse3; the manifest says cpu baseline, which "
        "uses no CPU features beyond the baseline"
    )


# What zip files can do to a reader.


def test_a_wheel_cut_short_is_found_wherever_it_is_cut(good: Path, tmp_path: Path):
    data = good.read_bytes()
    path = tmp_path / good.name
    for end in (0, 1, 30, 1000, len(data) // 2, len(data) - 22, len(data) - 1):
        path.write_bytes(data[:end])
        member, text = only_finding(path)
        assert member is None
        assert text.startswith("it is no zip file, or cut short or damaged")


@pytest.mark.parametrize("data", [b"", b"text", b"\x7fELF" + b"\0" * 100, ANSWER])
def test_what_is_no_zip_file_is_found(tmp_path: Path, data: bytes):
    (tmp_path / WHEEL).write_bytes(data)
    assert only_finding(tmp_path / WHEEL)[1].startswith("it is no zip file, or cut short")


def test_a_member_before_the_beginning_of_the_file_is_a_finding(good: Path, tmp_path: Path):
    data = bytearray(good.read_bytes())
    place = data.rindex(b"PK\5\6") + 16  # where the directory is said to begin
    (begin,) = struct.unpack_from("<L", data, place)
    struct.pack_into("<L", data, place, begin + 1)
    path = tmp_path / good.name
    path.write_bytes(data)
    assert findings(path)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_changed_byte_makes_the_audit_fail(
    good: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    """Changes where the structure is: local headers and the central directory."""
    doctored = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        starts = [info.header_offset for info in archive.infolist()]
        directory = archive.start_dir
    places = st.integers(directory, len(doctored) - 1) | st.sampled_from(starts).flatmap(
        lambda start: st.integers(start, start + 60)
    )
    for at in data.draw(st.lists(places, min_size=1, max_size=4)):
        doctored[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / good.name
    path.write_bytes(doctored)
    for _member, text in findings(path):
        assert text


def test_a_member_that_is_there_twice_is_found(good: Path, tmp_path: Path):
    path = Path(shutil.copy(good, tmp_path))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("demo/__init__.py", "")
    assert only_finding(path) == (
        "demo/__init__.py",
        "it is there twice; installers differ in which one they take",
    )


@pytest.mark.parametrize(
    "name",
    ["/etc/x.py", "../x.py", "demo/../../x.py", "C:/x.py", "demo\\x.py", "demo/x\n.py", "a\0b.py"],
)
def test_a_hostile_name_is_found(good: Path, tmp_path: Path, name: str):
    path = Path(shutil.copy(good, tmp_path))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("x" * len(name))
        archive.writestr(info, "")
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name.encode()))
    found = [text for _member, text in findings(path)]
    assert any("leads out of the folder" in text or "not read alike" in text for text in found)
    done = run("audit", path)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == len(found) + 1


def test_an_encrypted_member_is_found(good: Path, tmp_path: Path):
    doctored = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        at = doctored.index(b"PK\1\2", archive.start_dir)
        name = archive.infolist()[0].filename
    doctored[at + 8] |= 1
    (tmp_path / good.name).write_bytes(doctored)
    assert (name, "it is encrypted") in findings(tmp_path / good.name)


@pytest.mark.parametrize(
    ("at", "value"),
    [(6, b"\1"), (8, b"\0"), (14, b"\0\0\0\0"), (18, b"\1"), (22, b"\1")],
    ids=["encrypted", "stored", "crc", "compressed size", "size"],
)
def test_a_member_that_is_described_twice_otherwise_is_found(
    good: Path, tmp_path: Path, at: int, value: bytes
):
    """pip goes by the one, and an installer that unpacks while it downloads by the other."""
    data = bytearray(good.read_bytes())
    start = zipfile.ZipFile(good).getinfo(ARTIFACT).header_offset
    data[start + at : start + at + len(value)] = value
    path = tmp_path / good.name
    path.write_bytes(data)
    assert only_finding(path) == (ARTIFACT, "its own header is unlike the archive's directory")


def test_a_header_that_leads_astray_is_one_short_finding(good: Path, tmp_path: Path):
    data = bytearray(good.read_bytes())
    start = zipfile.ZipFile(good).getinfo(ARTIFACT).header_offset
    for at in (26, 28):  # the lengths of the name, and of what follows it
        data[start + at : start + at + 2] = b"\xff\xff"
        path = tmp_path / good.name
        path.write_bytes(data)
        for member, text in findings(path):
            assert member == ARTIFACT
            assert len(text) < 300
            assert "()" not in text


def test_a_zip_bomb_is_refused_before_it_is_inflated(good: Path, tmp_path: Path):
    doctored = bytearray(good.read_bytes())
    at = doctored.rindex(b"demo/__init__.py") - 46
    struct.pack_into("<I", doctored, at + 24, 0xFFFFFFF0)
    (tmp_path / good.name).write_bytes(doctored)
    member, text = only_finding(tmp_path / good.name)
    assert member is None
    assert text.startswith("it is a zip bomb: ")
    assert text.endswith(" and 4.3 GB unpacked")


def test_members_that_share_their_bytes_are_refused(good: Path, tmp_path: Path):
    """David Fifield's bomb: every member of the directory leads to the same bytes."""
    doctored = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        first = doctored.index(b"PK\1\2", archive.start_dir)
        second = doctored.index(b"PK\1\2", first + 4)
    doctored[second + 42 : second + 46] = doctored[first + 42 : first + 46]
    (tmp_path / good.name).write_bytes(doctored)
    assert "share their bytes" in only_finding(tmp_path / good.name)[1]


def test_a_size_that_is_not_the_members_is_found(wheel: Wheel, tmp_path: Path):
    """The directory claims less than there is."""
    path = wheel.write(tmp_path)
    doctored = bytearray(path.read_bytes())
    at = doctored.rindex(ARTIFACT.encode()) - 46
    (size,) = struct.unpack_from("<I", doctored, at + 24)
    struct.pack_into("<I", doctored, at + 24, size - 10)
    path.write_bytes(doctored)
    assert ARTIFACT in [member for member, _text in findings(path)]


def test_memory_does_not_grow_with_the_artifact(wheel: Wheel, tmp_path: Path):
    wheel.members[ARTIFACT] += os.urandom(32 << 20)
    wheel.claim(ARTIFACT)
    path = wheel.write(tmp_path)
    tracemalloc.start()
    try:
        assert findings(path) == []
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


# What is no file.


def test_what_cannot_be_read_is_an_error_that_names_it_and_the_others_are_audited(
    good: Path, tmp_path: Path
):
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "round").symlink_to("round")
    names = [folder, *(tmp_path / name for name in ("pipe", "nowhere", "round", "missing"))]
    done = run("audit", *names, good)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"hatch-wazcache: {folder}: is a directory, not a wheel",
        f"hatch-wazcache: {tmp_path}/pipe: is not a regular file",
        f"hatch-wazcache: {tmp_path}/nowhere: is a symlink that leads nowhere",
        f"hatch-wazcache: {tmp_path}/round: is a symlink that leads nowhere",
        f"hatch-wazcache: {tmp_path}/missing: No such file or directory",
    ]
    assert done.stdout == "1 wheel audited, 1 artifact: 0 findings\n"


def test_the_exit_status_tells_findings(wheel: Wheel, good: Path, tmp_path: Path):
    del wheel.members[ARTIFACT]
    path = wheel.write(tmp_path)
    done = run("audit", good, path)
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        f"{path}: {ARTIFACT}: is missing: the manifest lists it",
        "2 wheels audited, 1 artifact: 1 finding",
    ]
    assert answer("audit", good, path, status=3) == {
        "wheels": 2,
        "artifacts": 1,
        "recompiled": 0,
        "findings": [
            {
                "wheel": str(path),
                "member": ARTIFACT,
                "finding": "is missing: the manifest lists it",
            }
        ],
        "problems": [],
    }


def test_a_file_that_may_not_be_read_is_an_error(good: Path, tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    path = Path(shutil.copy(good, tmp_path))
    path.chmod(0)
    with pytest.raises(WazcacheError, match="Permission denied"):
        findings(path)


# Compiled again.


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
        "is not what wasmtime makes of the .wasm with the profile default: it differs from byte "
    )
    assert found["finding"].endswith(f"and has {len(other)} bytes, not {size}")


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
        f"hatch-wazcache: {good}: {ARTIFACT}: is compiled by wasmtime 48.0.0; installed is the "
        "engine 50.0.0: install that one\n"
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
    assert done.stderr == "hatch-wazcache: --compiler is for --recompile\n"


# Inspect.


def test_inspect_says_what_is_in_a_wheel_and_what_loads(good: Path):
    answered = answer("inspect", good)
    with zipfile.ZipFile(good) as archive:
        sizes = {
            info.filename: {"size": info.file_size, "packed": info.compress_size}
            for info in archive.infolist()
        }
    assert answered["tags"] == sorted(f"py3-none-{tag}" for tag in TAGS.split("."))
    assert answered["size"] == good.stat().st_size
    assert answered["here"] == {"system": TARGET, "wasmtime": "48.0.0"}
    assert answered["packages"] == [
        {
            "package": "demo",
            "manifest": MANIFEST,
            "loader": "demo/_wazcache.py",
            "wasmtime": "48.0.0",
            "problems": [],
            "assets": [
                {
                    "name": "a.wasm",
                    "kind": "module",
                    "wasm": "demo/a.wasm",
                    **sizes["demo/a.wasm"],
                    "artifacts": [
                        {
                            "file": ARTIFACT,
                            "target": TARGET,
                            "cpu": "baseline",
                            "profile": "default",
                            **sizes[ARTIFACT],
                            "loads": True,
                            "reason": None,
                        }
                    ],
                }
            ],
        }
    ]


def loads(path: Path, **env: str) -> list[tuple[bool | None, str | None]]:
    """Ask of each artifact whether it loads here, and why not."""
    return [
        (artifact["loads"], artifact["reason"])
        for package in answer("inspect", path, **env)["packages"]
        for asset in package["assets"]
        for artifact in asset["artifacts"]
    ]


def test_inspect_asks_for_each_profile_with_its_engine(project: Project):
    project.options(
        'assets = ["demo/*.wasm"]\n[tool.hatch.build.hooks.wazcache.profiles.default]\n'
        "[tool.hatch.build.hooks.wazcache.profiles.metered]\nconsume-fuel = true"
    )
    assert loads(project.build().wheel) == [(True, None), (True, None)]


def test_inspect_says_why_an_artifact_does_not_load(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: m["profiles"]["default"].update({"consume-fuel": True}))
    ((loaded, reason),) = loads(wheel.write(tmp_path))
    assert loaded is False
    assert "fuel" in reason


def test_inspect_asks_in_the_environment_that_it_runs_in(good: Path):
    ((loaded, reason),) = loads(good, WASMTIME_BACKTRACE_DETAILS="1")
    assert loaded is False
    assert reason.startswith("the environment variable WASMTIME_BACKTRACE_DETAILS is set")


@on_x86_64_linux
def test_inspect_tells_artifacts_of_other_systems(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: artifact(m).update(target="aarch64-macos"))
    assert loads(wheel.write(tmp_path)) == [(False, "for another system")]


def test_inspect_survives_an_artifact_that_ends_wasmtime(project: Project, tmp_path: Path):
    """Some changes of `.wasmtime.info` do: a table's length that is too large for it."""
    project.write("demo/a.wasm", ANSWER)
    wheel = Wheel(project.build().wheel)
    whole = wheel.members[ARTIFACT]
    header = SECTION.unpack_from(whole, sections(whole)[".wasmtime.info"])
    reasons = []
    for at in range(header[4] + header[5] - 23, header[4] + header[5]):
        changed = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        ((loaded, reason),) = loads(with_artifact(wheel, changed, tmp_path))
        if not loaded:
            assert len(reason.splitlines()) == 1
            reasons.append(reason)
        if "wasmtime ended the process" in str(reason):
            return
    pytest.fail(f"none did: {reasons}")


def test_inspect_without_wasmtime_says_so(good: Path):
    done = run("inspect", good, python=environment_with(""))
    assert done.returncode == 0
    assert "wasmtime not asked: wasmtime is not installed" in done.stdout
    assert "there is no wasmtime here to ask" in done.stdout


def test_inspect_of_what_is_no_wheel_is_one_message(tmp_path: Path):
    (tmp_path / WHEEL).write_bytes(b"text")
    done = run("inspect", tmp_path / WHEEL)
    assert done.returncode == 1
    assert done.stderr.startswith(f"hatch-wazcache: {tmp_path / WHEEL}: it is no zip file")


def test_inspect_shows_what_is_wrong_with_a_manifest(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: artifact(m).update(cpu="z80"))
    done = run("inspect", wheel.write(tmp_path))
    assert done.returncode == 0
    assert f'{MANIFEST}: assets["a.wasm"].artifacts[0].cpu = "z80": must be' in done.stdout


def test_inspect_shows_a_manifest_that_cannot_be_unpacked(good: Path, tmp_path: Path):
    doctored = bytearray(good.read_bytes())
    doctored[doctored.rindex(MANIFEST.encode()) - 46 + 8] |= 1
    (tmp_path / good.name).write_bytes(doctored)
    done = run("inspect", tmp_path / good.name)
    assert done.returncode == 0
    assert f"{MANIFEST}: it is encrypted" in done.stdout
    assert [member for member, _text in findings(tmp_path / good.name)].count(MANIFEST) == 1


def test_inspect_writes_nothing_to_a_terminal_but_letters(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: m["assets"].update({"\x1b[2J\n.wasm": m["assets"].pop("a.wasm")}))
    wheel.members["demo/\x1b[2J.py"] = b""
    path = wheel.write(tmp_path)
    for command in ("audit", "inspect"):
        done = run(command, path)
        assert "\x1b" not in done.stdout
