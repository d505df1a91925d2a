"""The manifest's format: a written manifest can be read, and its bytes stay the same."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

from hatch_wazcache.resources import loader_text
from hatch_wazcache.wheels.manifest import (
    CompanionInfo,
    EditableInfo,
    Manifest,
    ManifestArtifact,
    ManifestAsset,
    PackageInfo,
    is_manifest,
    read_editable_info,
)
from hatch_wazcache.wheels.untrusted_manifest import check_manifest
from tests.support.manifests import with_new_fields

ARTIFACT = ManifestArtifact(
    file="sub/a.x86_64-linux.cwasm",
    target="x86_64-linux",
    cpu="baseline",
    profile="default",
    engine="48.0.0",
    sha256="1" * 64,
    size=9,
)
ASSET = ManifestAsset(
    name="sub/a.wasm",
    kind="module",
    wasm="sub/a.wasm",
    sha256="0" * 64,
    size=8,
    artifacts=(ARTIFACT,),
)
MANIFEST = Manifest(
    path="demo/_wazcache.json",
    profiles={"default": {"consume-fuel": True}},
    assets=(ASSET,),
    compiler={},
    strip=(),
)
TEXT = """\
{
 "assets": {
  "sub/a.wasm": {
   "artifacts": [
    {
     "cpu": "baseline",
     "file": "sub/a.x86_64-linux.cwasm",
     "profile": "default",
     "sha256": "1111111111111111111111111111111111111111111111111111111111111111",
     "size": 9,
     "target": "x86_64-linux",
     "wasmtime": "48.0.0"
    }
   ],
   "kind": "module",
   "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
   "size": 8,
   "wasm": "sub/a.wasm"
  }
 },
 "profiles": {
  "default": {
   "consume-fuel": true
  }
 },
 "schema": 2
}
"""


def test_the_text_of_a_manifest_is_the_same_in_every_version():
    assert MANIFEST.to_bytes().decode() == TEXT


def test_a_manifest_is_read_as_it_was_written():
    other = replace(
        MANIFEST,
        path="a/b/other.json",
        assets=(replace(ASSET, kind="component", wasm=None),),
        compiler={"default": {"address-map": False}},
        strip=("name", "debug"),
    )
    in_package = replace(
        MANIFEST,
        companion=CompanionInfo("demo-wasmtime", ("baseline", "x86-64-v3")),
        fallback="error",
        assets=(replace(ASSET, artifacts=()),),
    )
    in_companion = replace(
        other,
        path="demo_wasmtime/demo/_wazcache.json",
        package=PackageInfo("demo", "1.0.post1", "demo/_wazcache.json"),
    )
    named = replace(MANIFEST, distribution="demo-x", assets=())
    for manifest in (MANIFEST, other, in_package, in_companion, named):
        assert check_manifest(manifest.to_bytes(), manifest.path) == (manifest, [])
    assert other.member("c.cwasm") == "a/b/c.cwasm"


def test_optional_fields_of_a_later_release_are_ignored():
    """Companions are made from wheels that another release may have built."""
    in_package = replace(MANIFEST, companion=CompanionInfo("demo-wasmtime", ("baseline",)))
    in_companion = replace(MANIFEST, package=PackageInfo("demo", "1.0", "demo/_wazcache.json"))
    for manifest in (in_package, in_companion):
        text = json.dumps(with_new_fields(json.loads(manifest.to_bytes())))
        assert text.count('"new"') == 4
        assert check_manifest(text.encode(), manifest.path) == (manifest, [])


def test_what_an_editable_install_notes_is_read_as_it_was_written(tmp_path: Path):
    info = EditableInfo("demo", ("_wazcache.json", "_wazcache.py"))
    path = tmp_path / "any.json"
    path.write_bytes(replace(MANIFEST, editable=info).to_bytes())
    assert read_editable_info(path) == info
    assert is_manifest(path)
    path.write_bytes(MANIFEST.to_bytes())
    assert read_editable_info(path) is None


def test_what_an_editable_install_of_an_earlier_version_notes_is_read(tmp_path: Path):
    path = tmp_path / "any.json"
    path.write_text('{"schema": 1, "editable": {"project": "demo", "wrote": ["_wazcache.json"]}}')
    assert read_editable_info(path) == EditableInfo("demo", ("_wazcache.json",))


def test_the_engines_of_a_manifest_are_those_of_its_artifacts():
    newer = replace(ARTIFACT, file="b.cwasm", engine="50.0.0")
    both = replace(ASSET, artifacts=(newer, ARTIFACT, newer))
    assert replace(MANIFEST, assets=(both, ASSET)).engines == ("50.0.0", "48.0.0")
    assert replace(MANIFEST, assets=()).engines == ()


def test_notes_of_an_editable_install_that_are_damaged_are_none(tmp_path: Path):
    path = tmp_path / "any.json"
    for editable in (1, {}, {"wrote": "a"}, {"project": "demo"}):
        path.write_text(json.dumps({"schema": 2, "editable": editable}), "utf-8")
        assert read_editable_info(path) is None
    for text in ("", "[", "[" * 100_000, '{"schema": 3, "editable": {"wrote": []}}'):
        path.write_text(text, "utf-8")
        assert read_editable_info(path) is None
    assert read_editable_info(tmp_path) is None


def test_the_loader_reads_what_is_written(tmp_path: Path):
    (tmp_path / "loader.py").write_bytes(loader_text())
    (tmp_path / "loader.json").write_bytes(MANIFEST.to_bytes())
    spec = importlib.util.spec_from_file_location("loader", tmp_path / "loader.py")
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    assert loader.assets() == ["sub/a.wasm"]
