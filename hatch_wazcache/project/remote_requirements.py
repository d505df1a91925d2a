"""What a build environment needs for the shared cache, on machines that use it."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hatch_wazcache.cache.remote.keys import user_keys_file
from hatch_wazcache.project.installed_requirements import valid
from hatch_wazcache.util.environment import TRUSTED_KEYS, read_variable

if TYPE_CHECKING:
    from hatch_wazcache.cache.remote.options import RemoteOptions

__all__ = ["needed_for_remote"]

_OBJECT_STORES = ("s3", "gs", "az")
_MODULES = {"pynacl": "nacl", "obstore": "obstore"}
"""The distributions of the extra `remote`, and what they install."""


def needed_for_remote(remote: RemoteOptions) -> list[str]:
    """Return the requirements that a build environment lacks for a shared cache.

    A machine without trusted keys uses no shared cache, so it needs nothing. Most who build a
    project from its sdist have none.

    Args:
        remote: the shared cache.
    """
    own_file = user_keys_file()
    has_keys = read_variable(TRUSTED_KEYS) is not None
    has_keys = has_keys or (own_file is not None and os.path.lexists(own_file))
    needed = ["pynacl"] if has_keys else []
    if (has_keys or remote.unsigned) and remote.url.partition(":")[0] in _OBJECT_STORES:
        needed.append("obstore")
    return [_line(name) for name in needed if find_spec(_MODULES[name]) is None]


def _line(name: str) -> str:
    """Return the requirement as the extra `remote` has it."""
    try:
        lines = valid(requires("hatch-wazcache") or [])
    except PackageNotFoundError:
        lines = []
    found = next((line for line in lines if line.name.lower() == name), None)
    return name if found is None else f"{name}{found.specifier}"
