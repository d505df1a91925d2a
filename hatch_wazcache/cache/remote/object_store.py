"""Objects in S3, Google Cloud Storage and Azure Blob Storage, by obstore.

Moves bytes, and says in plain words what went wrong. `object_clients.py` makes the clients.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from hatch_wazcache.cache.remote.object_clients import (
    ASK,
    DOWNLOAD,
    PART,
    UPLOAD,
    ObjectClients,
    ObjectPlace,
)
from hatch_wazcache.cache.remote.object_errors import is_absent, is_panic, remote_error
from hatch_wazcache.cache.remote.stores import CHUNK, AbsentError, OtherSizeError, RemoteError
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from obstore import GetResult

    from hatch_wazcache.cache.remote.options import RemoteOptions

__all__ = ["ObjectStore"]

_PARTS_AT_ONCE = 2
"""The parts of one upload that are on their way: more of them need more memory."""

_PIECE = 1 << 16
"""The least bytes of a download between two calls of `watch`, so that it sees a slow server. Pieces
are larger if more has arrived; larger ones save no time."""


class ObjectStore:
    """One bucket or container, and a prefix in it."""

    def __init__(self, options: RemoteOptions, environment: Mapping[str, str]) -> None:
        """Read the URL. The credentials are read when the first object is asked for.

        Args:
            options: the shared cache of a build.
            environment: where the credentials and proxies are.

        Raises:
            WazcacheError: the URL is wrong, or obstore is not installed.
        """
        try:
            import obstore
        except ModuleNotFoundError as error:
            raise WazcacheError(
                f"{options.where}: {options.url.partition(':')[0]}:// needs obstore: "
                'pip install "hatch-wazcache[remote]"'
            ) from error
        self._obstore = obstore
        self._place = ObjectPlace.of(options)
        self._clients = ObjectClients(self._place, environment)

    @property
    def place(self) -> str:
        """The URL for messages. It never has credentials."""
        return str(self._place)

    def read(self, name: str, most: int, deadline: float) -> bytes:
        """Return a small object; see `RemoteStore`."""
        with self._errors(reading=True):
            found = self._obstore.get(self._clients.get(ASK), name)
            size = found.meta["size"]
            if size > most:
                raise RemoteError("the object is too large")
            data = b""
            for piece in self._pieces(found, size):
                data += piece
                if time.monotonic() > deadline:
                    raise RemoteError("the server was too slow with a small object")
        return data

    def download(self, name: str, file: IO[bytes], size: int, watch: Callable[[int], None]) -> str:
        """Write an object to a file, and return its SHA-256; see `RemoteStore`."""
        digest, done = hashlib.sha256(), 0
        with self._errors(reading=True):
            found = self._obstore.get(self._clients.get(DOWNLOAD), name)
            if found.meta["size"] != size:
                raise OtherSizeError(f"the object has {found.meta['size']} bytes, not {size}")
            for piece in self._pieces(found, size):
                file.write(piece)
                digest.update(piece)
                done += len(piece)
                watch(done)
        return digest.hexdigest()

    def upload(self, name: str, source: bytes | Path, watch: Callable[[int], None]) -> None:
        """Store an object. It appears whole or not at all; see `RemoteStore`."""
        with self._errors(reading=False):
            client = self._clients.get(UPLOAD)
            if isinstance(source, bytes):
                self._obstore.put(client, name, source, use_multipart=False)
                watch(len(source))
                return
            with source.open("rb") as file:
                if os.fstat(file.fileno()).st_size <= PART:
                    data = file.read(PART)
                    self._obstore.put(client, name, data, use_multipart=False)
                    watch(len(data))
                else:
                    self._obstore.put(
                        client, name, _read_in_chunks(file, watch),
                        chunk_size=PART, max_concurrency=_PARTS_AT_ONCE,
                    )  # fmt: skip

    def close(self) -> None:
        """Forget the clients: their connections end when no transfer uses them."""
        self._clients.forget()

    def _pieces(self, found: GetResult, size: int) -> Iterator[bytes]:
        """Stream a body, and check that it has the length that its headers say."""
        got = 0
        for piece in found.stream(min_chunk_size=_PIECE):
            got += len(piece)
            if got > size:
                break
            yield piece
        if got != size:
            raise RemoteError(f"the object has {got} bytes, not {size}")

    @contextmanager
    def _errors(self, *, reading: bool) -> Iterator[None]:
        """Turn what obstore raises into the errors of a store."""
        try:
            yield
        except (self._obstore.exceptions.BaseError, OSError, RuntimeError, ValueError) as error:
            if reading and is_absent(error):
                raise AbsentError from None
            raise remote_error(error, reading=reading) from None
        except BaseException as error:
            if not is_panic(error):
                raise
            raise RemoteError("the client for this store, obstore, has failed") from None


def _read_in_chunks(file: IO[bytes], watch: Callable[[int], None]) -> Iterator[bytes]:
    """Yield a file in pieces. What `watch` raises ends the upload, and obstore raises it again."""
    sent = 0
    while piece := file.read(CHUNK):
        yield piece
        sent += len(piece)
        watch(sent)
