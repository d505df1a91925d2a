"""The project's `pyproject.toml`: the table of options that every build system shares."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from hatch_wazcache.errors import WazcacheError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SHARED_LOCATION", "read_pyproject", "shared_table"]

SHARED_LOCATION = "tool.wazcache"
"""The table's TOML path."""


def read_pyproject(root: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Read the `pyproject.toml` in a folder; empty if there is none.

    Raises:
        WazcacheError: it cannot be read, or is no TOML.
    """
    path = os.path.join(root, "pyproject.toml")
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WazcacheError(f"{path}: {error}") from error


def shared_table(pyproject: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return `[tool.wazcache]`, or None if there is none.

    Raises:
        WazcacheError: it is no table.
    """
    tool = pyproject.get("tool")
    table = tool.get("wazcache") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise WazcacheError(f"{SHARED_LOCATION}: must be a table of options")
    return table
