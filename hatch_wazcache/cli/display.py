"""The look of results, and the progress display.

On a terminal with rich, the progress is a line that changes. Otherwise it is plain lines on
standard error, so that standard output holds the result alone.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_wazcache.report import Report
from hatch_wazcache.util.ci_log import ci_log
from hatch_wazcache.util.sizes_and_times import size_text
from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.progress import Progress, TaskID

    from hatch_wazcache.cache.items import Item

__all__ = [
    "ago_text",
    "compiling",
    "counted",
    "detail",
    "entries_text",
    "reading",
    "set_verbosity",
    "table",
]

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


_verbosity = 0
"""1 shows details, too; -1 shows errors and the result only."""


def set_verbosity(verbosity: int) -> None:
    """Choose what this process shows beside the result.

    Args:
        verbosity: 1 for details, 0, or -1 for errors only.
    """
    global _verbosity  # noqa: PLW0603 - one process runs one command
    _verbosity = verbosity


def detail(text: str) -> None:
    """Show a line on standard error, if the user has asked for details."""
    if _verbosity > 0:
        _say(ci_log().line(f"hatch-wazcache: {printable(text)}"))


def ago_text(since: float) -> str:
    """Write how long ago something was: `just now`, `5 min ago`, `3 days ago`.

    Args:
        since: seconds since 1970.
    """
    seconds = time.time() - since
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "min")):
        if seconds >= unit:
            count = int(seconds / unit)
            return f"{count} {name}{'s' if count > 1 and name != 'min' else ''} ago"
    return "just now"


def entries_text(count: int) -> str:
    """Write a number of entries."""
    return f"{count} {'entry' if count == 1 else 'entries'}"


def counted(number: int, name: str) -> str:
    """Write a number of things: `1 wheel`, `2 wheels`."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def table(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Align the cells of rows in columns; rows may have different lengths."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max(len(row[n]) for row in rows if n < len(row)) for n in range(columns)]
    return [
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


@contextmanager
def compiling(*, strict: bool) -> Iterator[Report]:
    """Open a report that shows the running compilations.

    Args:
        strict: whether a warning is an error.
    """
    show, detailed = _hide if _verbosity < 0 else _say, _verbosity > 0
    progress = _progress("{task.fields[number]}", "{task.description}")
    if progress is None:
        yield Report(show, show, strict=strict, detailed=detailed)
    else:
        with progress:
            yield _LiveReport(progress, strict=strict, detailed=detailed)


@contextmanager
def reading(total: int) -> Iterator[Callable[[Item], None]]:
    """Open a progress display. Call the result after each item that was read.

    Args:
        total: bytes of all items.
    """
    progress = _progress("{task.percentage:3.0f} %", "{task.description}")
    if progress is None:
        yield lambda _item: None
    else:
        task = progress.add_task(size_text(total), total=total)
        with progress:
            yield lambda item: progress.advance(task, item.size)


class _LiveReport(Report):
    """A report with one changing line for each asset that is being compiled."""

    def __init__(self, progress: Progress, *, strict: bool, detailed: bool) -> None:
        super().__init__(self._print, self._print, strict=strict, detailed=detailed)
        self._progress = progress
        self._begun = 0
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def _print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def begins(self, label: str, target: str) -> None:
        self._begun += 1
        text = _escaped(f"{label}: compiling for {target}")
        number = f"{self._begun} of {max(self.to_compile, self._begun)}"
        self._tasks[label, target] = self._progress.add_task(text, total=None, number=number)

    def goes_on(self, label: str, target: str, seconds: float) -> None:
        """Show nothing: the changing line already shows the time."""

    def is_compiled(self, label: str, target: str, seconds: float, size: int) -> None:
        self._progress.remove_task(self._tasks.pop((label, target)))
        super().is_compiled(label, target, seconds, size)


def _progress(*texts: str) -> Progress | None:
    """Make a progress display, if rich is installed and both streams are a terminal.

    Args:
        texts: the columns behind the clock. The last one is cut where the terminal is narrow.
    """
    if _verbosity < 0 or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return None
    try:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column
    except ImportError:
        return None
    console = Console(stderr=True)
    if console.is_dumb_terminal:
        return None
    whole, cut = Column(no_wrap=True), Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns = [TextColumn(text, table_column=whole.copy()) for text in texts[:-1]]
    columns.append(TextColumn(texts[-1], table_column=cut))
    clock = TimeElapsedColumn(table_column=whole)
    shown = Progress(SpinnerColumn("line"), clock, *columns, console=console, transient=True)
    shown.expand = True
    return shown


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _hide(_line: str) -> None:
    """Show nothing."""
