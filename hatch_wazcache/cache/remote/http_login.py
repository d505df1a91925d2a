"""The credentials for an HTTP server, and to whom they are sent."""

from __future__ import annotations

import netrc
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.remote.http_url import basic_login
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_wazcache.cache.remote.http_url import Origin

__all__ = ["TOKEN", "find_login"]

TOKEN = "WAZCACHE_REMOTE_TOKEN"  # noqa: S105 - its name


def find_login(
    origin: Origin, in_url: str, environment: Mapping[str, str], *, url_from_environment: bool
) -> str:
    """Return the value of the header `Authorization` for a server; empty for none.

    The login in the URL comes first, then WAZCACHE_REMOTE_TOKEN, then the file `.netrc`. The token
    is only for a server that the environment names: a project's file may name any server. Neither
    token nor `.netrc` goes over a network without TLS.

    Args:
        origin: the server.
        in_url: the login that its URL has, or empty.
        environment: where the token is.
        url_from_environment: whether the environment names the server.

    Raises:
        WazcacheError: the token is not one, or others on the network could read it.
    """
    token = environment.get(TOKEN, "").strip()
    if in_url:
        return in_url
    if token and url_from_environment:
        if not origin.is_private:
            raise WazcacheError(
                f"{TOKEN} is not sent to {origin.place}, because others on the network could "
                "read it; use https://"
            )
        if not token.isascii() or not token.isprintable() or " " in token:
            raise WazcacheError(f"{TOKEN} has a character that no token has")
        return f"Bearer {token}"
    return _login_in_netrc(origin.host, environment) if origin.is_private else ""


def _login_in_netrc(host: str, environment: Mapping[str, str]) -> str:
    """Return the login that `.netrc` has for this very host: its `default` is for any server."""
    path = environment.get("NETRC")
    try:
        hosts = netrc.netrc(path or str(Path("~/.netrc").expanduser())).hosts
    except (OSError, RuntimeError, ValueError, netrc.NetrcParseError):
        return ""  # a server that needs a login will say so
    if host == "default" or host not in hosts:
        return ""
    user, _, password = hosts[host]
    return basic_login(user, password or "")
