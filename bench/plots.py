"""The plots of the docs and the README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from bench.output import number_text
from bench.rows import Row

mpl.use("svg")

import matplotlib.pyplot as plt

__all__ = ["draw"]

_HERE, _THERE = "#1f6f8b", ("#c9c9c9", "#a3a3a3", "#7d7d7d", "#5a5a5a")
_METADATA = {"Date": None, "Creator": None}
"""Without dates, so that equal figures give equal files."""


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Write each plot whose rows were measured."""
    mpl.rcParams.update({"svg.hashsalt": "bench", "font.size": 9, "axes.spines.top": False,
                         "axes.spines.right": False})  # fmt: skip
    first = [row for row in rows if row.what == "from start to module"]
    if first:
        _bars(first, "Seconds from start to a loaded module", folder / "first-use.svg")
    warm = [row for row in rows if row.what == "warm build"]
    if warm:
        _bars(warm, "Seconds to build the wheel again", folder / "warm-build.svg")
    if commands := _whole_commands(rows):
        _bars(commands, "Seconds of a whole command", folder / "whole-commands.svg",
              ours="hatch-wazcache, one exact wasmtime")  # fmt: skip
    if releases := _releases(rows):
        _bars(releases, "Seconds to make all wheels of a release again", folder / "release.svg")
    grown = [row for row in rows if row.goal == 0]
    if grown:
        _growth(grown, folder / "growth.svg")


def _whole_commands(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of whole commands, and each also against the build with a range."""
    exact, ranged = ", warm, one exact wasmtime", ", warm, a range of wasmtime"
    found = {(row.input, row.what): row for row in rows if row.goal == 14}
    commands = [(key, row) for key, row in found.items() if row.what.endswith(exact)]
    drawn = []
    for (name, what), row in commands:
        command = what.removesuffix(exact)
        other = found[name, command + ranged]
        front_end = command.strip("`").removeprefix("python -m ").split()[0]
        one = row._replace(input=f"{name}\n{front_end}")
        against = "hatch-wazcache, a range of wasmtime"
        drawn += [one, one._replace(against=against, theirs=other.ours)]
    return drawn


def _releases(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of warm releases against `cp`, with the kind in the name of the input."""
    kinds = {"a release, companions, warm": "companions",
             "a release, one wheel for each system, warm": "in the package"}  # fmt: skip
    found = [
        row for row in rows if row.what in kinds and row.against.endswith("importing hatchling")
    ]
    return [row._replace(input=f"{row.input}\n{kinds[row.what]}",
                         against=row.against.replace("`", "")) for row in found]  # fmt: skip


def _bars(rows: Sequence[Row], title: str, path: Path, *, ours: str = "hatch-wazcache") -> None:
    """Draw a group of bars for each input, on a logarithmic scale: our bar first."""
    inputs = list(dict.fromkeys(row.input for row in rows))
    others = list(dict.fromkeys(row.against for row in rows))
    width = 0.8 / (len(others) + 1)
    figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    bars: list[tuple[str, str, list[tuple[int, float]]]] = []
    firsts = [(n, next(r for r in rows if r.input == name)) for n, name in enumerate(inputs)]
    bars.append((ours, _HERE, [(n, row.ours.median) for n, row in firsts]))
    for number, other in enumerate(others):
        there = [(inputs.index(row.input), row.theirs.median) for row in rows
                 if row.against == other and row.theirs is not None]  # fmt: skip
        bars.append((other, _THERE[number % len(_THERE)], there))
    for number, (label, colour, values) in enumerate(bars):
        places = [n + (number - len(others) / 2) * width for n, _value in values]
        drawn = axes.bar(places, [value for _n, value in values], width * 0.92,
                         color=colour, label=label)  # fmt: skip
        axes.bar_label(drawn, [f"{value:.2g}" for _n, value in values], fontsize=7, padding=1)
    axes.set_yscale("log")
    axes.set_xticks(range(len(inputs)), inputs)
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, ncols=2 if len(bars) > 2 else 1, loc="upper left")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 6)  # the smallest bar is one, and there is room for the legend
    figure.savefig(path, metadata=_METADATA)
    plt.close(figure)


def _growth(rows: Sequence[Row], path: Path) -> None:
    """Draw the time of a build, cold and warm, by assets, megabytes and targets."""
    things = list(dict.fromkeys(row.input for row in rows))
    figure, panels = plt.subplots(1, len(things), figsize=(6.4, 2.6), layout="constrained")
    for axes, thing in zip(panels, things, strict=True):
        for temper, colour in (("cold", _THERE[1]), ("warm", _HERE)):
            found = [row for row in rows if row.input == thing and row.what.startswith(temper)]
            sizes = [row.size for row in found]
            axes.plot(sizes, [row.ours.median for row in found], "o-", color=colour, label=temper)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(sizes, list(map(number_text, sizes)))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(thing)
    panels[0].set_ylabel("seconds")
    panels[0].legend(frameon=False)
    figure.savefig(path, metadata=_METADATA)
    plt.close(figure)
