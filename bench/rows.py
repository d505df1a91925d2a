"""The results of a run: samples, and rows that compare two samples."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

__all__ = ["TIMES", "Row", "Sample"]

TIMES = "×"  # noqa: RUF001
"""The unit of a ratio."""


class Sample(NamedTuple):
    """A figure of several runs, in the order in which they were made."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def times(self, factor: float) -> Sample:
        return Sample(tuple(value * factor for value in self.values))

    def over(self, other: Sample) -> Sample:
        """Divide run by run, so that the speed of the machine has no effect."""
        return Sample(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def less(self, other: Sample) -> Sample:
        """Subtract run by run."""
        return Sample(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))

    def plus(self, other: Sample) -> Sample:
        """Add run by run."""
        return Sample(tuple(a + b for a, b in zip(self.values, other.values, strict=True)))


class Row(NamedTuple):
    """One comparison."""

    goal: int
    """Its number in the list of goals; 0 for a measurement without a goal."""
    input: str
    what: str
    """The measurement."""
    ours: Sample
    against: str
    """The other side of the comparison; empty if there is none."""
    theirs: Sample | None
    figure: Sample
    """The result, run by run: usually a ratio."""
    unit: str
    """The unit of `ours` and `theirs`: s, ms, MB."""
    at_least: float | None = None
    at_most: float | None = None
    figure_unit: str = TIMES
    size: float = 0.0
    """The size of the input, if the input varies."""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.at_least is not None:
            return self.figure.median >= self.at_least
        if self.at_most is not None:
            return self.figure.median <= self.at_most
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the row for a JSON file. Each sample has all runs and a summary."""
        fields: dict[str, Any] = self._asdict()
        for name, value in fields.items():
            if isinstance(value, Sample):
                runs = value.values
                spread = {"min": min(runs), "median": value.median, "max": max(runs)}
                fields[name] = {**spread, "runs": list(runs)}
        return {**fields, "reached": self.reached}

    @classmethod
    def of_json(cls, row: dict[str, Any]) -> Row:
        """Return a row from the result of `as_json`."""
        fields: dict[str, Any] = {
            name: Sample(tuple(value["runs"])) if isinstance(value, dict) else value
            for name, value in row.items()
            if name in cls._fields
        }
        return cls(**fields)
