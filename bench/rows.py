"""What a run comes to: samples, and rows that hold one against another."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

__all__ = ["Row", "Sample"]


class Sample(NamedTuple):
    """A figure of several runs, in the order in which they were made."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def times(self, factor: float) -> Sample:
        return Sample(tuple(value * factor for value in self.values))

    def over(self, other: Sample) -> Sample:
        """Divide run by run: what both have in common, as the machine's speed, drops out."""
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
    """Its number in the list of goals; 0 for what is only to be known."""
    input: str
    what: str
    """What is measured."""
    ours: Sample
    against: str
    """What it is held against; empty for nothing."""
    theirs: Sample | None
    figure: Sample
    """What counts: a ratio mostly, run by run."""
    unit: str
    """Of `ours` and `theirs`: s, ms, MB."""
    at_least: float | None = None
    at_most: float | None = None
    figure_unit: str = "×"  # noqa: RUF001
    size: float = 0.0
    """Of the input, where it is the input that varies."""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.at_least is not None:
            return self.figure.median >= self.at_least
        if self.at_most is not None:
            return self.figure.median <= self.at_most
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the row for a JSON file: of each sample all runs, and their minimum to maximum."""
        about: dict[str, Any] = self._asdict()
        for name, value in about.items():
            if isinstance(value, Sample):
                runs = value.values
                spread = {"min": min(runs), "median": value.median, "max": max(runs)}
                about[name] = {**spread, "runs": list(runs)}
        return {**about, "reached": self.reached}

    @classmethod
    def of_json(cls, about: dict[str, Any]) -> Row:
        """Return the row that `as_json` has made this of."""
        fields: dict[str, Any] = {
            name: Sample(tuple(value["runs"])) if isinstance(value, dict) else value
            for name, value in about.items()
            if name in cls._fields
        }
        return cls(**fields)
