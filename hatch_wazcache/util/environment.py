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


def read_variable(name: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the text of a variable; None if it is not set or empty.

    Args:
        name: the variable.
        environment: in place of the environment of this process.
    """
    return (os.environ if environment is None else environment).get(name) or None
