"""Makes charts of what a cache holds, and of the time that it has saved."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from hatch_wazcache.cache.statistics import recent_builds
from hatch_wazcache.cache.usage import usages
from hatch_wazcache.cli.charts import Bar, Chart
from hatch_wazcache.cli.display import counted
from hatch_wazcache.util.sizes_and_times import size_text, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hatch_wazcache.cache.items import EntryItem, WheelItem
    from hatch_wazcache.cache.statistics import BuildStatistics

__all__ = ["cache_charts"]

_MOST_BARS = 12
"""The bars of one chart. What is smaller is added up."""

_PARTS = ("saved", "compiled")

_DAY = 86400.0


def cache_charts(
    cache: Path, entries: Sequence[EntryItem], fetched: Sequence[WheelItem]
) -> list[Chart]:
    """Return the charts of a cache that have something to show.

    Args:
        cache: the cache.
        entries: its entries.
        fetched: its fetched wheels.
    """
    known, builds = usages(cache), recent_builds(cache)
    by_project: Counter[str] = Counter()
    by_scope: Counter[str] = Counter()
    for item in [*entries, *fetched]:
        projects = sorted(known[item.key].builds) if item.key in known else ["(not known)"]
        by_project[projects[0] if len(projects) == 1 else "(several projects)"] += item.size
    for entry in entries:
        engine = "" if entry.engine is None else f"wasmtime {entry.engine}, {entry.target}"
        by_scope[engine or "compressed .wasm"] += entry.size
    for wheel in fetched:
        by_scope["fetched wheels"] += wheel.size
    charts = [
        Chart("size by project", _sizes(by_project)),
        Chart("size by engine and target", _sizes(by_scope)),
    ]
    last = f"of the last {counted(len(builds), 'build')}"
    for name, of in (("project", _project), ("target", _target)):
        sums = _sums(builds, of)
        largest = sorted(sums, key=lambda label: -sum(sums[label]))[:_MOST_BARS]
        charts.append(_times(f"time {last}, by {name}", {label: sums[label] for label in largest}))
    charts.append(_over_time(builds, last))
    return [chart for chart in charts if chart.bars]


def _sizes(sizes: Counter[str]) -> list[Bar]:
    """Return the bars of sizes in bytes, the largest first."""
    listed = sizes.most_common()
    rest = sum(size for _label, size in listed[_MOST_BARS:])
    bars = [Bar(label, (size,), size_text(size)) for label, size in listed[:_MOST_BARS]]
    return [*bars, Bar("(others)", (rest,), size_text(rest))] if rest else bars


def _project(build: BuildStatistics) -> str:
    return build.project


def _target(build: BuildStatistics) -> str:
    return build.target or "(not known)"


def _sums(
    builds: Sequence[BuildStatistics], of: Callable[[BuildStatistics], str]
) -> dict[str, tuple[float, float]]:
    """Add up the seconds that builds saved and compiled."""
    sums: dict[str, tuple[float, float]] = {}
    for build in builds:
        saved, compiled = sums.get(of(build), (0.0, 0.0))
        sums[of(build)] = saved + build.seconds_saved, compiled + build.seconds_compiled
    return sums


def _times(title: str, sums: dict[str, tuple[float, float]]) -> Chart:
    bars = [
        Bar(label, seconds, " + ".join(map(time_text, seconds))) for label, seconds in sums.items()
    ]
    return Chart(title, bars, _PARTS)


def _over_time(builds: Sequence[BuildStatistics], last: str) -> Chart:
    """Return a chart with one bar for each day; or for each hour, if the builds are of two days."""
    first = min((build.time for build in builds), default=0.0)
    newest = max((build.time for build in builds), default=0.0)
    by_day = newest - first > 2 * _DAY
    pattern, step = ("%Y-%m-%d", _DAY) if by_day else ("%m-%d %H:00", _DAY / 24)

    def label(seconds: float) -> str:
        return time.strftime(pattern, time.localtime(seconds))

    sums = _sums(builds, lambda build: label(build.time))
    steps = min(int((newest - first) / step) + 2, _MOST_BARS)
    # Also those without a build. Two steps may have one label, when the clocks change.
    labels = dict.fromkeys(label(newest - number * step) for number in reversed(range(steps)))
    shown = {one: sums.get(one, (0.0, 0.0)) for one in labels}
    while shown and next(iter(shown)) not in sums:
        del shown[next(iter(shown))]
    return _times(f"time {last}, by {'day' if by_day else 'hour'}", shown)
