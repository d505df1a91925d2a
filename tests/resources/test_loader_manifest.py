"""The loader reads its manifest, and linters and editors read the loader."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.environments import UNMEASURED
from tests.support.layouts import LAYOUTS
from tests.support.loading import run
from tests.support.paths import ROOT
from tests.support.projects import Project

# The manifest


MANIFESTS = {
    "missing": (None, "cannot be read"),
    "empty": (b"", "cannot be read"),
    "cut short": (b'{"schema": 1, "assets": {', "cannot be read"),
    "no text": (b"\x80\x81\x82", "cannot be read"),
    "not an object": (b"[]", "is of another version of hatch-wazcache than"),
    "of an earlier schema": (b'{"schema": 1}', "is of another version of hatch-wazcache than"),
    "of a later schema": (b'{"schema": 3}', "is of another version of hatch-wazcache than"),
    "without a schema": (b"{}", "is of another version of hatch-wazcache than"),
}


@pytest.mark.parametrize("broken", MANIFESTS)
def test_a_broken_manifest_is_an_error_that_names_the_file(broken: str, own_site: Path):
    content, reason = MANIFESTS[broken]
    path = own_site / "demo/_wazcache.json"
    path.unlink() if content is None else path.write_bytes(content)
    code = """
        for action in (assets, engine, lambda: status('answer.wasm'), lambda: load_module('a')):
            print(refused(action))
        """
    said = set(run(code, own_site))
    assert len(said) == 1
    assert said.pop().startswith(f"{path} {reason}")


@pytest.fixture
def editable(project: Project) -> Project:
    project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    assert project.editable().status == 0
    return project


STATUS = "print(status('a.wasm').precompiled, status('a.wasm').reason)"


def touch(wasm: Path) -> None:
    os.utime(wasm, ns=(0, 0))


def check_out_again(wasm: Path) -> None:
    data = wasm.read_bytes()
    wasm.unlink()
    wasm.write_bytes(data)


def keep_whole_seconds(wasm: Path) -> None:
    """As the layers of container images do."""
    now = wasm.stat().st_mtime_ns
    os.utime(wasm, ns=(now, now // 10**9 * 10**9))


@pytest.mark.parametrize("change", [touch, check_out_again, keep_whole_seconds])
def test_an_editable_install_loads_the_artifact_of_a_wasm_with_the_same_bytes(
    change: Callable[[Path], None], editable: Project
):
    change(editable.root / "demo/a.wasm")
    assert run(STATUS, editable.root) == ["True None"]


def test_an_editable_install_that_was_copied_loads_its_artifacts(editable: Project, tmp_path: Path):
    shutil.copytree(editable.root / "demo", tmp_path / "copy/demo")
    assert run(STATUS, tmp_path / "copy") == ["True None"]


@pytest.mark.parametrize("change", ["other bytes", "other bytes, with the same size and time"])
def test_an_editable_install_refuses_the_artifact_of_a_wasm_that_has_changed(
    change: str, editable: Project
):
    wasm = editable.root / "demo/a.wasm"
    assert run(STATUS, editable.root) == ["True None"]
    before, data = wasm.stat(), wasm.read_bytes()
    if change == "other bytes":
        wasm.write_bytes(data + b"\0\2\1x")
    else:
        wasm.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        os.utime(wasm, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert wasm.stat().st_size == before.st_size
    (said,) = run(STATUS, editable.root)
    assert said.startswith("False ")
    assert said.endswith(
        "the .wasm has changed since; install the project again, or run `hatch-wazcache install`"
    )
    wasm.unlink()
    (said,) = run(STATUS, editable.root)
    assert said.startswith("False ")
    assert str(wasm) in said


def test_an_editable_install_hashes_a_wasm_that_was_touched_once_and_no_other(editable: Project):
    code = """
        import os, sys, wasmtime
        opened = []
        sys.addaudithook(lambda event, about: event == 'open' and opened.append(str(about[0])))
        def load():
            load_module('a.wasm', strict=True)
            print(sum(path.endswith('.wasm') for path in opened), 'hashlib' in sys.modules)
        load()
        os.utime(os.path.join(os.path.dirname(_wazcache.__file__), 'a.wasm'), ns=(0, 0))
        load()
        load()
        sys.stdout.flush()
        os._exit(0)  # such a hook keeps all alive, so that wasmtime complains at a usual exit
        """
    assert run(code, editable.root, **UNMEASURED) == ["0 False", "1 True", "1 True"]


def test_an_editable_install_finds_an_asset_by_its_path_in_the_package_and_by_its_source(
    tmp_path: Path,
):
    """A force-include puts it elsewhere in the wheel."""
    project = LAYOUTS["force-include-of-a-file"].make(tmp_path)
    project.append('\n[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    assert project.editable().status == 0
    code = f"""
        from pathlib import Path
        root = Path({str(project.root)!r})
        print(*status('data/renamed.wasm')[:3])
        print(*status(root / 'demo/data/renamed.wasm')[:3])
        print(*status(root / 'rust/out/a.wasm')[:3])
        """
    assert run(code, project.root) == ["data/renamed.wasm default True"] * 3


# For those who read it


def test_is_typed_for_those_who_check_strictly(site: Path, tmp_path: Path):
    """A program that uses it, and the loader itself, which an editable install puts among them."""
    program = tmp_path / "program.py"
    program.write_text(
        dedent("""
        import zipfile
        from importlib.resources import files
        from pathlib import Path
        from typing import Optional

        import wasmtime
        from typing_extensions import assert_type
        from wasmtime.component import Component

        from demo import _wazcache as wazcache

        assert_type(wazcache.assets(), list[str])
        assert_type(wazcache.engine("fuel", cache=True), wasmtime.Engine)
        assert_type(wazcache.load_module("a.wasm", profile="fuel", strict=True), wasmtime.Module)
        assert_type(wazcache.load_component(Path("c.wasm"), wasmtime.Engine()), Component)
        assert_type(wazcache.status("a.wasm"), wazcache.Status)
        assert_type(wazcache.status("a.wasm").reason, Optional[str])
        wazcache.load_module(files("demo") / "a.wasm")
        wazcache.load_module("/tmp/a.wasm", foreign=True)
        wazcache.load_module(zipfile.Path("demo.whl", "demo/a.wasm"))
        wazcache.load_module(1)  # type: ignore[arg-type]
        wazcache.load_module("a.wasm", None, "fuel")  # type: ignore[call-arg]
        """)
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", program],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(site)},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.stdout == "Success: no issues found in 1 source file\n"


RUFF = [sys.executable, "-m", "ruff"]
EXCUSES = ("# ruff: noqa", "# flake8: noqa", "# fmt: off")
"""Lines of the loader for the tools of other people, which ours obey, too."""


@pytest.mark.parametrize("words", [["check"], ["format", "--diff"]], ids=["check", "format"])
def test_is_checked_by_our_rules_without_its_excuses(words: list[str]):
    file = ROOT / "hatch_wazcache/resources/loader.py"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    checked = subprocess.run(
        [*RUFF, *words, "--no-cache", "--stdin-filename", file, "-"],
        cwd=ROOT, input="".join(line for line in lines if not line.startswith(EXCUSES)),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("target", ["py39", "py314"])
def test_is_clean_to_ruff_as_it_comes(target: str, site: Path):
    """An editable install puts it into a project that may check its files."""
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--target-version",
         target, site / "demo/_wazcache.py"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.stdout == "All checks passed!\n"
