"""Wheels with artifacts for several versions of wasmtime."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.audits import ARTIFACT, MANIFEST, artifact, asset, findings, inspected, notes
from tests.support.doctored import Wheel, engine_of, said, with_engine
from tests.support.wheels import TARGET

METADATA = "demo-1.0.dist-info/METADATA"


def add_engine(wheel: Wheel, major: int) -> str:
    """Add an artifact that claims to be of another wasmtime; return its name in the wheel."""
    made = wheel.members[ARTIFACT]
    made = with_engine(made, engine_of(made).replace(said("48"), said(str(major))))
    file = f"a.{TARGET}.wasmtime{major}.cwasm"
    wheel.members[f"demo/{file}"] = made
    about = {"file": file, "wasmtime": f"{major}.0.1", "size": len(made)}
    about["sha256"] = hashlib.sha256(made).hexdigest()
    wheel.manifest(lambda m: asset(m)["artifacts"].append({**artifact(m), **about}))
    return f"demo/{file}"


def requires(wheel: Wheel, *lines: str) -> None:
    fields = ["Metadata-Version: 2.4", "Name: demo", "Version: 1.0", "Requires-Python: >=3.9"]
    fields += [f"Requires-Dist: {line}" for line in lines]
    wheel.members[METADATA] = "\n".join([*fields, ""]).encode()


def test_a_requirement_that_admits_what_is_covered_has_no_finding_and_no_note(
    wheel: Wheel, tmp_path: Path
):
    add_engine(wheel, 47)
    requires(wheel, "wasmtime>=47,<49")
    path = wheel.write(tmp_path)
    assert (findings(path), notes(path)) == ([], [])
    (package,) = inspected(path)["packages"]
    assert package["wasmtime"] == ["48.0.0", "47.0.1"]
    assert [one["wasmtime"] for one in package["assets"][0]["artifacts"]] == ["48.0.0", "47.0.1"]


@pytest.mark.parametrize(
    ("major", "advice"), [(47, ', or require "wasmtime>=47,<49" instead'), (46, "")]
)
def test_a_requirement_that_admits_more_than_the_engines_is_noted(
    wheel: Wheel, tmp_path: Path, major: int, advice: str
):
    add_engine(wheel, major)
    requires(wheel, "wasmtime>=46")
    path = wheel.write(tmp_path)
    assert findings(path) == []
    text = (
        f"requires wasmtime>=46, which admits other major versions than the artifacts' ({major}, "
        "48): users with another one wait for the compiler at their first start; build for more of "
        f"them (options engines, companion){advice}"
    )
    assert notes(path) == [(METADATA, text)]


def test_an_engine_that_no_user_can_have_is_found(wheel: Wheel, tmp_path: Path):
    add_engine(wheel, 47)
    text = (
        f"requires wasmtime<49,>=48 on {TARGET}, but artifacts for {TARGET} are compiled by "
        "wasmtime 47: they never load there"
    )
    assert findings(wheel.write(tmp_path)) == [(METADATA, text)]


def test_engines_for_different_pythons_have_no_finding(wheel: Wheel, tmp_path: Path):
    add_engine(wheel, 47)
    old, new = "python_version<'3.10'", "python_version>='3.10'"
    requires(wheel, f"wasmtime>=47,<48; {old}", f"wasmtime>=48,<49; {new}")
    assert findings(wheel.write(tmp_path)) == []


def test_a_python_for_which_no_engine_fits_is_found(wheel: Wheel, tmp_path: Path):
    add_engine(wheel, 47)
    old, new = "python_version<'3.10'", "python_version>='3.10'"
    requires(wheel, f"wasmtime>=46,<47; {old}", f"wasmtime>=47,<49; {new}")
    found = [text for _, text in findings(wheel.write(tmp_path))]
    where = f"requires wasmtime<47,>=46 on {TARGET} with Python 3.9, but artifacts for {TARGET} are"
    assert [text.rpartition(":")[0] for text in found] == [
        f"{where} compiled by wasmtime 47",
        f"{where} compiled by wasmtime 48",
    ]


def test_an_asset_without_an_artifact_of_one_engine_is_found(wheel: Wheel, tmp_path: Path):
    add_engine(wheel, 47)
    requires(wheel, "wasmtime>=47,<49")
    wheel.members["demo/b.wasm"] = wheel.members["demo/a.wasm"]
    wheel.members["demo/b.cwasm"] = wheel.members[ARTIFACT]

    def change(manifest: dict) -> None:
        made = {**artifact(manifest), "file": "b.cwasm"}
        manifest["assets"]["b.wasm"] = {**asset(manifest), "wasm": "b.wasm", "artifacts": [made]}

    wheel.manifest(change)
    text = f"b.wasm has no artifact of wasmtime 47 for {TARGET}, but the wheel has others of that "
    assert findings(wheel.write(tmp_path)) == [(MANIFEST, f"{text}version")]


def test_a_name_of_another_engine_than_the_artifacts_is_found(wheel: Wheel, tmp_path: Path):
    name = add_engine(wheel, 47)
    requires(wheel, "wasmtime>=47,<49")
    wheel.members["demo/x.wasmtime50.cwasm"] = wheel.members.pop(name)
    wheel.manifest(lambda m: asset(m)["artifacts"][1].update(file="x.wasmtime50.cwasm"))
    assert findings(wheel.write(tmp_path)) == [
        ("demo/x.wasmtime50.cwasm", "is named for wasmtime 50; the manifest says 47.0.1")
    ]


def test_each_artifacts_header_is_compared_with_its_own_engine(wheel: Wheel, tmp_path: Path):
    name = add_engine(wheel, 47)
    requires(wheel, "wasmtime>=46,<49")
    wheel.manifest(lambda m: asset(m)["artifacts"][1].update(wasmtime="46.0.0"))
    assert (name, "is compiled by wasmtime 47; the manifest says 46.0.0") in findings(
        wheel.write(tmp_path)
    )
