"""Writes the results: JSON for programs, tables for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.rows import Row, Sample

__all__ = ["before_and_after", "insert", "line", "merge", "number_text", "read", "table", "write"]

_HEAD = ("input", "measured", "here", "against", "there", "figure", "wanted", "reached")


def write(rows: Sequence[Row], machine: Mapping[str, str], folder: Path) -> None:
    """Write `results.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {"machine": dict(machine), "rows": [row.as_json() for row in rows]}
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def read(folder: Path) -> list[Row]:
    """Read `results.json`."""
    results = json.loads((folder / "results.json").read_text())
    return [Row.of_json(row) for row in results["rows"]]


def merge(before: Sequence[Row], now: Sequence[Row]) -> list[Row]:
    """Replace old rows by new rows of the same comparison."""

    def comparison(row: Row) -> tuple[object, ...]:
        return row.goal, row.input, row.what, row.against

    new = {comparison(row): row for row in now}
    return [*(new.pop(comparison(row), row) for row in before), *new.values()]


def insert(path: Path, name: str, text: str) -> None:
    """Put a text into a Markdown file, between the comments that name its place."""
    place = re.compile(rf"(<!-- bench: {name} -->\n).*?(<!-- bench: end -->)", re.DOTALL)
    before = path.read_text()
    assert len(place.findall(before)) == 1, (path, name)
    path.write_text(place.sub(lambda match: match[1] + text + match[2], before))


def line(row: Row) -> str:
    """Return a row as a line of text."""
    return " | ".join(_cells(row))


def table(rows: Iterable[Row]) -> str:
    """Return rows as a table in Markdown."""
    return _markdown([list(_HEAD), *map(_cells, rows)])


def before_and_after(rows: Sequence[Row]) -> str:
    """Return the README's table: the waiting times without hatch-wazcache and with it."""
    chosen = (
        ("yosys", "from start to module", "compiling at start"),
        ("python", "from start to module", "compiling at start"),
        ("gofmt", "from start to module", "compiling at start"),
        ("yosys", "warm build", "stock hatchling, the same files"),
    )
    sizes = {"yosys": "yosys (69 MB)", "python": "CPython (26 MB)", "gofmt": "gofmt (4 MB)"}
    cells = [["", "without", "with hatch-wazcache", "factor"]]
    for wanted in chosen:
        row = next(row for row in rows if (row.input, row.what, row.against) == wanted)
        assert row.theirs is not None
        label = (
            "from start to a loaded module" if "start" in row.what else "packing the wheel again"
        )
        cells.append(
            [
                f"{sizes[row.input]}, {label}",
                f"{row.theirs.median:.2g} s",
                f"{row.ours.median:.2g} s",
                f"{row.figure.median:.0f}",
            ]
        )
    return _markdown(cells)


def _markdown(cells: Sequence[Sequence[str]]) -> str:
    lines = [cells[0], ["---"] * len(cells[0]), *cells[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Row) -> list[str]:
    reached = {None: "", True: "yes", False: "no"}[row.reached]
    wanted = "" if row.at_least is None else f"≥ {row.at_least:g}"
    wanted = wanted if row.at_most is None else f"≤ {row.at_most:g}"
    ours = f"{number_text(row.ours.median)} {row.unit}"
    if row.theirs is None:
        return [row.input, row.what, ours, "", "", "", wanted, reached]
    theirs = f"{number_text(row.theirs.median)} {row.unit}"
    figure = f"{_spread(row.figure)} {row.figure_unit}"
    return [row.input, row.what, ours, row.against, theirs, figure, wanted, reached]


def _spread(sample: Sample) -> str:
    """Return the median, with the minimum and the maximum if they differ."""
    least, most = number_text(min(sample.values)), number_text(max(sample.values))
    middle = number_text(sample.median)
    return middle if least == most else f"{middle} ({least} to {most})"


def number_text(value: float) -> str:
    """Return a number with at least three digits, for people."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
