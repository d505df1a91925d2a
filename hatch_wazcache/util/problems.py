"""Collects everything that is wrong with a table, so that one message can say it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Problems"]


class Problems:
    """The problems of a table: one line for each, with the path of the field."""

    def __init__(self, write: Callable[[object], str]) -> None:
        """Begin without problems.

        Args:
            write: returns a value as the file has it, on one line.
        """
        self.lines: list[str] = []
        self._write = write

    def add(self, line: str) -> None:
        """Add a problem as a whole line."""
        self.lines.append(line)

    def wrong(self, where: str, value: object, allowed: str) -> None:
        """Add a value that is not allowed; `allowed` completes "must be"."""
        self.lines.append(f"{where} = {self._write(value)}: must be {allowed}")

    def missing(self, where: str, allowed: str) -> None:
        """Add a field that is missing; `allowed` completes "must be"."""
        self.lines.append(f"{where} is missing: must be {allowed}")

    def take(
        self,
        table: Mapping[str, Any],
        field: str,
        within: str,
        check: Callable[[Any], bool],
        allowed: str,
    ) -> Any:
        """Return the value of a field that must be there, or None if it is wrong.

        Args:
            table: the table that holds the field.
            field: the field's name.
            within: the table's path, for messages; empty for the whole file.
            check: says whether a value is allowed.
            allowed: completes "must be".
        """
        where = f"{within}.{field}" if within else field
        if field not in table:
            self.missing(where, allowed)
            return None
        if not check(table[field]):
            self.wrong(where, table[field], allowed)
            return None
        return table[field]

    def raise_all(self) -> None:
        """Stop if there are problems.

        Raises:
            WazcacheError: all problems, one line each.
        """
        if self.lines:
            raise WazcacheError("\n".join(self.lines))
