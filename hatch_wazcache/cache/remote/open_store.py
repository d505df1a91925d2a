"""Chooses the store for a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.cache.remote.options import SCHEMES
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.cache.remote.stores import RemoteStore

__all__ = ["open_store"]

_HTTP = ("https", "http")
_OBJECTS = ("s3", "gs", "az")


def open_store(options: RemoteOptions, environment: Mapping[str, str]) -> RemoteStore:
    """Make the store for a URL. It asks the server nothing yet.

    Args:
        options: the shared cache of a build.
        environment: where the credentials and proxies are.

    Raises:
        WazcacheError: the URL is wrong, or an extra is not installed.
    """
    scheme = options.url.partition(":")[0].lower()
    if scheme in _HTTP:
        from hatch_wazcache.cache.remote.http_store import HttpStore

        return HttpStore(options, environment)
    if scheme in _OBJECTS and not options.bazel:
        from hatch_wazcache.cache.remote.object_store import ObjectStore

        objects: RemoteStore = ObjectStore(options, environment)
        return objects
    allowed = ", ".join(f"{allowed}://" for allowed in SCHEMES)
    raise WazcacheError(f"{options.where}: the URL must begin with one of {allowed}")
