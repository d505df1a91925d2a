"""An audit holds the SBOM against the wheel that it is in."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_wazcache.wheels.sbom import serial_number
from tests.support.audits import ARTIFACT, MANIFEST, findings, only_finding, run
from tests.support.doctored import Wheel
from tests.support.projects import PYPROJECT, Project
from tests.support.sboms import FILE, components
from tests.support.sections import producers
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import TARGET

MEMBER = f"demo-1.0.dist-info/{FILE}"
WASM = "demo/a.wasm"
OTHER = "0" * 64


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", PYPROJECT + "sbom = true\n")
    project.write("demo/__init__.py")
    project.write(WASM, ANSWER + producers(language=[("Rust", "")]))
    made = project.build()
    assert made.wheel is not None, made.output
    return made.wheel


@pytest.fixture
def wheel(built: Path) -> Wheel:
    return Wheel(built)


def change(wheel: Wheel, how: Callable[[dict], object]) -> None:
    """Change the document, and give it the serial number of its new content."""
    document = json.loads(wheel.members[MEMBER])
    how(document)
    document["serialNumber"] = serial_number(document)
    wheel.members[MEMBER] = json.dumps(document).encode()


def component(document: dict, name: str) -> dict:
    (found,) = (one for one in document["components"] if one["name"] == name)
    return found


def set_property(one: dict, name: str, value: str) -> None:
    (found,) = (each for each in one["properties"] if each["name"] == f"hatch-wazcache:{name}")
    found["value"] = value


def ancestor(document: dict) -> dict:
    return component(document, ARTIFACT)["pedigree"]["ancestors"][0]


def test_a_wheel_as_it_was_built_has_no_findings(built: Path):
    assert findings(built) == []
    assert {WASM, ARTIFACT} < {*components(built)}


CHANGES: dict[str, Callable[[dict], object]] = {
    "demo/a.wasm: has the SHA-256 0000": lambda d: component(d, WASM)["hashes"][0].update(
        content=OTHER
    ),
    f"{ARTIFACT}: has the SHA-256 none": lambda d: component(d, ARTIFACT).pop("hashes"),
    f"does not list {ARTIFACT}": lambda d: d["components"].remove(component(d, ARTIFACT)),
    "does not list demo/_wazcache.py": lambda d: d["components"].remove(
        component(d, "demo/_wazcache.py")
    ),
    "lists demo/b.wasm, which is no .wasm, artifact or loader": lambda d: d["components"].append(
        {**component(d, WASM), "name": "demo/b.wasm"}
    ),
    "lists a file twice": lambda d: d["components"].append(component(d, WASM)),
    "is about other 1.0, not about demo 1.0": lambda d: d["metadata"]["component"].update(
        name="other"
    ),
    "is about demo 2, not about demo 1.0": lambda d: d["metadata"]["component"].update(version="2"),
    "names the compilers wasmtime 49.0.0, but": lambda d: d["metadata"]["tools"]["components"][
        1
    ].update(version="49.0.0"),
    "does not name hatch-wazcache as a tool": lambda d: d["metadata"]["tools"]["components"].pop(0),
    f"{ARTIFACT}: target is s390x-linux there; it is {TARGET}": lambda d: set_property(
        component(d, ARTIFACT), "target", "s390x-linux"
    ),
    f"{ARTIFACT}: wasmtime is 47.0.0 there": lambda d: set_property(
        component(d, ARTIFACT), "wasmtime", "47.0.0"
    ),
    "demo/a.wasm: producers:language is C there; it is Rust": lambda d: set_property(
        component(d, WASM), "producers:language", "C"
    ),
    "demo/a.wasm: kind is not named there; it is module": lambda d: component(d, WASM)[
        "properties"
    ].pop(0),
    f"{ARTIFACT}: was compiled from demo/b.wasm": lambda d: ancestor(d).update(name="demo/b.wasm"),
    f"{ARTIFACT}: was compiled from nothing": lambda d: component(d, ARTIFACT).pop("pedigree"),
    f"{ARTIFACT}, its source: producers:language is C": lambda d: set_property(
        ancestor(d), "producers:language", "C"
    ),
    "demo/_wazcache.py: is not a loader there": lambda d: component(d, "demo/_wazcache.py").pop(
        "pedigree"
    ),
    "demo/a.wasm: was compiled from x there": lambda d: component(d, WASM).update(
        pedigree={"ancestors": [{"type": "file", "name": "x"}]}
    ),
}


@pytest.mark.parametrize("text", CHANGES)
def test_what_the_sbom_says_in_another_way_than_the_wheel_is_found(
    text: str, wheel: Wheel, tmp_path: Path
):
    change(wheel, CHANGES[text])
    found = findings(wheel.write(tmp_path))
    assert {member for member, _text in found} == {MEMBER}
    assert any(found_text.startswith(text) for _member, found_text in found), found


def test_an_artifact_that_was_replaced_together_with_its_manifest_is_found(
    wheel: Wheel, tmp_path: Path
):
    wheel.members[WASM] = tiny("other")
    wheel.claim(WASM)
    found = [text for member, text in findings(wheel.write(tmp_path)) if member == MEMBER]
    assert any(text.startswith(f"{WASM}: has the SHA-256") for text in found)
    assert any(text.startswith(f"{ARTIFACT}: was compiled from {WASM}") for text in found)


def test_a_document_that_was_changed_by_hand_is_found(wheel: Wheel, tmp_path: Path):
    document = json.loads(wheel.members[MEMBER])
    document["version"] = 2
    wheel.members[MEMBER] = json.dumps(document).encode()
    member, text = only_finding(wheel.write(tmp_path))
    assert member == MEMBER
    assert text == "was changed: its serial number does not belong to its content"


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "not UTF-8": b'"\xff"',
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a list": b"[]",
    "another format": b'{"bomFormat": "SPDX"}',
    "NaN": b'{"bomFormat": NaN}',
    "a long number": b'{"bomFormat": ' + b"1" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_document_that_is_none_is_one_finding(name: str, wheel: Wheel, tmp_path: Path):
    wheel.members[MEMBER] = BROKEN[name]
    member, text = only_finding(wheel.write(tmp_path))
    assert member == MEMBER
    assert text.startswith(("is not", "the document is not"))


def test_a_document_that_strict_readers_refuse_is_a_finding(wheel: Wheel, tmp_path: Path):
    """JSON is in UTF-8 and has no NaN, though Python reads more."""
    text = wheel.members[MEMBER].decode()
    document = {**json.loads(text), "more": float("nan")}
    document["serialNumber"] = serial_number(document)
    for data in (json.dumps(document).encode(), text.encode("utf-16"), text.encode("utf-8-sig")):
        wheel.members[MEMBER] = data
        assert only_finding(wheel.write(tmp_path)) == (MEMBER, "is not valid JSON")


PLACES: list[list[str | int]] = [
    ["components"],
    ["components", 0],
    ["components", 0, "name"],
    ["components", 0, "hashes"],
    ["components", 1, "properties"],
    ["components", 0, "pedigree"],
    ["components", 0, "pedigree", "ancestors"],
    ["metadata"],
    ["metadata", "component"],
    ["metadata", "tools"],
    ["metadata", "tools", "components"],
    ["metadata", "tools", "components", 0],
]


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [1], {"a": []}, True])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_any_value_in_any_place_is_a_finding_and_no_error(
    place: list[str | int], value: object, wheel: Wheel, tmp_path: Path
):
    def put(document: dict) -> None:
        at = document
        for part in place[:-1]:
            at = at[part]
        at[place[-1]] = value

    change(wheel, put)
    for member, text in findings(wheel.write(tmp_path)):
        assert member == MEMBER
        assert text


def test_a_huge_document_is_not_read(wheel: Wheel, tmp_path: Path):
    change(wheel, lambda d: d.update(more="x" * (70 << 20)))
    found = findings(wheel.write(tmp_path))
    assert (MEMBER, found[0][1]) in found
    assert "too large" in found[0][1] or "zip bomb" in found[0][1]


def test_very_many_components_are_one_finding(wheel: Wheel, tmp_path: Path):
    change(wheel, lambda d: d.update(components=[{"name": str(n)} for n in range(10_001)]))
    _member, text = only_finding(wheel.write(tmp_path))
    assert "10000" in text


def test_a_finding_is_short_and_harmless_whatever_the_document_says(wheel: Wheel, tmp_path: Path):
    hostile = "\x1b]0;title\x07" + "x" * 100_000
    change(wheel, lambda d: d["metadata"]["component"].update(name=hostile))
    path = wheel.write(tmp_path)
    assert all(len(text) <= 1000 for _member, text in findings(path))
    done = run("audit", path)
    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr


def test_an_sbom_of_ours_in_a_wheel_without_manifests_lists_too_much(wheel: Wheel, tmp_path: Path):
    for name in [name for name in wheel.members if name.startswith("demo/")]:
        del wheel.members[name]
    found = [text for member, text in findings(wheel.write(tmp_path)) if member == MEMBER]
    assert f"lists {WASM}, which is no .wasm, artifact or loader of this wheel" in found
    assert MANIFEST not in wheel.members


def test_a_wheel_with_several_dist_info_folders_or_none_is_no_error(wheel: Wheel, tmp_path: Path):
    wheel.members["other-1.0.dist-info/METADATA"] = b""
    assert findings(wheel.write(tmp_path))
    path = tmp_path / "none" / wheel.name
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo/__init__.py", "")
    assert (None, "has 0 .dist-info folders, not one") in [
        (None, text) for _member, text in findings(path)
    ]


def test_a_wasm_that_cannot_be_unpacked_is_a_finding_about_the_wasm(built: Path, tmp_path: Path):
    data = bytearray(built.read_bytes())
    with zipfile.ZipFile(built) as archive:
        info = archive.getinfo(WASM)
    begin = info.header_offset + 30 + len(WASM)
    data[begin : begin + 4] = b"\xff\xff\xff\xff"
    path = tmp_path / built.name
    path.write_bytes(data)
    found = findings(path)
    assert WASM in [member for member, _text in found]
    assert MEMBER not in [member for member, _text in found]


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_changed_byte_of_a_wheel_with_an_sbom_makes_the_audit_fail(
    built: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    doctored = bytearray(built.read_bytes())
    with zipfile.ZipFile(built) as archive:
        info = archive.getinfo(MEMBER)
        begin, end = info.header_offset, info.header_offset + info.compress_size + 60
        directory = archive.start_dir
    places = st.integers(directory, len(doctored) - 1) | st.integers(begin, end)
    for at in data.draw(st.lists(places, min_size=1, max_size=4)):
        doctored[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / built.name
    path.write_bytes(doctored)
    for _member, text in findings(path):
        assert text


def test_sboms_of_others_are_not_read(wheel: Wheel, tmp_path: Path):
    wheel.members["demo-1.0.dist-info/sboms/others.cdx.json"] = b"{"
    assert findings(wheel.write(tmp_path)) == []
