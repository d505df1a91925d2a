"""The docs show the measured results, and ratios compare runs of the same round."""

from __future__ import annotations

import re

from bench import output
from bench.rows import Row, Sample
from tests.support.paths import ROOT

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
    assert goals == set(range(14))
    expected = {
        f"goal {goal}" if goal else "growth": output.table(r for r in rows if r.goal == goal)
        for goal in goals
    }
    assert shown(PAGE) == expected


def test_the_plots_are_there_and_shown():
    for name in ("first-use.svg", "warm-build.svg", "growth.svg"):
        assert (PUBLISHED / name).is_file()
        assert f"(performance/{name})" in PAGE
    for name in ("first-use.svg", "warm-build.svg"):
        assert f"/hatch-wazcache/main/docs/performance/{name})" in README


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
