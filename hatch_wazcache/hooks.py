"""The plugins that hatchling finds by their registration here.

hatchling loads this module as soon as it needs any plugin that is not its own. A project without a
table for our hook often needs another one, so here is the only place to say that its options have
no effect.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.hatch.hook import WazcacheBuildHook
from hatch_wazcache.frontends.messages import with_prefix

if TYPE_CHECKING:
    from hatch_wazcache.frontends.hatch.builder import WazcacheBuilder


@hookimpl
def hatch_register_build_hook() -> type[WazcacheBuildHook]:
    """Register the build hook."""
    _warn_of_unread_table()
    return WazcacheBuildHook


@hookimpl
def hatch_register_builder() -> type[WazcacheBuilder]:
    """Register the builder."""
    from hatch_wazcache.frontends.hatch.builder import WazcacheBuilder  # the hook needs less

    _warn_of_unread_table()
    return WazcacheBuilder


@hookimpl
def hatch_register_metadata_hook() -> None:
    """Register nothing: hatchling needs the metadata hook of another package."""
    _warn_of_unread_table()


@hookimpl
def hatch_register_version_source() -> None:
    """Register nothing: hatchling needs the version source of another package."""
    _warn_of_unread_table()


@hookimpl
def hatch_register_version_scheme() -> None:
    """Register nothing: hatchling needs the version scheme of another package."""
    _warn_of_unread_table()


@cache
def _warn_of_unread_table() -> None:
    """Warn once if the project in the working directory has options that nothing reads."""
    from hatch_wazcache.project.pyproject import read_pyproject, unread_table

    with suppress(WazcacheError):  # hatchling reads the same files, and reports their errors
        if message := unread_table(os.curdir, read_pyproject(os.curdir)):
            print(with_prefix(f"warning: {message}"), file=sys.stderr)  # noqa: T201
