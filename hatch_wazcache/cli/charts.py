"""Draws bar charts: as lines of text for a terminal of any width, and as an SVG file."""

from __future__ import annotations

import html
import textwrap
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Bar", "Chart", "chart_lines", "chart_svg"]

_FILLED = ("█", "░")
"""The first and the second part of a bar."""
_PLAIN = ("#", ".")
"""The same for an encoding without these characters."""

_SHORTEST = 10
"""The fewest columns of the longest bar beside its label."""

_ROW, _LEFT, _WIDTH, _RIGHT = 22, 250, 360, 190
"""Sizes in the SVG file: the height of a row, and the widths of label, bar and text."""

_STYLE = """\
text { font: 13px sans-serif; fill: #24292f }
.title { font-weight: bold }
.text { fill: #57606a }
.part0 { fill: #1a7f37 }
.part1 { fill: #bf8700 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.text { fill: #9198a1 }
.part0 { fill: #3fb950 }
.part1 { fill: #d29922 }
}"""


class Bar(NamedTuple):
    """A row of a chart."""

    label: str
    parts: tuple[float, ...]
    """One or two values, which are drawn one behind the other."""
    text: str
    """The values in words."""


class Chart(NamedTuple):
    """A chart with one bar for each row."""

    title: str
    bars: Sequence[Bar]
    parts: tuple[str, ...] = ()
    """The names of the parts, if there are two."""

    @property
    def largest(self) -> float:
        """The largest sum of a row's parts; 1 if all are 0."""
        return max((sum(bar.parts) for bar in self.bars), default=0) or 1


def chart_lines(chart: Chart, width: int, encoding: str) -> Iterator[str]:
    """Yield the lines of a chart. If the labels leave no room, the bars are below them.

    Args:
        chart: the chart.
        width: the most columns of a line, from 30 on.
        encoding: of the terminal.
    """
    signs = _FILLED if encoding.lower().replace("-", "").startswith("utf8") else _PLAIN
    legend = ", ".join(f"{sign} {name}" for sign, name in zip(signs, chart.parts, strict=False))
    yield from textwrap.wrap(f"{chart.title}{f' ({legend})' if legend else ''}", width)
    rows = [(printable(bar.label), bar) for bar in chart.bars]
    label_width = max((len(label) for label, _bar in rows), default=0)
    text_width = max((len(bar.text) for bar in chart.bars), default=0)
    has_room = label_width + _SHORTEST + text_width + 6 <= width
    begin = label_width + 4 if has_room else 4
    bar_width = max(width - begin - text_width - 2, 2)
    for label, bar in rows:
        shown = label if len(label) <= width - 2 else f"{label[: width - 5]}..."
        drawn = _drawn(bar.parts, chart.largest, bar_width - 1, signs)
        values = f"{drawn:<{bar_width}}  {bar.text:>{text_width}}"
        if has_room:
            yield f"  {shown:<{label_width}}  {values}"
        else:
            yield f"  {shown}"
            yield f"    {values}"


def _drawn(parts: Iterable[float], largest: float, width: int, signs: Sequence[str]) -> str:
    """Draw a bar. A part that is not 0 has at least one column, so that it is not lost."""
    ends = [round(end / largest * width) for end in accumulate(parts)]
    drawn = ""
    for end, value, sign in zip(ends, parts, signs, strict=False):
        drawn += sign * max(end - len(drawn), 1 if value else 0)
    return drawn


def chart_svg(charts: Iterable[Chart]) -> str:
    """Return an SVG file with charts, for light and dark pages."""
    shapes: list[str] = []
    y = _ROW
    for chart in charts:
        legend = f" ({' and '.join(chart.parts)})" if chart.parts else ""
        shapes.append(_text(8, y, f"{chart.title}{legend}", "title"))
        for bar in chart.bars:
            y += _ROW
            shapes.append(_text(_LEFT - 10, y, _shortened(printable(bar.label)), "label", "end"))
            x = float(_LEFT)
            for number, value in enumerate(bar.parts):
                length = value / chart.largest * _WIDTH
                shapes.append(
                    f'<rect class="part{number}" x="{x:.1f}" y="{y - 13}" width="{length:.1f}" '
                    'height="16"/>'
                )
                x += length
            shapes.append(_text(int(x) + 8, y, bar.text, "text"))
        y += 2 * _ROW
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{y - _ROW}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>\n{_STYLE}\n</style>\n'
        + "".join(f"{shape}\n" for shape in shapes)
        + "</svg>\n"
    )


def _text(x: int, y: int, text: str, name: str, anchor: str = "start") -> str:
    return f'<text class="{name}" x="{x}" y="{y}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _shortened(label: str) -> str:
    return label if len(label) <= 34 else f"{label[:31]}..."
