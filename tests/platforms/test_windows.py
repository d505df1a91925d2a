"""The product on Windows; the tests themselves are in files of their own, and run there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.platforms import machines
from tests.support.paths import EXAMPLE


@pytest.mark.parametrize("name", ["on_windows.py", "attacks_on_windows.py"])
def test_the_product_keeps_its_promises_on_windows(tmp_path: Path, name: str):
    windows = machines.or_skip(lambda: machines.machine("x86_64-windows"))
    # Away from the conftest.py of the tests here, which is for Linux.
    for file in Path(__file__).parent.glob("*on_windows.py"):
        shutil.copy(file, tmp_path)
    tests = tmp_path / name
    ran = windows.run(
        "-m", "pytest", "-q", "--basetemp", tmp_path / "windows", tests,
        cwd=tmp_path, site=machines.builder(windows),
        GOFMT=windows.path(EXAMPLE / "src" / "gofmt" / "gofmt.wasm"),
    )  # fmt: skip
    assert ran.status == 0, ran.output
    promises = len(re.findall(r"^def test_", tests.read_text("utf-8"), re.MULTILINE))
    assert f"{promises} passed" in ran.output
