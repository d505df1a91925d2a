"""An error about a WebAssembly feature names the setting that enables it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import wasmtime

from hatch_wazcache.compile.feature_hints import feature_hint
from tests.support.projects import Project

# Each needs the feature that the setting enables.
MODULES = {
    "wasm-memory64": "(module (memory i64 1))",
    "wasm-multi-memory": "(module (memory 1) (memory 1))",
    "wasm-threads": "(module (memory 1 1 shared))",
    "wasm-relaxed-simd": (
        "(module (func (param v128) (result v128) "
        "(i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"
    ),
    "wasm-tail-call": "(module (func (return_call 0)))",
    "wasm-exceptions": "(module (tag) (func (throw 0)))",
    "wasm-gc": "(module (type (struct (field i32))))",
    "wasm-stack-switching": "(module (type $f (func)) (type (cont $f)))",
    "wasm-wide-arithmetic": (
        "(module (func (result i64 i64) "
        "(i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))))"
    ),
    "wasm-custom-page-sizes": "(module (memory 1 (pagesize 1)))",
    "wasm-bulk-memory": (
        "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))"
    ),
    "wasm-reference-types": "(module (table 1 externref))",
    "wasm-multi-value": "(module (func (result i32 i32) (i32.const 0) (i32.const 0)))",
}

_COMPILE = """
import sys, wasmtime
config = wasmtime.Config()
setattr(config, sys.argv[1], False)
wasmtime.Module(wasmtime.Engine(config), bytes.fromhex(sys.argv[2]))
"""


def error_without(setting: str, wat: str) -> str:
    """Compile without a feature, in a new process, and return wasmtime's message."""
    wasm = wasmtime.wat2wasm(wat)
    words = [sys.executable, "-c", _COMPILE, setting.replace("-", "_"), wasm.hex()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    return done.stderr


@pytest.mark.parametrize("setting", MODULES)
def test_the_error_names_the_setting(setting: str):
    error = error_without(setting, MODULES[setting])
    assert feature_hint(error, {}, "48.0.0") == (
        f"the setting {setting} = true of a profile enables it"
    )
    assert feature_hint(error, {setting: False}, "48.0.0").endswith(f"{setting} = false")


def test_a_setting_that_this_wasmtime_lacks_is_named_with_the_version_that_has_it():
    error = error_without("wasm-gc", MODULES["wasm-gc"])
    assert feature_hint(error, {}, "44.0.0") == "the setting wasm-gc enables it from wasmtime 45 on"


@pytest.mark.parametrize(
    "error",
    [
        "shared globals require the shared-everything-threads proposal (at offset 0xb)",
        "legacy_exceptions feature required for try instruction (at offset 0x20)",
        "async canonical option requires the component model async feature (at offset 0x30)",
    ],
)
def test_a_feature_without_a_setting_is_said_to_have_none(error: str):
    assert feature_hint(error, {}, "48.0.0") == "no setting of wasmtime-py enables that feature"


@pytest.mark.parametrize(
    "error", ["unexpected end of file (at offset 0x9)", "type mismatch in exceptions", "killed"]
)
def test_another_error_brings_no_hint(error: str):
    assert feature_hint(error, {}, "48.0.0") == ""


def test_a_build_shows_the_setting(project: Project):
    project.write("demo/a.wasm", bytes(wasmtime.wat2wasm(MODULES["wasm-wide-arithmetic"])))
    built = project.build()
    assert built.status != 0
    assert "the setting wasm-wide-arithmetic = true of a profile enables it" in built.output
    project.append("profiles.default.wasm-wide-arithmetic = true\n")
    built = project.build()
    assert built.status == 0, built.output
