"""The process that runs a WASI program prints its seconds, and fails if the program fails."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import wasmtime

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

EXIT = """
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const STATUS))))
"""
CALL = """
(module
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 5))
  (func (export "_initialize") (global.set $ready (i32.const STATUS)))
  (func (export "itk_wasm_delayed_start") (result i32) (global.get $ready)))
"""


def run(folder: Path, text: str, status: int) -> subprocess.CompletedProcess[str]:
    artifact = folder / "program.cwasm"
    wasm = wasmtime.wat2wasm(text.replace("STATUS", str(status)))
    artifact.write_bytes(wasmtime.Module(wasmtime.Engine(), wasm).serialize())
    words = [sys.executable, ROOT / "bench" / "wasi_child.py", artifact, folder, "argument"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_it_prints_the_seconds_of_a_command_and_of_an_initialized_program(tmp_path: Path):
    for text in (EXIT, CALL):
        done = run(tmp_path, text, 0)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["run"] > 0


def test_it_fails_if_the_program_fails(tmp_path: Path):
    for text in (EXIT, CALL):
        done = run(tmp_path, text, 3)
        assert done.returncode == 1
        assert "the program ended with status 3" in done.stderr
        assert done.stdout == ""
