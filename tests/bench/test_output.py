"""The docs show the measured results, and ratios compare runs of the same round."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import bench.__main__ as program
from bench import output
from bench.measure import machine
from bench.rows import Row, Sample
from bench.sections import SECTIONS
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = (ROOT / "docs" / "performance.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
PUBLISHED = ROOT / "docs" / "performance"


def shown(text: str) -> dict[str, str]:
    """Return what stands between the comments, by name."""
    return dict(re.findall(r"<!-- bench: ([\w ]+) -->\n(.*?)<!-- bench: end -->", text, re.DOTALL))


def test_the_tables_are_those_of_the_results():
    rows = output.read(PUBLISHED)
    assert shown(README) == {"before and after": output.before_and_after(rows)}
    goals = {row.goal for row in rows}
    assert goals >= {*range(14), 16, 17, 18}
    sections = [section.goal for section in SECTIONS]
    assert goals <= set(sections)
    assert len(sections) == len(set(sections))
    expected = {
        f"goal {goal}" if goal else "growth": output.table(r for r in rows if r.goal == goal)
        for goal in sections
    }
    about = output.about_machine(output.read_machine(PUBLISHED))
    assert shown(PAGE) == {"summary": output.summary(rows), "machine": about, **expected}


def test_redrawing_the_results_gives_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pages = {tmp_path / "README.md": README, tmp_path / "docs" / "performance.md": PAGE}
    for page, text in pages.items():
        page.parent.mkdir(exist_ok=True)
        empty = re.sub(
            r"(<!-- bench: .*? -->\n).*?(<!-- bench: end)", r"\1\2", text, flags=re.DOTALL
        )
        assert len(empty) < len(text)
        page.write_text(empty, "utf-8")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "_draw", lambda _rows, _folder: None)
    program.publish()
    assert {page: page.read_text("utf-8") for page in pages} == pages


def test_the_page_begins_with_the_conclusions_of_all_sections():
    begin, _, _ = PAGE.partition("<!-- bench: summary -->")
    _title, *lines = filter(None, begin.splitlines())
    assert 5 <= len(lines) <= 10
    first_words = [line.split("**")[1] for line in lines if line.startswith("- **")]
    assert len(first_words) >= 5


def test_each_section_begins_with_its_conclusion():
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert headings == [*(section.heading for section in SECTIONS), "How it was measured"]
    for section in SECTIONS:
        text = PAGE.partition(f"\n## {section.heading}\n\n")[2].partition("\n## ")[0]
        conclusion, _, rest = text.partition("\n\n")
        assert re.match(r"[A-Z`].*\.$", conclusion, re.DOTALL), section.heading
        assert re.match(r"(!\[|<!-- bench: )", rest), section.heading
        assert f"<!-- bench: {section.place} -->" in text


def test_the_summary_has_a_row_of_each_section():
    rows = output.read(PUBLISHED)
    lines = iter(output.summary(rows).splitlines()[2:])
    for section in SECTIONS:
        if row := section.chosen(rows):
            line = next(lines)
            assert line.startswith(f"| [{section.heading}](#{section.anchor}) | ")
            without_spread = re.sub(r" \([^()]+ to [^()]+\)", "", output.line(row))
            assert without_spread in line
    assert list(lines) == []


def test_a_section_that_was_not_measured_says_so():
    assert output.table([]) == "Not measured yet.\n"
    assert output.summary([]).count("\n") == 2
    assert SECTIONS[0].chosen([]) is None


def test_the_docs_do_not_show_our_goals():
    goal = sample_row(at_least=31.0)
    assert output.line(goal) == output.line(goal._replace(at_least=None))
    for text in (PAGE, README, output.table([goal])):
        assert not re.search(r"\| *(wanted|reached) *\||[≥≤]", text)


def test_a_missed_goal_is_named():
    assert output.missed(sample_row(at_least=31.0)) == (
        "goal 1 missed: yosys, warm build, against stock: 30 ×, wanted at least 31"  # noqa: RUF001
    )
    assert output.missed(sample_row(at_most=29.0)).endswith("wanted at most 29")
    assert output.missed(sample_row(at_least=30.0)) == output.missed(sample_row()) == ""


def test_a_table_says_which_way_a_ratio_goes():
    ours, theirs = Sample((1.0, 2.0)), Sample((2.0, 6.0))
    row = sample_row()._replace(ours=ours, theirs=theirs)
    fast, slow = theirs.over(ours), ours.over(theirs)
    assert "2.5 (2 to 3) × as fast" in output.line(row._replace(figure=fast))  # noqa: RUF001
    assert "(0.333 to 0.5) × the time" in output.line(row._replace(figure=slow))  # noqa: RUF001
    assert "× as much" in output.line(row._replace(figure=slow, unit="MB"))  # noqa: RUF001
    assert output.line(row._replace(figure=fast, figure_unit="s more")).endswith(") s more")


def test_the_plots_are_there_and_shown():
    for name in ("first-use", "warm-build", "whole-commands", "release", "growth"):
        assert (PUBLISHED / f"{name}.svg").is_file()
        assert f"(performance/{name}.svg)" in PAGE
    for name in ("first-use.svg", "warm-build.svg"):
        assert f"/hatch-wazcache/main/docs/performance/{name})" in README


def test_short_times_are_in_milliseconds():
    row = sample_row()._replace(ours=Sample((0.0123,)), theirs=Sample((0.25,)))
    text = output.line(row).replace("\N{NO-BREAK SPACE}", " ")
    assert text.startswith("yosys | warm build | 12.3 ms | stock | 0.25 s | ")


def test_the_machine_is_named():
    about = machine()
    assert output.about_machine(about).count("\n| ") == len(about) + 1
    assert about["cores"].startswith(f"{os.cpu_count()} of ")


def sample_row(at_least: float | None = None, at_most: float | None = None) -> Row:
    sample = Sample((1.0, 30.0, 31.0))
    return Row(1, "yosys", "warm build", sample, "stock", sample, sample, "s", at_least, at_most)


def test_ratios_are_of_the_same_round():
    ours, theirs = Sample((1.0, 2.0, 4.0)), Sample((3.0, 6.0, 12.0))
    assert theirs.over(ours).values == (3.0, 3.0, 3.0)
    assert theirs.less(ours).values == (2.0, 4.0, 8.0)
    assert theirs.plus(ours).median == 8.0


def test_a_goal_is_reached_by_the_median():
    sample = Sample((1.0, 30.0, 31.0))
    row = Row(1, "yosys", "warm build", sample, "stock", sample, sample, "s", at_least=30.0)
    assert row.reached is True
    assert row._replace(at_least=30.5).reached is False
    assert row._replace(at_least=None, at_most=29.0).reached is False
    assert row._replace(at_least=None).reached is None


def test_a_row_comes_back_out_of_the_results():
    sample = Sample((0.2, 0.1, 0.4))
    row = Row(5, "gofmt", "memory", sample, "", None, sample, "MB", at_most=120.0, size=4.0)
    about = row.as_json()
    assert about["ours"] == {"min": 0.1, "median": 0.2, "max": 0.4, "runs": [0.2, 0.1, 0.4]}
    assert about["reached"] is True
    assert Row.of_json(about) == row
