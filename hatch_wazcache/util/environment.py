"""The environment variables: their names, and how a variable is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CACHE_DIR",
    "COMPILER",
    "ENGINE",
    "PYTHON",
    "STRICT",
    "TARGET",
    "TIMEOUT",
    "TRUST_DIR",
    "WITHOUT_OPTION",
    "read_variable",
]

CACHE_DIR = "WAZCACHE_DIR"
COMPILER = "WAZCACHE_WASMTIME"
ENGINE = "WAZCACHE_ENGINE"
PYTHON = "WAZCACHE_PYTHON"
STRICT = "WAZCACHE_STRICT"
TARGET = "WAZCACHE_TARGET"
TIMEOUT = "WAZCACHE_TIMEOUT"
TRUST_DIR = "WAZCACHE_TRUST_DIR"

WITHOUT_OPTION = {
    PYTHON: "the Python that runs the compilers of a "
    "[`CompilationCache`](cache.md#in-a-process-compilationcache), instead of its own search",
    TARGET: "the [target](targets.md) to build for, if a front end builds one wheel",
    TRUST_DIR: "a folder to use for the cache "
    "[even if others can write to it](cache.md#who-may-write-to-the-cache)",
}
"""The variables that have no option, with their descriptions for the docs."""


def read_variable(name: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the text of a variable; None if it is not set or empty.

    Args:
        name: the variable.
        environment: where to look; by default, the environment of this process.
    """
    return (os.environ if environment is None else environment).get(name) or None
