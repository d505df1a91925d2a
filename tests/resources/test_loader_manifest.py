"""The manifest as the loader reads it, and the loader for those who read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.loading import run
from tests.support.projects import Project

# The manifest


MANIFESTS = {
    "missing": (None, "cannot be read"),
    "empty": (b"", "cannot be read"),
    "cut short": (b'{"schema": 1, "assets": {', "cannot be read"),
    "no text": (b"\x80\x81\x82", "cannot be read"),
    "not an object": (b"[]", "is of another version of hatch-wazcache than"),
    "of a later schema": (b'{"schema": 2}', "is of another version of hatch-wazcache than"),
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


def test_a_source_tree_that_was_never_built_says_what_is_missing(site: Path, project: Project):
    """A project may have the loader committed."""
    project.write("demo/_wazcache.py", (site / "demo/_wazcache.py").read_bytes())
    (said,) = run("print(refused(lambda: load_module('a.wasm')))", project.root)
    assert said.startswith(f"{project.root / 'demo/_wazcache.json'} cannot be read (")
    assert said.endswith("; hatch-wazcache writes it when it builds this package")


def test_an_editable_install_refuses_the_artifact_of_a_wasm_that_has_changed(project: Project):
    project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    assert project.editable().status == 0
    wasm = project.root / "demo/a.wasm"
    code = "print(status('a.wasm').precompiled, status('a.wasm').reason)"
    assert run(code, project.root) == ["True None"]
    wasm.write_bytes(wasm.read_bytes())
    os.utime(wasm, ns=(0, 0))
    (said,) = run(code, project.root)
    assert said.startswith("False ")
    assert said.endswith("the .wasm has changed since; install the project again")
    wasm.unlink()
    (said,) = run(code, project.root)
    assert said.startswith("False ")
    assert str(wasm) in said


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


@pytest.mark.parametrize("target", ["py39", "py314"])
def test_is_clean_to_ruff_as_it_comes(target: str, site: Path):
    """An editable install puts it into a project that may check its files."""
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--target-version",
         target, site / "demo/_wazcache.py"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.stdout == "All checks passed!\n"
