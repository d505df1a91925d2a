"""The name, the tags and the RECORD of a wheel must agree."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.support.audits import (
    ARTIFACT,
    MANIFEST,
    TAGS,
    WHEEL,
    findings,
    on_x86_64_linux,
    only_finding,
    retag,
)
from tests.support.doctored import Wheel
from tests.support.wheels import TARGET

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
        (ARTIFACT, "is for x86_64-linux, but the wheel's tags (win_amd64) are not"),
        (
            MANIFEST,
            "a.wasm has no artifact for x86_64-windows, but the wheel's tag win_amd64 is for it",
        ),
    ]


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
    assert first == f"is for x86_64-linux, but the wheel's tags ({tag}) are not"
    assert second.startswith("a.wasm has no artifact for ")


def test_a_wheel_for_all_must_not_have_artifacts(wheel: Wheel, tmp_path: Path):
    retag(wheel, "any")
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        f"is for {TARGET}, but the wheel's tags (any) are not",
    )


@on_x86_64_linux
def test_each_tag_needs_its_artifact(wheel: Wheel, tmp_path: Path):
    retag(wheel, f"{TAGS}.macosx_11_0_arm64")
    assert only_finding(wheel.write(tmp_path)) == (
        MANIFEST,
        "a.wasm has no artifact for aarch64-macos, but the wheel's tag macosx_11_0_arm64 is for it",
    )


@on_x86_64_linux
def test_universal2_needs_both_artifacts(wheel: Wheel, tmp_path: Path):
    retag(wheel, "macosx_10_13_universal2")
    missing = [text for member, text in findings(wheel.write(tmp_path)) if member == MANIFEST]
    assert missing == [
        f"a.wasm has no artifact for {system}, "
        "but the wheel's tag macosx_10_13_universal2 is for it"
        for system in ("aarch64-macos", "x86_64-macos")
    ]


@pytest.mark.parametrize(
    "name", ["demo.whl", "demo-1.0.whl", "demo-1.0-py3-none-any.zip", "demo-x-py3-none-any.whl"]
)
def test_a_name_that_is_no_wheels_is_found(good: Path, tmp_path: Path, name: str):
    member, text = only_finding(Path(shutil.copy(good, tmp_path / name)))
    assert member is None
    assert text.startswith("does not have the file name of a wheel")


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
    assert only_finding(wheel.write(tmp_path)) == ("demo-1.0.dist-info/WHEEL", "is missing")


def test_tags_that_are_none_are_found(wheel: Wheel, tmp_path: Path):
    wheel.members["demo-1.0.dist-info/WHEEL"] = b"Wheel-Version: 1.0\nTag: nonsense\n"
    assert only_finding(wheel.write(tmp_path)) == (
        "demo-1.0.dist-info/WHEEL",
        "has a Tag line that is not a tag: nonsense",
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
        (lambda row: row.__setitem__(1, ""), "has no digest in RECORD; must be sha256=…"),
        (
            lambda row: row.__setitem__(1, "md5=x"),
            "has the digest 'md5=x' in RECORD; must be sha256=…",
        ),
        (lambda row: row.__setitem__(2, "7"), "has 0 bytes; RECORD says 7"),
        (
            lambda row: row.__setitem__(slice(1, None), []),
            "has no digest in RECORD; must be sha256=…",
        ),
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
    assert only_finding(wheel.write(tmp_path / "without")) == (record, "is missing")
