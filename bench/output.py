"""Writes the results: JSON for programs, tables for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.rows import TIMES, Row, Sample
from bench.sections import SECTIONS

__all__ = [
    "about_machine",
    "before_and_after",
    "insert",
    "line",
    "merge",
    "missed",
    "number_text",
    "read",
    "read_machine",
    "summary",
    "table",
    "write",
]

_SHORT = 0.1
"""Seconds."""
_HEAD = ("measured", "result", "compared with", "its result", "comparison")


def write(rows: Sequence[Row], machine: Mapping[str, str], folder: Path) -> None:
    """Write `results.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {"machine": dict(machine), "rows": [row.as_json() for row in rows]}
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def read(folder: Path) -> list[Row]:
    """Read `results.json`."""
    results = json.loads((folder / "results.json").read_text())
    return [Row.of_json(row) for row in results["rows"]]


def read_machine(folder: Path) -> dict[str, str]:
    """Read the machine from `results.json`."""
    machine: dict[str, str] = json.loads((folder / "results.json").read_text())["machine"]
    return machine


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
    cells = [["input", *_HEAD], *map(_cells, rows)]
    return _markdown(cells) if len(cells) > 1 else "Not measured yet.\n"


def summary(rows: Sequence[Row]) -> str:
    """Return a table in Markdown with one row of each section that was measured: medians only."""
    measured = [(section, row) for section in SECTIONS if (row := section.chosen(rows))]
    cells = (
        [f"[{one.heading}](#{one.anchor})", *_cells(row, with_spread=False)]
        for one, row in measured
    )
    return _markdown([["section", "input", *_HEAD], *cells])


def about_machine(machine: Mapping[str, str]) -> str:
    """Return a table in Markdown with the machine, and the versions of the programs."""
    return _markdown([["machine", ""], *([name, text] for name, text in machine.items())])


def missed(row: Row) -> str:
    """Return a line of text about a goal that is not reached; empty if it is, or there is none."""
    if row.reached is not False:
        return ""
    most = row.at_most is not None
    bound = f"at {'most' if most else 'least'} {row.at_most if most else row.at_least:g}"
    against = f", against {row.against}" if row.against else ""
    figure = f"{number_text(row.figure.median)} {row.figure_unit}"
    return f"goal {row.goal} missed: {row.input}, {row.what}{against}: {figure}, wanted {bound}"


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


def _cells(row: Row, *, with_spread: bool = True) -> list[str]:
    ours = _quantity(row.ours.median, row.unit)
    if row.theirs is None:
        return [row.input, row.what, ours, "", "", ""]
    theirs = _quantity(row.theirs.median, row.unit)
    figure = _spread(row.figure) if with_spread else number_text(row.figure.median)
    comparison = _comparison(row, row.theirs, f"{figure} {row.figure_unit}")
    return [row.input, row.what, ours, row.against, theirs, comparison]


def _comparison(row: Row, theirs: Sample, text: str) -> str:
    """Return a text with the figure and its meaning. A ratio of times may have either on top."""
    if row.figure_unit != TIMES:
        return text
    if row.unit not in ("s", "ms"):
        return f"{text} {'as much' if row.unit == 'MB' else 'as many'}"
    figure, ratio = row.figure.values[0], row.ours.values[0] / theirs.values[0]
    is_speed = abs(figure - 1 / ratio) < abs(figure - ratio)
    return f"{text} {'as fast' if is_speed else 'the time'}"


def _quantity(value: float, unit: str) -> str:
    """Return a number with its unit. Short times are in milliseconds."""
    if unit == "s" and value < _SHORT:
        value, unit = value * 1000, "ms"
    return f"{number_text(value)}\N{NO-BREAK SPACE}{unit}"


def _spread(sample: Sample) -> str:
    """Return the median, with the minimum and the maximum if they differ."""
    least, most = number_text(min(sample.values)), number_text(max(sample.values))
    middle = number_text(sample.median)
    return middle if least == most else f"{middle} ({least} to {most})"


def number_text(value: float) -> str:
    """Return a number with at least three digits, for people."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
