"""Uploads entries beside a build, each with its signature.

Several machines may upload one key at the same time. Their entries differ in the seconds of their
compilers, so the last entry must not stay under the last signature of another machine.
"""

from __future__ import annotations

import io
import math
import queue
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.remote.names import engine_name, entry_name, signature_name
from hatch_wazcache.cache.remote.signature import Signature
from hatch_wazcache.cache.remote.stores import (
    AbsentError,
    OtherSizeError,
    RemoteError,
    TransferDroppedError,
)
from hatch_wazcache.cache.remote.transfers import POLL, TRANSFERS, Threads, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_wazcache.cache.key import ArtifactKey
    from hatch_wazcache.cache.remote.keys import SigningKey
    from hatch_wazcache.cache.remote.server import Server

__all__ = ["Upload", "Uploads"]

_LIMIT = 10.0
_SLOWEST = 1 << 18
"""An upload may need 10 seconds, and one more for each of these bytes."""

_BEGINNING = 1 << 12
"""The bytes of an entry in which its `entry.json` has the seconds of its compiler."""

_ATTEMPTS = 5
"""How many times an entry is uploaded while other machines upload the same key."""


class Upload(Transfer):
    """One entry that is being uploaded."""

    def __init__(self, key: ArtifactKey, entry: Entry, asked: ArtifactKey) -> None:
        """Prepare an upload.

        Args:
            key: the entry's key.
            entry: this process has compiled it.
            asked: the key that builds ask for first; it differs if a wasmtime CLI of another
                patch release has compiled.
        """
        size = entry.stream_offset + entry.stream_size
        super().__init__(size, _LIMIT + size / _SLOWEST)
        self.key = key
        self.entry = entry
        self.asked = asked
        self.is_done = False

    def is_wanted(self, _done: int) -> None:
        """Go on with a small object, unless the upload was given up.

        Raises:
            TransferDroppedError: it was.
        """
        if self.is_dropped:
            raise TransferDroppedError


class Uploads:
    """Uploads entries to one server, some at a time."""

    def __init__(
        self,
        server: Server,
        signing_key: SigningKey | None,
        is_new: Callable[..., bool],
    ) -> None:
        """Prepare uploads.

        Args:
            server: where to.
            signing_key: signs; None if nothing is signed.
            is_new: asks whether another machine has signed a key since it was asked before; its
                second argument is a signature that this machine has just stored.
        """
        self._server = server
        self._signing_key = signing_key
        self._is_new = is_new
        self._threads = Threads(TRANSFERS)
        self._waiting: dict[str, Upload] = {}
        self._ended: queue.SimpleQueue[Upload] = queue.SimpleQueue()

    def add(self, upload: Upload) -> None:
        """Start an upload, or let it wait for its turn."""
        self._waiting[upload.key.digest] = upload
        self._threads.do(partial(self._run, upload))

    def finish(self, *, patient: bool = False) -> list[Upload]:
        """Wait until the uploads have ended, and give up those that move too slowly.

        Args:
            patient: whether all together may need more time than their bytes.

        Returns:
            The uploads since the last call that the server has now.
        """
        done = []
        size = sum(upload.size for upload in self._waiting.values())
        deadline = math.inf if patient else time.monotonic() + _LIMIT + size / _SLOWEST
        while self._waiting:
            with suppress(queue.Empty):
                upload = self._ended.get(timeout=POLL)
                if self._waiting.get(upload.key.digest) is upload:
                    del self._waiting[upload.key.digest]
                    done += [upload] if upload.is_done else []
                    if time.monotonic() < deadline:
                        continue
            are_late = self._server.is_given_up or time.monotonic() >= deadline
            for key, one in list(self._waiting.items()):
                if are_late or one.is_hopeless():
                    self._drop(one)
                    del self._waiting[key]
        return done

    def close(self) -> None:
        """Give up what has not ended. The threads end by themselves."""
        for upload in self._waiting.values():
            upload.is_dropped = True
        self._threads.close()

    def _run(self, upload: Upload) -> None:
        """Upload an entry, in a thread."""
        server = self._server
        try:
            if not (server.is_given_up or upload.is_dropped):
                upload.begin()
                upload.is_done = self._send(upload)
                upload.end()
                server.answered()
        except RemoteError as error:
            server.failed(error)
        except TransferDroppedError:
            self._drop(upload)
        except BrokenEntryError as error:
            server.refused(upload.key.digest, f"could not be signed: {error}")
        finally:
            self._ended.put(upload)

    def _send(self, upload: Upload) -> bool:
        """Upload an entry, and then its signature: a build asks for the signature first.

        Returns:
            False if another machine has uploaded it since this build has asked for it.
        """
        server, key = self._server, upload.key
        if self._is_new(key):
            return False
        signature = Signature.of(upload.entry, self._signing_key)
        for _attempt in range(_ATTEMPTS):
            self._send_both(upload, signature)
            # Whoever has the last signature sees to it that its entry is there.
            if server.bazel or self._is_new(key, signature) or self._has(upload, signature):
                break
        if upload.asked.digest != key.digest:
            name = engine_name(upload.asked, bazel=server.bazel)
            server.store.upload(name, key.engine.encode(), upload.is_wanted)
        return True

    def _send_both(self, upload: Upload, signature: Signature) -> None:
        server = self._server
        name = entry_name(upload.key, signature.entry_sha256, bazel=server.bazel)
        server.store.upload(name, upload.entry.path, upload.watch)
        name = signature_name(upload.key, bazel=server.bazel)
        server.store.upload(name, signature.to_bytes(), upload.is_wanted)

    def _has(self, upload: Upload, signature: Signature) -> bool:
        """Say whether the server has this very entry: its beginning is compared."""
        found = io.BytesIO()

        def enough(done: int) -> None:
            if done >= _BEGINNING:
                raise TransferDroppedError

        name = entry_name(upload.key, signature.entry_sha256, bazel=self._server.bazel)
        try:
            self._server.store.download(name, found, signature.entry_size, enough)
        except TransferDroppedError:
            pass
        except (AbsentError, OtherSizeError):
            return False
        try:
            with upload.entry.path.open("rb") as file:
                return file.read(len(found.getbuffer())) == found.getbuffer()
        except OSError as error:
            raise BrokenEntryError(f"{upload.entry.path}: {error}") from error

    def _drop(self, upload: Upload) -> None:
        if not upload.is_dropped:
            upload.is_dropped = True
            if not self._server.is_given_up:
                self._server.failed(RemoteError("it takes uploads too slowly"))
