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
    "REMOTE",
    "REMOTE_MODE",
    "REMOTE_TOKEN",
    "SBOM",
    "SECRETS",
    "SIGNING_KEY",
    "STRICT",
    "TARGET",
    "TIMEOUT",
    "TRUSTED_KEYS",
    "TRUST_DIR",
    "WITHOUT_OPTION",
    "read_variable",
    "without_secrets",
]

CACHE_DIR = "WAZCACHE_DIR"
COMPILER = "WAZCACHE_WASMTIME"
ENGINE = "WAZCACHE_ENGINE"
PYTHON = "WAZCACHE_PYTHON"
REMOTE = "WAZCACHE_REMOTE"
REMOTE_MODE = "WAZCACHE_REMOTE_MODE"
REMOTE_TOKEN = "WAZCACHE_REMOTE_TOKEN"  # noqa: S105
SBOM = "WAZCACHE_SBOM"
SIGNING_KEY = "WAZCACHE_SIGNING_KEY"
STRICT = "WAZCACHE_STRICT"
TARGET = "WAZCACHE_TARGET"
TIMEOUT = "WAZCACHE_TIMEOUT"
TRUSTED_KEYS = "WAZCACHE_TRUSTED_KEYS"
TRUST_DIR = "WAZCACHE_TRUST_DIR"

SECRETS = (REMOTE, REMOTE_TOKEN, SIGNING_KEY)
"""The variables that no child process gets. The URL may hold a password."""

WITHOUT_OPTION = {
    PYTHON: "the Python that runs the compilers of a "
    "[`CompilationCache`](cache.md#in-a-process-compilationcache), instead of its own search",
    REMOTE: "the URL of [the shared cache](remote-cache.md), instead of `remote.url`; `off` for "
    "none",
    REMOTE_MODE: "`read` or `read-write`, instead of `remote.mode`",
    REMOTE_TOKEN: "the token for the server that `WAZCACHE_REMOTE` names, if it is an HTTP server",
    SIGNING_KEY: "the private key that signs entries for the shared cache, or a file that holds it",
    TARGET: "the [target](targets.md) to build for, if a front end builds one wheel",
    TRUSTED_KEYS: "the public keys whose entries in the shared cache are used, or a file with "
    "a key on each line",
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


def without_secrets() -> dict[str, str]:
    """Return the environment for a child process, without `SECRETS`."""
    return {name: text for name, text in os.environ.items() if name.upper() not in SECRETS}
