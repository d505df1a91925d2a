"""What a build knows about its shared cache, out of its options and its environment."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RemoteOptions"]


class RemoteOptions(NamedTuple):
    """The shared cache of a build."""

    url: str
    """The URL, without `bazel+`."""
    bazel: bool
    """Whether the server has the layout of Bazel's caches: `ac/` and `cas/`."""
    writes: bool
    """Whether the build also uploads what it compiled."""
    unsigned: bool
    """Whether entries without a signature are used."""
    trusted_keys: tuple[str, ...]
    """The public keys in the project's table, as written there."""
    where: str
    """The TOML path or the variable that the URL is from, for messages."""
    url_from_environment: bool
    """Whether the URL is from the environment, and not from the project's file."""
