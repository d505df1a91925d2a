"""The lines that `pyproject.toml` gets. Its comments and its layout stay."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.toml_text import toml_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Edits", "has_tomlkit"]


class Edits(NamedTuple):
    """What is missing in a TOML file of a project."""

    file: str
    """Its name."""
    requirement: str = ""
    """To add to `build-system.requires`, if it is not empty."""
    dependency: str = ""
    """To add to `project.dependencies`, if it is not empty."""
    tables: str = ""
    """To add at the end of the file, if it is not empty."""

    def __bool__(self) -> bool:
        return bool(self.requirement or self.dependency or self.tables)

    @property
    def needs_tomlkit(self) -> bool:
        """Whether a list of the file grows. Text at its end needs no library."""
        return bool(self.requirement or self.dependency)

    def by_hand(self) -> Iterator[str]:
        """Yield what to add by hand, one line for each place."""
        if self.requirement:
            yield f"{self.file}: add {toml_value(self.requirement)} to build-system.requires"
        if self.dependency:
            yield f"{self.file}: add {toml_value(self.dependency)} to project.dependencies"
        if self.tables:
            yield f"{self.file}: add at the end:"
            yield from (f"  {line}" for line in self.tables.splitlines())

    def apply(self, data: bytes) -> bytes:
        """Return the new content of the file.

        Args:
            data: the old content.

        Raises:
            WazcacheError: the lines cannot be added without a change of others.
        """
        text = data.decode("utf-8")
        line_end = "\r\n" if "\r\n" in text else "\n"
        new = self._with_items(text) if self.needs_tomlkit else text
        if self.tables:
            if new and not new.endswith("\n"):
                new += line_end
            new += line_end if new else ""
            new += self.tables.replace("\n", line_end)
        if _parse(new) != self._expected(tomllib.loads(text)):
            lines = "\n".join(self.by_hand())
            raise WazcacheError(
                f"{self.file}: cannot be changed without harm to its other lines. Change it by "
                f"hand, and call `hatch-wazcache init` again:\n{lines}"
            )
        return new.encode("utf-8")

    def _with_items(self, text: str) -> str:
        import tomlkit

        document: Any = tomlkit.parse(text)
        if self.requirement:
            document["build-system"]["requires"].append(self.requirement)
        if self.dependency and "dependencies" in document["project"]:
            document["project"]["dependencies"].append(self.dependency)
        elif self.dependency:
            document["project"]["dependencies"] = [self.dependency]
        return tomlkit.dumps(document)

    def _expected(self, old: Mapping[str, Any]) -> dict[str, Any]:
        """Return the old content with the additions, as a parser should read the new text."""
        new: dict[str, Any] = copy.deepcopy(dict(old))
        if self.requirement:
            new["build-system"]["requires"].append(self.requirement)
        if self.dependency:
            new["project"].setdefault("dependencies", []).append(self.dependency)
        _merge(new, tomllib.loads(self.tables))
        return new


def has_tomlkit() -> bool:
    """Say whether tomlkit is installed, which the extra `init` brings."""
    from importlib.util import find_spec

    return find_spec("tomlkit") is not None


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _merge(into: dict[str, Any], tables: Mapping[str, Any]) -> None:
    for name, value in tables.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
