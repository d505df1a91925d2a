"""The results as JSON, and as the table in the docs."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

__all__ = ["merged", "table"]

HEAD = (
    "package", "wasmtime", "lines", "wheel, MB", "first start, s: before", "after",
    "second start, s: before", "after", "its own tests before; after",
)  # fmt: skip


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the results that were measured again."""
    return dict(sorted({**old, **new}.items()))


def table(results: Mapping[str, Any]) -> str:
    """Return the table: for times, the least and the median of the rounds."""
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [_row(name, one) for name, one in sorted(results.items())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    sizes = [f"{size / 1e6:.1f}" for size in (one["released"], *one["wheels"])]
    before, after = one["times"]["before"], one["times"]["after"]
    return (
        f"{name} {one['version']}",
        one["wasmtime"],
        f"+{one['added']} -{one['removed']}",
        f"{sizes[0]} → {' and '.join(sizes[1:])}",
        _seconds(before["first"]),
        _seconds(after["first"]),
        f"{_seconds(before['second'])} ({one['cache']})",
        _seconds(after["second"]),
        "; ".join(one["tests"]) or "not run",
    )


def _seconds(times: list[float]) -> str:
    least, middle = min(times), median(times)
    return f"{least:.2f}" if len(times) == 1 else f"{least:.2f} / {middle:.2f}"
