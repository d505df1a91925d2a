"""The cache on Windows; the tests themselves are in `on_windows.py`, and run there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.platforms import machines
from tests.support.paths import EXAMPLE


def test_the_cache_keeps_its_promises_on_windows(tmp_path: Path):
    windows = machines.or_skip(lambda: machines.machine("x86_64-windows"))
    # Away from the conftest.py of the tests here, which is for Linux.
    tests = Path(shutil.copy(Path(__file__).with_name("on_windows.py"), tmp_path))
    ran = windows.run(
        "-m", "pytest", "-q", "--basetemp", tmp_path / "windows", tests,
        cwd=tmp_path, site=machines.builder(windows),
        GOFMT=windows.path(EXAMPLE / "src" / "gofmt" / "gofmt.wasm"),
    )  # fmt: skip
    assert ran.status == 0, ran.output
    promises = len(re.findall(r"^def test_", tests.read_text("utf-8"), re.MULTILINE))
    assert f"{promises} passed" in ran.output
