"""Objects on an HTTP server: GET and PUT, with the standard library alone."""

from __future__ import annotations

import hashlib
import ssl
import threading
from contextlib import contextmanager
from functools import cached_property
from http.client import HTTPException
from itertools import count
from typing import IO, TYPE_CHECKING

from hatch_wazcache.cache.remote.http_connection import Answer, Connections, Request
from hatch_wazcache.cache.remote.http_login import find_login
from hatch_wazcache.cache.remote.http_url import read_url, status_text
from hatch_wazcache.cache.remote.stores import (
    AbsentError,
    OtherSizeError,
    RemoteError,
    TransferDroppedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.cache.remote.options import RemoteOptions

__all__ = ["HttpStore"]

_REDIRECTS = 5
"""How many times one request may be sent elsewhere."""

_HEADERS = {"User-Agent": "hatch-wazcache", "Accept": "*/*"}


class HttpStore:
    """The objects below one URL. See `RemoteStore`."""

    def __init__(self, options: RemoteOptions, environment: Mapping[str, str]) -> None:
        """Ask the server nothing yet.

        Args:
            options: the shared cache of a build.
            environment: where credentials are.

        Raises:
            WazcacheError: the URL or a credential is wrong.
        """
        self._url, in_url = read_url(options)
        self._layout = "bazel+" if options.bazel else ""
        self._login = find_login(
            self._url.origin,
            in_url,
            environment,
            url_from_environment=options.url_from_environment,
        )
        self._tls_lock = threading.Lock()
        self._connections = Connections(self._tls)

    @property
    def place(self) -> str:
        return self._layout + self._url.place

    def read(self, name: str, most: int, deadline: float) -> bytes:
        with self._got(name, deadline) as answer:
            if (answer.length or 0) > most:
                raise RemoteError("the object is too large")
            found = b"".join(answer.pieces(most))
        if len(found) > most:
            raise RemoteError("the object is too large")
        if not found:
            raise RemoteError("the server answered with nothing")
        return found

    def download(self, name: str, file: IO[bytes], size: int, watch: Callable[[int], None]) -> str:
        digest = hashlib.sha256()
        done = 0
        with self._got(name, float("inf")) as answer:
            if answer.length is not None and answer.length != size:
                raise OtherSizeError(f"the object has {answer.length} bytes, not {size}")
            for piece in answer.pieces(size):
                done += len(piece)
                if done > size:
                    raise OtherSizeError(f"the object has more than {size} bytes")
                digest.update(piece)
                _write(file, piece)
                watch(done)
        if done < size:
            raise RemoteError(f"the object has {done} bytes, not {size}")
        return digest.hexdigest()

    def upload(self, name: str, source: bytes | Path, watch: Callable[[int], None]) -> None:
        request = Request("PUT", self._url.below(name), _HEADERS, source, watch=watch)
        with self._answered(request) as answer:
            if not 200 <= answer.status < 300:
                raise _refusal(answer.status)

    def close(self) -> None:
        self._connections.close()

    @contextmanager
    def _got(self, name: str, deadline: float) -> Iterator[Answer]:
        """Ask for an object, and return the answer that has it."""
        request = Request("GET", self._url.below(name), _HEADERS, deadline=deadline)
        with self._answered(request) as answer:
            if answer.status in {404, 410}:
                raise AbsentError(name)
            if answer.status != 200:
                raise _refusal(answer.status)
            if answer.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
                raise RemoteError("the server has encoded the object, which nobody asked for")
            yield answer

    @contextmanager
    def _answered(self, request: Request) -> Iterator[Answer]:
        """Send a request, follow redirects, and return the last answer.

        Nothing but the errors of a store leaves it.
        """
        try:
            for number in count():
                with self._connections.ask(self._with_login(request)) as answer:
                    target = _redirect(answer, request.method)
                    if target is None:
                        yield answer
                        return
                request = _redirected(request, target, number)
        except (AbsentError, RemoteError, TransferDroppedError):
            raise
        except Exception as error:  # http.client and email raise anything, for some bytes
            raise RemoteError(_problem(error), refuses=isinstance(error, TimeoutError)) from error

    def _with_login(self, request: Request) -> Request:
        """Add the credentials, for the server that they are for and no other."""
        if not self._login or request.url.origin != self._url.origin:
            return request
        return request._replace(headers={**request.headers, "Authorization": self._login})

    def _tls(self) -> ssl.SSLContext:
        """Return the settings of TLS: the system's authorities, or those of SSL_CERT_FILE."""
        with self._tls_lock:
            return self._tls_context

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


def _redirect(answer: Answer, method: str) -> str | None:
    """Return where an answer redirects to. Only some redirects keep the method PUT."""
    kept = {307, 308}
    if answer.status not in (kept if method == "PUT" else {301, 302, 303, *kept}):
        return None
    return answer.headers.get("Location")


def _redirected(request: Request, target: str, number: int) -> Request:
    if number == _REDIRECTS:
        raise RemoteError(f"the server redirects more than {_REDIRECTS} times")
    return request._replace(url=request.url.redirected(target))


def _refusal(status: int) -> RemoteError:
    return RemoteError(
        f"the server answered {status_text(status)}", refuses=status in {401, 403, 407}
    )


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise RemoteError(f"cannot write what comes: {error.strerror}") from error


def _problem(error: Exception) -> str:
    """Say what happened, without a word of the server's."""
    if isinstance(error, TimeoutError):
        return "the server was silent for too long"
    if isinstance(error, ssl.SSLError):
        return "the connection is damaged: TLS does not accept what came"
    if isinstance(error, HTTPException) and not isinstance(error, ConnectionError):
        return "the answer is not HTTP, or ended too early"
    if isinstance(error, OSError):
        return f"the connection broke: {error.strerror or 'the server closed it'}"
    return "the answer is not HTTP"
