"""The options of a shared cache, after they were checked."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["SCHEMES", "RemoteOptions"]

SCHEMES = ("https", "http", "bazel+https", "bazel+http", "s3", "gs", "az")
"""The schemes that a URL may have. With `bazel+`, the files have the names that Bazel uses."""


class RemoteOptions(NamedTuple):
    """Where a shared cache is, and what a build may do with it."""

    url: str = ""
    """Without `bazel+` and without a slash at the end. Empty: there is no shared cache."""
    bazel: bool = False
    """Whether the server has Bazel's layout, `ac/` and `cas/`."""
    writes: bool = False
    """Whether the build uploads what it compiles. It also needs the private key for signatures."""
    unsigned: bool = False
    """Whether entries without a signature are used."""
    trusted_keys: tuple[str, ...] = ()
    """The lines of the project's option `trusted-keys`."""
    where: str = ""
    """The TOML path of the URL, or the variable that holds it; for messages."""
    mode_from_environment: bool = False
    """Whether the variable says that this build uploads, so that its user wants that."""
    url_from_environment: bool = False
    """Whether the variable names the server. Only then does the server get a user and a token."""
    table: str = "remote"
    """The TOML path of the project's table, for messages."""

    @property
    def place(self) -> str:
        """The URL for messages, as its user wrote it, without a user and a password."""
        layout = "bazel+" if self.bazel else ""
        return layout + re.sub(r"//[^/]*@", "//", self.url, count=1)
