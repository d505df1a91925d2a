"""URLs of servers and proxies, taken apart and checked."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from hatch_wazcache.cache.remote.stores import RemoteError
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from hatch_wazcache.cache.remote.options import RemoteOptions

__all__ = ["HttpUrl", "Origin", "Proxy", "basic_login", "find_proxy", "read_url", "status_text"]

_PORTS = {"http": 80, "https": 443}

_AS_WRITTEN = "/%:@!$&'()*+,;=~?"
"""The characters of a path or a query that are not quoted (RFC 3986, 3.3 and 3.4)."""


class Origin(NamedTuple):
    """A server, as RFC 6454 tells one from another. Credentials are for one origin only."""

    scheme: str
    host: str
    port: int

    @property
    def host_and_port(self) -> str:
        """What a tunnel goes to."""
        host = self.host if self.host.isascii() else self.host.encode("idna").decode()
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The host as a request names it: without the port that its scheme has."""
        usual = self.port == _PORTS[self.scheme]
        return self.host_and_port.rpartition(":")[0] if usual else self.host_and_port

    @property
    def place(self) -> str:
        """The server, for messages."""
        return printable(f"{self.scheme}://{self.host_header}")

    @property
    def is_this_machine(self) -> bool:
        """Whether what is sent does not leave this machine."""
        return self.host in {"localhost", "127.0.0.1", "::1"}

    @property
    def is_private(self) -> bool:
        """Whether nobody on the network can read what is sent."""
        return self.scheme == "https" or self.is_this_machine


class HttpUrl(NamedTuple):
    """A URL without credentials."""

    origin: Origin
    path: str
    """Begins with `/`, and is quoted."""
    query: str
    """May be a credential: it is never shown."""

    @property
    def target(self) -> str:
        """What a request to the server asks for."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def place(self) -> str:
        """The URL for messages."""
        return self.origin.place + printable(unquote(self.path)).rstrip("/")

    def below(self, name: str) -> HttpUrl:
        """Return the URL of an object."""
        return self._replace(path=f"{self.path.rstrip('/')}/{quote(name, safe='/')}")

    def redirected(self, location: str) -> HttpUrl:
        """Return the URL that a redirect leads to.

        Raises:
            RemoteError: not an HTTP URL, or one without TLS after one with it.
        """
        here = f"{self.origin.scheme}://{self.origin.host_and_port}{self.target}"
        try:
            url = _url_of(urlsplit(urljoin(here, location)))
        except ValueError as error:
            raise RemoteError("the server redirects to a URL that is wrong") from error
        if self.origin.scheme == "https" and url.origin.scheme == "http":
            raise RemoteError("the server redirects from https to http")
        return url


class Proxy(NamedTuple):
    """A proxy, out of the environment or the system's settings."""

    host: str
    port: int
    login: str
    """The value of the header `Proxy-Authorization`, or empty."""

    @property
    def place(self) -> str:
        """The proxy, for messages."""
        return printable(f"the proxy {self.host}:{self.port}")


def read_url(options: RemoteOptions) -> tuple[HttpUrl, str]:
    """Return the URL of a shared cache, and the login in it; empty if there is none.

    Raises:
        WazcacheError: the URL is wrong, or it has a login and is from the project's file.
    """
    try:
        parts = _split(options.url)
        url, login = _url_of(parts), _login_of(parts)
    except ValueError as error:
        raise WazcacheError(f"{options.where}: the URL is wrong: {printable(str(error))}") from None
    if login and not options.url_from_environment:
        raise WazcacheError(
            f"{options.where}: the URL must have no user and no password; "
            "set WAZCACHE_REMOTE to a URL that has them, or write them to ~/.netrc"
        )
    return url, login


def find_proxy(origin: Origin) -> Proxy | None:
    """Return the proxy for a server, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

    No proxy is between this machine and itself.

    Raises:
        RemoteError: the URL of the proxy is wrong.
    """
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    text = proxies.get(origin.scheme) or proxies.get("all")
    if not text or origin.is_this_machine:
        return None
    if proxy_bypass(origin.host_and_port) or proxy_bypass(origin.host):
        return None
    try:
        parts = _split(text if "://" in text else f"http://{text}")
        if parts.scheme.lower() != "http":
            raise ValueError("it must begin with http://")  # noqa: TRY301
        origin = _url_of(parts).origin
        return Proxy(origin.host, origin.port, _login_of(parts))
    except ValueError as error:
        problem = f"the URL of the proxy for {origin.scheme} is wrong"
        raise RemoteError(f"{problem}: {printable(str(error))}", refuses=True) from None


def basic_login(user: str, password: str) -> str:
    """Return the value of a header for a user and a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def status_text(status: int) -> str:
    """Write the status of an answer in our words, not in the server's."""
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def _split(url: str) -> SplitResult:
    """Take a URL apart. Python's own errors show parts of a password."""
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("it is not a URL") from None


def _url_of(parts: SplitResult) -> HttpUrl:
    """Check a URL. The text of a ValueError shows nothing of it that may be secret."""
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("it begins with neither https:// nor http://")
    if not parts.hostname:
        raise ValueError("it names no host")
    try:
        port = parts.port or _PORTS[scheme]
    except ValueError:
        raise ValueError("its port is not a number up to 65535") from None
    if any(letter.isspace() or not letter.isprintable() for letter in parts.hostname):
        raise ValueError("its host has a space or a control character")
    origin = Origin(scheme, parts.hostname, port)
    try:
        origin.host_and_port.encode("ascii")
    except UnicodeError:
        raise ValueError("its host is not a name that a host can have") from None
    return HttpUrl(origin, quote(parts.path or "/", _AS_WRITTEN), quote(parts.query, _AS_WRITTEN))


def _login_of(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    return basic_login(unquote(parts.username), unquote(parts.password or ""))
