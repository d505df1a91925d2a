"""The names and versions of companions, and the wheel of version 0."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from installer.sources import WheelFile

from hatch_wazcache.wheels.companion_files import (
    companion_metadata,
    companion_version,
    file_prefix,
    requires_first,
    version_problem,
    wheel_file,
    write_version_0,
)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0.0", "48.1.0.0"), ("1.0", "48.1.0"), ("3.1.dev4", "48.3.1.dev4"),
        ("2.0rc1", "48.2.0rc1"), ("1.0-1", "48.1.0.post1"),
        ("0.70.0.0.post1259", "48.0.70.0.0.post1259"),
    ],
)  # fmt: skip
def test_a_companion_has_wasmtimes_major_version_and_the_version_of_its_package(version, expected):
    assert version_problem(version) is None
    assert companion_version(48, version) == expected


@pytest.mark.parametrize(
    ("version", "reason"), [("1!2.0", "an epoch (1!)"), ("2.0+cu12", "a local part (+cu12)")]
)
def test_an_epoch_and_a_local_part_have_no_place_in_it(version: str, reason: str):
    problem = version_problem(version)
    assert problem is not None
    assert problem.startswith(f"the version {version} can have no companions: ")
    assert reason in problem


def test_the_names_of_its_files_are_in_the_normal_form():
    assert file_prefix("Go.fmt-wasmtime", "48.1.0") == "go_fmt_wasmtime-48.1.0"


def test_metadata_has_the_license_of_the_package_and_requires_it():
    fields = {
        "metadata-version": ["2.4"],
        "license-expression": ["MIT"],
        "license-file": ["NOTICE", "LICENSES/GO"],
        "requires-python": [">=3.10"],
        "classifier": ["Private :: Do Not Upload", "Typing :: Typed", "License :: OSI Approved"],
        "requires-dist": ["wasmtime>=44"],
        "summary": ["A formatter"],
    }
    text = companion_metadata("gofmt-wasmtime", "gofmt", "1.0.0", "48.0.0", fields).decode()
    head = text.partition("\n\n")[0].splitlines()
    assert head == [
        "Metadata-Version: 2.4",
        "Name: gofmt-wasmtime",
        "Version: 48.1.0.0",
        "Summary: The WebAssembly of gofmt 1.0.0, compiled for wasmtime 48",
        "License-Expression: MIT",
        "License-File: NOTICE",
        "License-File: LICENSES/GO",
        "Requires-Python: >=3.10",
        "Classifier: Private :: Do Not Upload",
        "Classifier: License :: OSI Approved",
        "Requires-Dist: gofmt==1.0.0",
        "Requires-Dist: wasmtime<49,>=48",
        "Description-Content-Type: text/markdown",
    ]


def test_a_companion_for_a_wasmtime_before_38_requires_its_exact_version():
    text = companion_metadata("a-wasmtime", "a", "1.0", "37.0.0", {}).decode()
    assert "Requires-Dist: wasmtime==37.0.0\n" in text


def test_no_value_of_a_package_adds_a_line_to_metadata():
    fields = {"license": ["MIT\rRequires-Dist: evil", "BSD\x85Name: other\u2028X: y"]}
    text = companion_metadata("a-wasmtime", "a", "1.0", "48.0.0", fields).decode()
    lines = text.splitlines()
    assert "License: MIT Requires-Dist: evil" in lines
    assert "License: BSD Name: other X: y" in lines


def test_the_wheel_file_lists_each_tag():
    text = wheel_file("py3-none-android_26_x86_64.manylinux1_x86_64").decode()
    assert text.splitlines()[2:] == [
        "Root-Is-Purelib: false",
        "Tag: py3-none-android_26_x86_64",
        "Tag: py3-none-manylinux1_x86_64",
    ]


def test_the_requirement_on_the_companion_comes_first():
    metadata = (
        b"Name: x\nRequires-Dist: attrs\nRequires-Dist: wasmtime>=44\nRequires-Dist: X.wasmtime\n"
        b"Provides-Extra: a\n\nRequires-Dist: X.wasmtime\n"
    )
    assert requires_first(metadata, "x-wasmtime") == (
        b"Name: x\nRequires-Dist: X.wasmtime\nRequires-Dist: attrs\nRequires-Dist: wasmtime>=44\n"
        b"Provides-Extra: a\n\nRequires-Dist: X.wasmtime\n"
    )
    assert requires_first(metadata, "y-wasmtime") == metadata


VERSION_0 = "9d7708ea662b395721162ffacb4e76a47a445c6c07aba4b666b73409b2270505"


def test_version_0_is_the_same_file_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is published once. Each build writes it again: it must be what is already there."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    wheel = write_version_0("gofmt-wasmtime", tmp_path)
    assert wheel.name == "gofmt_wasmtime-0-py3-none-any.whl"
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == VERSION_0


def test_version_0_holds_nothing_and_requires_nothing(tmp_path: Path):
    wheel = write_version_0("Gofmt.wasmtime", tmp_path)
    with WheelFile.open(wheel) as opened:
        opened.validate_record(validate_contents=True)
    archive = zipfile.ZipFile(wheel)
    info = "gofmt_wasmtime-0.dist-info"
    assert archive.namelist() == [f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
    metadata = archive.read(f"{info}/METADATA").decode()
    assert "Name: Gofmt.wasmtime\nVersion: 0\n" in metadata
    assert "Requires" not in metadata
