"""The command that makes the file for a CI: it builds, checks and publishes a project's wheels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.adoption.ci_file import ci_file
from hatch_wazcache.cli.cache_arguments import CI_FILES
from hatch_wazcache.cli.context import folders_to_search
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.options import read_config
from hatch_wazcache.project.pyproject import (
    choose_table,
    hook_tables,
    read_pyproject,
    shared_table,
    unread_table,
)
from hatch_wazcache.util.temporary_files import write_file

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["generate_ci"]


def generate_ci(options: Namespace) -> Result:
    """Make the file, and print or write it."""
    root = _root(options.project)
    pyproject = read_pyproject(root)
    # The variables of this shell say nothing about the machines of a CI.
    config = read_config(*choose_table(pyproject, hook_tables(root, pyproject)), {}, root)
    text = ci_file(options.system, root, pyproject, config)
    data = {"project": str(root), "file": CI_FILES[options.system], "text": text}
    if options.output is None:
        return Result(data, text.splitlines())
    path = Path(options.output).expanduser().absolute()
    _write(path, text)
    return Result({**data, "file": str(path)}, [f"{path}: written"])


def _root(named: str | None) -> Path:
    """Return the root of the project: the named one, or the nearest with options.

    Raises:
        WazcacheError: there is none, or its build does not read the options.
    """
    folders = folders_to_search() if named is None else iter([Path(named).absolute()])
    for folder in folders:
        pyproject = read_pyproject(folder)
        if message := unread_table(folder, pyproject):
            raise WazcacheError(f"{folder / 'pyproject.toml'}: {message}")
        if shared_table(pyproject) is not None or hook_tables(folder, pyproject):
            return folder
    where = "in this folder or in one of your folders above it" if named is None else f"in {named}"
    raise WazcacheError(
        f"there is no pyproject.toml with the build hook wazcache, or with [tool.wazcache], {where}"
        "; `hatch-wazcache init` adds it"
    )


def _write(path: Path, text: str) -> None:
    data = text.encode()
    try:
        if path.exists():
            # Only a file: to read a pipe would wait for somebody who writes.
            if path.is_file() and path.read_bytes() == data:
                return
            raise WazcacheError(
                f"{path}: exists with another text; remove it, or name another file"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, [data])
    except OSError as error:
        raise WazcacheError(f"{path}: {error.strerror or error}") from error
