"""The requirement that a project lacks: on wasmtime, or on its runtime package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.sections import WASM_HEADERS
from hatch_wazcache.project.installed_requirements import (
    is_wasmtime,
    names,
    parse,
    required_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["MissingRequirement", "missing_requirement", "oldest_wasmtime"]

_OTHER_PLACES = ("setup.py", "setup.cfg", "requirements*.txt", "requirements/*.txt")


class MissingRequirement(NamedTuple):
    """A requirement to add; at most one of the two is not empty."""

    line: str = ""
    """For `project.dependencies`."""
    by_hand: str = ""
    """What the user has to decide, or to write into another place."""


def oldest_wasmtime(files: Iterable[Path]) -> str:
    """Return the requirement on the wasmtimes that the loader supports."""
    kinds = set()
    for path in files:
        with path.open("rb") as file:
            kinds.add(WASM_HEADERS.get(file.read(8)))
    return "wasmtime>=39" if "component" in kinds else "wasmtime>=36"


def missing_requirement(root: Path, pyproject: Mapping[str, Any], line: str) -> MissingRequirement:
    """Find out whether a project requires a distribution.

    Args:
        root: the project's root.
        pyproject: the content of its `pyproject.toml`.
        line: the requirement to add, on wasmtime or on a runtime package.

    Raises:
        WazcacheError: its dependencies are no list.
    """
    project = pyproject.get("project")
    dynamic = project.get("dynamic") if isinstance(project, dict) else None
    is_dynamic = isinstance(dynamic, list) and "dependencies" in dynamic
    if not isinstance(project, dict) or is_dynamic:
        return _elsewhere(root, pyproject, line)
    listed = project.get("dependencies", [])
    if not isinstance(listed, list):
        raise WazcacheError("project.dependencies in pyproject.toml: must be a list")
    dependencies, extras = _requirements(listed), project.get("optional-dependencies")
    lists = extras.values() if isinstance(extras, dict) else ()
    optional = [one for lines in lists for one in _requirements(lines)]
    name = parse(line).name
    if any(names(one, name) for one in [*dependencies, *optional]):
        return MissingRequirement()
    if not is_wasmtime(line):
        return MissingRequirement(line)
    found, unknown = required_by(dependencies)
    if found:
        return MissingRequirement()
    if unknown:
        return MissingRequirement(
            by_hand=f"project.dependencies does not name wasmtime: unless one of "
            f"{', '.join(unknown)} requires "
            f'it, add "{line}"'
        )
    return MissingRequirement(line)


def _elsewhere(root: Path, pyproject: Mapping[str, Any], line: str) -> MissingRequirement:
    """Look for the distribution where other build backends have the dependencies."""
    tool: Any = pyproject.get("tool")
    poetry: Any = tool.get("poetry") if isinstance(tool, dict) else None
    texts = [str(poetry.get("dependencies"))] if isinstance(poetry, dict) else []
    for pattern in _OTHER_PLACES:
        texts += [path.read_text("utf-8", "replace") for path in root.glob(pattern)]
    name = parse(line).name
    pattern = "[-_.]+".join(re.escape(part) for part in re.split("[-_.]+", name))
    if any(re.search(rf"\b{pattern}\b", text, re.IGNORECASE) for text in texts):
        return MissingRequirement()
    places = [name for name in ("setup.py", "setup.cfg") if (root / name).is_file()]
    where = "tool.poetry.dependencies" if isinstance(poetry, dict) else " or ".join(places)
    return MissingRequirement(
        by_hand=f'no requirement on {name} was found: add "{line}" to '
        f"{where or 'the dependencies'}, unless a dependency requires {name}"
    )


def _requirements(value: Any) -> list[str]:
    """Return the valid requirements of a list; the build backend reports the others."""
    from packaging.requirements import InvalidRequirement, Requirement

    lines = []
    for one in value if isinstance(value, list) else ():
        try:
            Requirement(one)
        except (InvalidRequirement, TypeError):
            continue
        lines.append(one)
    return lines
