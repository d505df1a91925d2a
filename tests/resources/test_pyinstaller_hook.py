"""The files that the hook finds for a program. The slow tests run PyInstaller itself."""

from __future__ import annotations

import json
from pathlib import Path

from hatch_wazcache.resources.pyinstaller import files_of_loaders
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
