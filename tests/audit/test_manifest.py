"""Manifests: every wrong claim is found and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audits import ARTIFACT, MANIFEST, artifact, asset, findings, only_finding
from tests.support.doctored import Wheel
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET

FIRST = 'assets["a.wasm"].artifacts[0]'


def test_a_wheel_without_a_manifest_is_found(wheel: Wheel, tmp_path: Path):
    """As a build that was killed leaves it: tagged, with a `.wasm` perhaps, and without ours."""
    for name in (ARTIFACT, MANIFEST, "demo/_wazcache.py"):
        del wheel.members[name]
    member, text = only_finding(wheel.write(tmp_path))
    assert member is None
    assert text == (
        "has no manifest of hatch-wazcache: hatchling runs the hook only if pyproject.toml has the "
        "table [tool.hatch.build.hooks.wazcache]; [tool.wazcache] alone is not enough; or the "
        "build was interrupted"
    )


@pytest.mark.parametrize(
    ("generator", "cause"),
    [
        ("Generator: setuptools (80.9.0)\n", "setuptools needs the table [tool.wazcache], and "),
        ("Generator: flit 3.12.0\n", "it was built without hatch-wazcache; or the build was int"),
        ("", "it was built without hatch-wazcache; or the build was interrupted"),
    ],
)
def test_the_likely_cause_of_a_missing_manifest_is_named(
    wheel: Wheel, tmp_path: Path, generator: str, cause: str
):
    for name in (ARTIFACT, MANIFEST, "demo/_wazcache.py"):
        del wheel.members[name]
    text = wheel.members[f"{wheel.info}/WHEEL"].decode()
    lines = [line for line in text.splitlines() if not line.startswith("Generator")]
    wheel.members[f"{wheel.info}/WHEEL"] = f"{generator}{chr(10).join(lines)}\n".encode()
    assert only_finding(wheel.write(tmp_path))[1].startswith(
        f"has no manifest of hatch-wazcache: {cause}"
    )


def test_a_loader_without_its_manifest_is_found(wheel: Wheel, tmp_path: Path):
    del wheel.members[MANIFEST]
    assert findings(wheel.write(tmp_path)) == [
        (MANIFEST, "is missing: the loader beside it needs it"),
        (ARTIFACT, "is an artifact that no manifest lists: nothing loads it"),
    ]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"\xff", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "has schema null; this hatch-wazcache reads schema 2"),
        (b'{"schema": 1}', "has schema 1; this hatch-wazcache reads schema 2"),
    ],
)
def test_a_manifest_that_is_none_is_found(wheel: Wheel, tmp_path: Path, text: bytes, finding: str):
    wheel.members[MANIFEST] = text
    found = dict(findings(wheel.write(tmp_path)))
    assert found[MANIFEST].startswith(finding)
    assert found[ARTIFACT] == "is an artifact that no manifest lists: nothing loads it"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda m: artifact(m).update(wasmtime="new"), f'{FIRST}.wasmtime = "new": must be a ver'),
        (lambda m: artifact(m).update(wasmtime=""), f'{FIRST}.wasmtime = "": must be a version'),
        (lambda m: artifact(m).update(wasmtime="48"), f'{FIRST}.wasmtime = "48": must be a versi'),
        (lambda m: artifact(m).pop("wasmtime"), f"{FIRST}.wasmtime is missing: must be a version"),
        (lambda m: m.update(fallback="no"), 'fallback = "no": must be one of cache, compile, err'),
        (lambda m: m.update(companion=[]), "companion = []: must be a table"),
        (lambda m: m.update(companion={}), "companion.name is missing: must be the name of a di"),
        (lambda m: m.update(companion={"name": "-"}), 'companion.name = "-": must be the name of'),
        (lambda m: m.update(companion={"name": "a", "cpu": []}), "companion.cpu = []: must be a l"),
        (lambda m: m.update(companion={"name": "a", "cpu": [[]]}), "companion.cpu = [[]]: must be"),
        (lambda m: m.update(companion={"cpu": ["baseline"] * 2}), 'companion.cpu = ["baseline", '),
        (lambda m: m.update(companion={"cpu": ["x87"]}), 'companion.cpu = ["x87"]: must be a '),
        (lambda m: m.update(package={}), "package.name is missing: must be the name of a distri"),
        (lambda m: m.update(package={"version": 1}), "package.version = 1: must be a version such"),
        (lambda m: m.update(package={"path": "/a"}), 'package.path = "/a": must be a path in the '),
        (lambda m: m.update(companion=1, package=1), "has both companion and package"),
        (lambda m: m.update(distribution=1), "distribution = 1: must be the name of a distribut"),
        (lambda m: m.update(distribution="x"), "belongs to x, and the wheel to demo: the loader o"),
        (lambda m: m.pop("profiles"), "profiles is missing: must be a table"),
        (lambda m: m.update(assets=[]), "assets = []: must be a table"),
        (lambda m: m.update(editable={}), "belongs to an editable install, not to a"),
        (lambda m: asset(m).pop("sha256"), 'assets["a.wasm"].sha256 is missing: must be 64 hex'),
        (lambda m: asset(m).update(size=-1), 'assets["a.wasm"].size = -1: must be a number of'),
        (lambda m: asset(m).update(size=True), 'assets["a.wasm"].size = true: must be a number'),
        (lambda m: asset(m).update(kind="text"), 'assets["a.wasm"].kind = "text": must be "mod'),
        (lambda m: asset(m).update(wasm="/etc/passwd"), 'assets["a.wasm"].wasm = "/etc/passwd"'),
        (lambda m: asset(m).update(mtime_ns=1), 'assets["a.wasm"].mtime_ns: belongs to an edit'),
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
        (lambda m: m["profiles"].update({"../x": {}}), 'profiles["../x"]: must be named with'),
        (lambda m: m["profiles"].update({"\x1b": {}}), 'profiles["\\u001b"]: must be named with'),
        (lambda m: m.update(strip="name"), 'strip = "name": must be a list of "name", "debug"'),
        (lambda m: m.update(strip=["name", 1]), 'strip = ["name", 1]: must be a list of "name'),
        (lambda m: m.update(strip=["debug"] * 2), 'strip = ["debug", "debug"]: must be a list of'),
        (lambda m: m.update(strip=None), "strip = null: must be a list of"),
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
        "is not WebAssembly; the manifest says module",
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
    assert first[1].startswith(f"a.wasm has no artifact for {TARGET}, but the wheel's tag ")


def test_an_artifact_that_no_manifest_lists_is_found(wheel: Wheel, tmp_path: Path):
    wheel.members["demo/b.cwasm"] = wheel.members[ARTIFACT]
    assert only_finding(wheel.write(tmp_path)) == (
        "demo/b.cwasm",
        "is an artifact that no manifest lists: nothing loads it",
    )
