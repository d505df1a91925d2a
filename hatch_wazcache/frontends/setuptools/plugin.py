"""What setuptools calls for every project, to be asked whether it has options of ours.

Small, since it is imported wherever hatch-wazcache is installed; the commands are elsewhere.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from setuptools import Command, Distribution

__all__ = ["finalize_distribution"]


def finalize_distribution(distribution: Distribution) -> None:
    """Put our commands around setuptools' own, or the project's, if it has options of ours.

    They are put there where commands are looked up, since `[tool.setuptools.cmdclass]` is read
    after this and replaces `cmdclass` as a whole.

    Args:
        distribution: the project; only what `setup()` was given is known of it yet.
    """
    from hatch_wazcache.project.pyproject import read_pyproject, shared_table

    try:
        pyproject = read_pyproject(distribution.src_root or os.curdir)
    except WazcacheError:  # setuptools reads the same file, and says what is wrong
        return
    if shared_table(pyproject) is None:
        return
    look_up = distribution.get_command_class

    def get_command_class(command: str) -> type[Command]:
        from hatch_wazcache.frontends.setuptools.commands import our_command

        return our_command(command, look_up)

    distribution.get_command_class = get_command_class  # type: ignore[method-assign, assignment]
