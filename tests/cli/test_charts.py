"""`info --plot` draws what the cache holds and has saved, for people who rather look than read."""

from __future__ import annotations

import json
import re
import shutil
import time
from itertools import cycle
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_wazcache.cache.statistics import BuildStatistics, record
from hatch_wazcache.cli.charts import Bar, Chart, chart_lines, chart_svg
from tests.support.commands import answer, entries, run, said, without_ages
from tests.support.projects import Project
from tests.support.wheels import TARGET

DAY = 86400.0

values = st.floats(0, 1e12)
bars = st.lists(st.builds(Bar, st.text(), st.tuples(values, values), st.just("1.0 s + 2.0 s")))


@pytest.fixture
def busy(filled: Project) -> Project:
    """A cache that several projects have used for days."""
    key, other, *_ = (entry.stem for entry in entries(filled))
    now = time.time()
    for days, project, saved, compiled, keys, target in (
        (5, "gofmt", 30.0, 10.0, (key,), "x86_64-linux"),
        (4, "yosys", 0.0, 5.0, (other,), "any"),
        (1, "gofmt", 20.0, 0.0, (key,), "x86_64-linux"),
    ):
        build = BuildStatistics(now - days * DAY, project, 1, 1, saved, compiled, keys, target)
        record(filled.cache, build)
    return filled


@given(bars, st.integers(30, 120), st.sampled_from(["utf-8", "ascii"]))
def test_no_line_is_wider_than_the_terminal_and_no_bar_gets_lost(
    rows: list[Bar], width: int, encoding: str
):
    chart = Chart("time", rows, ("saved", "compiled"))
    lines = list(chart_lines(chart, width, encoding))
    assert max(map(len, lines)) <= width
    drawn = [line for line in lines[1:] if line.endswith("s + 2.0 s")]
    assert len(drawn) == len(rows)
    for line, bar in zip(drawn, rows, strict=True):
        line.encode(encoding, "backslashreplace")
        if any(bar.parts):
            assert re.search(r"[█░]" if encoding == "utf-8" else r"[#.]", line)


def test_a_bar_is_as_long_as_its_value():
    chart = Chart("size", [Bar("a", (100,), "a"), Bar("b", (50,), "b"), Bar("c", (0,), "c")])
    lengths = [line.count("#") for line in list(chart_lines(chart, 100, "ascii"))[1:]]
    assert lengths[0] > 80
    assert abs(lengths[0] - 2 * lengths[1]) <= 1
    assert lengths[2] == 0


@pytest.mark.parametrize("columns", [40, 120])
def test_a_plot_is_readable_on_narrow_and_wide_terminals(busy: Project, columns: int):
    shown = said(busy, "info", "--plot", COLUMNS=str(columns), PYTHONIOENCODING="utf-8")
    plain = said(busy, "info").splitlines()
    lines = shown.splitlines()
    assert lines[: len(plain)] == plain
    plot = lines[len(plain) :]
    assert max(map(len, plot)) <= columns
    text = " ".join(" ".join(plot).split())
    for title in (
        "size by project",
        "size by engine and target",
        "by project (█ saved, ░ compiled)",
    ):
        assert title in text
    for label in (
        "gofmt",
        "yosys",
        "(several projects)",
        "wasmtime 48.",
        TARGET,
        "compressed .wasm",
    ):
        assert label in text
    days = re.findall(r"\d{4}-\d\d-\d\d", text)
    assert len(days) == 6  # those without a build too
    assert days == sorted(days)
    assert "50.0 s + 10.0 s" in text


def test_builds_of_one_day_are_shown_by_the_hour(filled: Project):
    shown = said(filled, "info", "--plot", PYTHONIOENCODING="utf-8")
    assert "of the last 2 builds, by hour" in shown
    assert 1 <= len(re.findall(r"\d\d-\d\d \d\d:00", shown)) <= 2


def test_a_plot_in_an_encoding_without_blocks_uses_plain_signs(busy: Project):
    done = run(busy, "info", "--plot", PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    assert "##" in done.stdout
    assert "(# saved, . compiled)" in done.stdout


def test_a_plot_for_programs_has_the_values(busy: Project):
    charts = {chart["title"]: chart["bars"] for chart in answer(busy, "info", "--plot")["charts"]}
    on_disk = sum(entry.stat().st_blocks * 512 for entry in entries(busy))
    for title in ("size by project", "size by engine and target"):
        assert sum(bar["parts"][0] for bar in charts[title]) == on_disk
    projects = {
        bar["label"]: bar["parts"] for bar in charts["time of the last 5 builds, by project"]
    }
    assert projects["gofmt"] == [50.0, 10.0]
    assert projects["yosys"] == [0.0, 5.0]
    assert "charts" not in answer(busy, "info")


def test_a_plot_of_an_empty_cache_is_no_error(filled: Project):
    shutil.rmtree(filled.cache)
    assert said(filled, "info", "--plot") == said(filled, "info")


def test_a_plot_can_be_an_svg_file(busy: Project, tmp_path: Path):
    file = tmp_path / "plot.svg"
    assert said(busy, "info", "--plot", str(file)).endswith(f"plot     {file}\n")
    root = ET.fromstring(file.read_text("utf-8"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "gofmt" in texts
    assert "size by engine and target" in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}rect"))) > 10
    assert run(busy, "info", "--plot", "plot.png").returncode == 2
    done = run(busy, "info", "--plot", str(tmp_path / "none" / "plot.svg"))
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


def test_the_name_of_a_project_is_no_markup_and_no_control_character(filled: Project):
    name = "</text><script>\x1b[31m&"
    key = entries(filled)[0].stem
    for _ in range(3):
        record(filled.cache, BuildStatistics(time.time(), name, 1, 0, 0.5, 0.0, (key,)))
    shown = said(filled, "info", "--plot")
    assert "\x1b" not in shown
    said(filled, "info", "--plot", "plot.svg")
    root = ET.parse(filled.root / "plot.svg").getroot()
    assert {element.tag.partition("}")[2] for element in root.iter()} == {
        "svg", "style", "text", "rect"
    }  # fmt: skip


@given(bars)
def test_every_svg_file_is_xml(rows: list[Bar]):
    root = ET.fromstring(chart_svg([Chart("a", rows, ("b", "c"))]))
    height = float(root.get("height", ""))
    assert all(float(element.get("y", "0")) <= height for element in root.iter())


GOOD = {
    "time": 1.0, "project": "odd", "hits": 0, "misses": 0, "seconds_saved": 0.0,
    "seconds_compiled": 0.0, "keys": [],
}  # fmt: skip
DAMAGED = {
    "a time that no clock has": json.dumps({**GOOD, "time": float("inf")}),
    "no number": json.dumps({**GOOD, "time": float("nan")}),
    "endless seconds": json.dumps({**GOOD, "seconds_saved": float("inf")}),
    "negative seconds": json.dumps({**GOOD, "seconds_compiled": -5}),
    "endless hits": json.dumps({**GOOD, "hits": float("inf")}),
    "a list as a key": json.dumps({**GOOD, "keys": [["x"]]}),
    "a list": "[]",
    "lists in lists": "[" * 100_000,
}


def test_damaged_statistics_of_a_build_stop_no_command_and_no_build(busy: Project):
    def write(numbers: range) -> None:
        for number, text in zip(numbers, cycle(DAMAGED.values()), strict=False):
            (busy.cache / "builds" / f"{number}-aa.json").write_text(text)

    commands = (["info", "--plot"], ["list"], ["remove", "demo", "--dry-run"])
    clean = [without_ages(said(busy, *command)) for command in commands]
    write(range(len(DAMAGED)))
    assert [without_ages(said(busy, *command)) for command in commands] == clean
    # With so many files, a build adds up the oldest.
    write(range(110))
    assert busy.build().status == 0
    assert said(busy, "info")
    assert not (busy.cache / "builds" / "0-aa.json").exists()


def test_a_damaged_total_stops_no_command(busy: Project):
    total = {**GOOD, "builds": 7}
    (busy.cache / "builds" / "total.json").write_text(json.dumps(total))
    builds = answer(busy, "info")["statistics"]["builds"]
    for damage in ({"hits": float("inf")}, {"seconds_saved": float("nan")}, {"builds": -7}):
        (busy.cache / "builds" / "total.json").write_text(json.dumps({**total, **damage}))
        assert answer(busy, "info")["statistics"]["builds"] == builds - 7
