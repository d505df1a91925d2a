"""A program that PyInstaller has frozen, and that uses a `CompilationCache`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.wasm import ANSWER

pytest.importorskip("PyInstaller", reason="PyInstaller is needed: `pip install pyinstaller`")

PROGRAM = """
import sys
from hatch_wazcache import CompilationCache
with open(sys.argv[2], "a") as log:
    log.write("started\\n")
with CompilationCache.in_directory(sys.argv[1]) as cache:
    print(*[export.name for export in cache.load_module(sys.stdin.buffer.read()).exports])
"""


@pytest.mark.parametrize("kind", ["--onefile", "--onedir"])
def test_a_frozen_program_compiles_once_and_never_starts_itself(tmp_path: Path, kind: str):
    (tmp_path / "program.py").write_text(PROGRAM)
    words = ["-m", "PyInstaller", kind, "--distpath", tmp_path / "dist", "program.py"]
    subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, capture_output=True)
    program = tmp_path / "dist" / "program"
    program = program / "program" if program.is_dir() else program
    for run in (1, 2):
        done = subprocess.run(
            [program, tmp_path / "cache", tmp_path / "log"],
            input=ANSWER, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout == b"answer\n", done.stderr
        assert (b"this process compiles" in done.stderr) == (run == 1)
        assert (tmp_path / "log").read_text() == "started\n" * run
