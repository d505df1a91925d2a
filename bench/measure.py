"""Runs processes, and tells what they took."""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Process", "Results", "Row", "run"]

_SAMPLE = 0.02
"""Seconds between two looks at a process tree's memory."""


@dataclass(frozen=True)
class Process:
    """A process that has ended."""

    seconds: float
    """From its start to its end."""
    peak: int
    """Bytes: the most that it and its children had resident at one time, pages they share twice."""
    output: str
    """What it wrote to its standard output."""

    @property
    def told(self) -> dict[str, Any]:
        """The last line of the output, which is JSON."""
        told: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return told


def run(words: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> Process:
    """Run a process to its end.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        words, cwd=folder, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    memory = _Memory(process.pid)
    memory.start()
    output, errors = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {process.returncode}\n{output}{errors}")
    return Process(seconds, memory.peak(), output)


class _Memory(threading.Thread):
    """Watches how much memory a tree of processes has."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._peak = 0

    def run(self) -> None:
        with suppress(psutil.Error):
            root = psutil.Process(self._pid)
            while True:
                total = root.memory_info().rss
                for child in root.children(recursive=True):
                    with suppress(psutil.Error):
                        total += child.memory_info().rss
                self._peak = max(self._peak, total)
                time.sleep(_SAMPLE)

    def peak(self) -> int:
        self.join()
        return self._peak


@dataclass
class Row:
    """One thing measured, several times."""

    input: str
    contender: str
    what: str
    unit: str
    """`s` or `B`."""
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass
class Results:
    """All that was measured."""

    rows: list[Row] = field(default_factory=list)

    def add(self, input_: str, contender: str, what: str, unit: str, value: float) -> None:
        row = self.find(input_, contender, what)
        if row is None:
            self.rows.append(Row(input_, contender, what, unit, [value]))
        else:
            row.values.append(value)

    def find(self, input_: str, contender: str, what: str) -> Row | None:
        wanted = input_, contender, what
        found = (row for row in self.rows if (row.input, row.contender, row.what) == wanted)
        return next(found, None)

    def alternate(self, input_: str, contenders: Mapping[str, Contender], times: int) -> None:
        """Run contenders by turns, so that a slow minute of the machine is everybody's.

        Args:
            input_: what they work on.
            contenders: by name; each runs once, and returns what it took by what it is, in seconds;
                bytes where that ends with `memory` or `size`.
            times: how many turns.
        """
        for turn in range(times):
            for name, contender in contenders.items():
                told = contender()
                print(f"{input_}, {name}, {turn + 1}/{times}:", _short(told), flush=True)
                for what, value in told.items():
                    unit = "B" if what.endswith(("memory", "size")) else "s"
                    self.add(input_, name, what, unit, value)

    def document(self) -> list[dict[str, Any]]:
        """Return the rows as they stand in the JSON file."""
        return [
            {**asdict(row), "min": min(row.values), "median": row.median, "max": max(row.values)}
            for row in self.rows
        ]


def _short(told: Mapping[str, float]) -> str:
    return ", ".join(f"{what} {value:.6g}" for what, value in told.items())


if TYPE_CHECKING:
    Contender = Callable[[], Mapping[str, float]]
