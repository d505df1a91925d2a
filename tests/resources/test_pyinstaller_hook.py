"""The files that the hook finds for a program. The slow tests run PyInstaller itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hatch_wazcache.resources import pyinstaller
from hatch_wazcache.resources.pyinstaller import files_of_loaders
from hatch_wazcache.wheels.manifest import manifest_name
from tests.support.companion_sites import split
from tests.support.loading import UNICODE
from tests.support.wheels import TARGET


def test_the_files_that_a_loader_needs_go_where_it_looks_for_them(site: Path):
    loader = str(site / "demo/_wazcache.py")
    found = {
        (Path(source).relative_to(site).as_posix(), Path(folder).as_posix())
        for source, folder in files_of_loaders([("demo._wazcache", loader)])
    }
    unicode = UNICODE.removesuffix(".wasm")
    assert found == {
        ("demo/_wazcache.json", "demo"),
        ("demo/answer.wasm", "demo"),
        (f"demo/answer.{TARGET}.cwasm", "demo"),
        (f"demo/answer.{TARGET}.fuel.cwasm", "demo"),
        ("demo/c.wasm", "demo"),
        (f"demo/c.{TARGET}.cwasm", "demo"),
        ("demo/data/deep/b.wasm", "demo/data/deep"),
        (f"demo/data/deep/b.{TARGET}.cwasm", "demo/data/deep"),
        (f"demo/data/deep/b.{TARGET}.fuel.cwasm", "demo/data/deep"),
        (f"demo/{unicode}.wasm", "demo/data"),
        (f"demo/{unicode}.{TARGET}.cwasm", "demo/data"),
        (f"demo/{unicode}.{TARGET}.fuel.cwasm", "demo/data"),
    }


def test_the_files_of_a_companion_go_beside_its_package(
    own_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    loader = [("demo._wazcache", str(own_site / "demo/_wazcache.py"))]
    split(own_site, tmp_path / "other")
    assert not any("demo_wasmtime" in folder for _, folder in files_of_loaders(loader))
    monkeypatch.syspath_prepend(tmp_path / "other")
    for place in (tmp_path / "other", own_site):
        found = {
            (source, Path(folder).as_posix())
            for source, folder in files_of_loaders(loader)
            if "demo_wasmtime" in folder
        }
        folder = place / "demo_wasmtime/demo"
        assert (str(folder / "_wazcache.json"), "demo_wasmtime/demo") in found
        deep = f"data/deep/b.{TARGET}.cwasm"
        assert (str(folder / deep), "demo_wasmtime/demo/data/deep") in found
        assert len(found) == 8
        if place != own_site:
            shutil.copytree(place / "demo_wasmtime", own_site / "demo_wasmtime")


def test_a_module_that_is_no_loader_adds_nothing(tmp_path: Path):
    (tmp_path / "own.py").write_text("# The loader of somebody else\n")
    (tmp_path / "own.json").write_text("{}")
    modules = [
        ("own", str(tmp_path / "own.py")),
        ("gone", str(tmp_path / "gone.py")),
        ("library", str(tmp_path / "library.so")),
    ]
    assert list(files_of_loaders(modules)) == []


def test_a_loader_without_a_manifest_that_can_be_read_does_not_stop_pyinstaller(own_site: Path):
    loader = [("demo._wazcache", str(own_site / "demo/_wazcache.py"))]
    manifest = own_site / "demo/_wazcache.json"
    manifest.write_text("{")
    assert list(files_of_loaders(loader)) == [(str(manifest), "demo")]
    manifest.unlink()
    assert list(files_of_loaders(loader)) == []


def test_an_asset_outside_of_the_package_stays_outside_of_the_program(own_site: Path):
    manifest = own_site / "demo/_wazcache.json"
    (own_site / "outside.wasm").write_bytes(b"")
    asset = {"wasm": "../outside.wasm", "artifacts": []}
    manifest.write_text(json.dumps({"assets": {"outside.wasm": asset}}))
    loader = [("demo._wazcache", str(own_site / "demo/_wazcache.py"))]
    assert list(files_of_loaders(loader)) == [(str(manifest), "demo")]


def test_a_package_without_a_loader_has_its_files_for_the_loader_of_a_runtime(own_site: Path):
    with_loader = [("demo._wazcache", str(own_site / "demo/_wazcache.py"))]
    package = [("demo", str(own_site / "demo/__init__.py"))]
    found = list(files_of_loaders(with_loader))
    assert list(files_of_loaders([*package, *with_loader])) == found
    (own_site / "demo/_wazcache.py").unlink()
    assert list(files_of_loaders(package)) == found
    (own_site / "demo/_wazcache.json").unlink()
    assert list(files_of_loaders(package)) == []


def test_the_hook_knows_the_name_of_a_manifest_without_a_loader():
    assert manifest_name(None) == pyinstaller._DEFAULT_MANIFEST
