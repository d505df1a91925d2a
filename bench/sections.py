"""The sections of the page on performance, and the row of each that stands in the summary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from bench.rows import Row

__all__ = ["SECTIONS", "Section"]


class Section(NamedTuple):
    """A section with a table."""

    goal: int
    """The number of the goal whose rows are in the table."""
    heading: str
    input: str
    what: str
    against: str

    @property
    def place(self) -> str:
        """The name of the comment where the table goes."""
        return f"goal {self.goal}" if self.goal else "growth"

    @property
    def anchor(self) -> str:
        """The name that GitHub gives to the heading."""
        return re.sub(r"[^\w -]", "", self.heading.lower()).replace(" ", "-")

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows of the table."""
        return [row for row in rows if row.goal == self.goal]

    def chosen(self, rows: Iterable[Row]) -> Row | None:
        """Return the row that stands in the summary; None if the section was never measured."""
        wanted = (self.input, self.what, self.against)
        found = self.rows(rows)
        if not found:
            return None
        return next(row for row in found if (row.input, row.what, row.against) == wanted)


SECTIONS = (
    Section(6, "The first use", "yosys", "from start to module", "compiling at start"),
    Section(16, "Companions, several engines, and no artifact", "gofmt",
            "second start, without an artifact for the system", "yowasp-runtime, warm"),
    Section(17, "What a CPU level is worth", "yosys", "synthesis of a processor, x86-64-v3",
            "baseline"),
    Section(1, "Building the wheel again", "yosys", "warm build",
            "stock hatchling, the same files"),
    Section(14, "Whole commands", "gofmt", "`python -m build -w`, warm, one exact wasmtime",
            "stock hatchling without a hook, the .wasm alone"),
    Section(2, "Building the wheel for the first time", "yosys", "cold build",
            "the hand-written hook"),
    Section(3, "One file changed", "44 small", "one module changed",
            "a warm build, and that one compiled by wasmtime-py"),
    Section(4, "Several targets", "python", "six targets, warm", "one target, warm"),
    Section(11, "One wheel for several versions of wasmtime", "gofmt", "3 engines, warm",
            "one engine, warm"),
    Section(15, "A release of many wheels", "yosys", "a release, companions, warm",
            "`cp` of the wheels, and Python importing hatchling"),
    Section(12, "Finished wheels of any build backend", "yosys",
            "`hatch-wazcache compile` of a wheel, warm", "`wheel unpack` and `wheel pack`"),
    Section(13, "A second machine, with a shared cache", "yosys",
            "empty cache, the entry from S3", "compiled"),
    Section(8, "A hook that has nothing to do", "gofmt", "`hatch build` of the example, warm",
            "`hatch build` without any hook"),
    Section(0, "How the cost grows", "MB of .wasm", "warm, 68.9", "the size before"),
    Section(5, "Memory", "yosys", "memory of the building process, cold", ""),
    Section(7, "The size of the wheel", "yosys", "the wheel", "stock hatchling's"),
    Section(18, "The level of compression", "yosys", "deflating the artifact, libdeflate 6",
            "zlib 6"),
    Section(9, "The size of the cache", "yosys", "the cache's artifacts", "raw artifacts"),
    Section(10, "Installing together with other packages", "18 packages, uv",
            "`companion`, the 4 newest engines: pairs that install", "as released"),
)  # fmt: skip
"""In the order of the page. Each goal has one."""
