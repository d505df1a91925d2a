"""The records of the packages: `packages/NAME.toml`, one for each."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Edit", "Package", "read_package", "read_packages"]

RECORDS = Path(__file__).parent / "packages"


@dataclass(frozen=True)
class Edit:
    """Lines of a file that are replaced. The record has only the new ones."""

    file: str
    first: int
    """The number of the first line, counted from 1, in the file as released."""
    last: int
    text: str


@dataclass(frozen=True)
class Package:
    """A package on PyPI, and what its author would change."""

    name: str
    version: str
    about: str
    work: str
    """The program that is measured: it uses the package, and checks and prints a result."""
    cache: str = ""
    """The cache of the released package."""
    edits: tuple[Edit, ...] = ()
    options: str = ""
    """The lines below `[tool.wazcache]`."""
    requires: Mapping[str, str] = field(default_factory=dict)
    """New requirements, by the name of the dependency that they replace; that is empty for one
    more dependency."""
    moves: Mapping[str, str] = field(default_factory=dict)
    """Folders of the wheel that get another place."""
    new_version: str | None = None
    extra: str | None = None
    needs: str | None = None
    """The record of the runtime that loads its `.wasm`."""
    runtime: bool = False
    """Whether it is a runtime, which is measured with the packages that need it."""
    rounds: int | None = None
    """The number of rounds, if its first start takes long."""
    tests: Mapping[str, list[str]] = field(default_factory=dict)
    """`requires`, for its own tests; `select`, arguments of pytest. Empty if its sdist has none."""

    @property
    def module(self) -> str:
        """The name as file names have it."""
        return self.name.replace("-", "_")


def read_package(path: Path) -> Package:
    """Read one record."""
    table = tomllib.loads(path.read_text("utf-8"))
    edits = tuple(
        Edit(one["file"], one["lines"][0], one["lines"][1], one["text"].removeprefix("\n"))
        for one in table.pop("edits", ())
    )
    return Package(name=path.stem, edits=edits, **table)


def read_packages() -> dict[str, Package]:
    """Read all records, in the order of their names."""
    return {path.stem: read_package(path) for path in sorted(RECORDS.glob("*.toml"))}
