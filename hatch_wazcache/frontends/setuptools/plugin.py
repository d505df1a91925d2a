"""The plugin: setuptools calls it for every project where hatch-wazcache is installed.

It is small and imports little, because most of these projects do not use hatch-wazcache.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.messages import with_prefix

if TYPE_CHECKING:
    from setuptools import Command, Distribution

__all__ = ["finalize_distribution"]


def finalize_distribution(distribution: Distribution) -> None:
    """Wrap the commands of a project that uses hatch-wazcache.

    The lookup of commands is wrapped, not `cmdclass`: setuptools reads `[tool.setuptools.cmdclass]`
    later than it calls this function, and then replaces `cmdclass` as a whole.

    Args:
        distribution: the project. At this time it has only the arguments of `setup()`.
    """
    from hatch_wazcache.project.pyproject import (
        HATCHLING,
        build_backend,
        read_pyproject,
        shared_table,
        unread_table,
    )

    root = distribution.src_root or os.curdir
    try:
        pyproject = read_pyproject(root)
    except WazcacheError:  # setuptools reads the same file, and reports its errors
        return
    if build_backend(pyproject) == HATCHLING:  # one of its hooks may run setuptools
        return
    if message := unread_table(root, pyproject):
        raise SystemExit(with_prefix(message))
    if shared_table(pyproject) is None:
        return
    look_up = distribution.get_command_class

    def get_command_class(command: str) -> type[Command]:
        from hatch_wazcache.frontends.setuptools.commands import command_class

        return command_class(command, look_up)

    distribution.get_command_class = get_command_class  # type: ignore[method-assign, assignment]
