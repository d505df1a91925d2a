"""Downloads entries beside a build. Each is checked before it gets its place in the local cache."""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.remote.names import entry_name
from hatch_wazcache.cache.remote.signature import UntrustedError, check_downloaded
from hatch_wazcache.cache.remote.stores import (
    AbsentError,
    OtherSizeError,
    RemoteError,
    TransferDroppedError,
)
from hatch_wazcache.cache.remote.transfers import POLL, TRANSFERS, Threads, Transfer
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.temporary_folder import temporary_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.drafts import Draft
    from hatch_wazcache.cache.key import ArtifactKey
    from hatch_wazcache.cache.remote.server import Server
    from hatch_wazcache.cache.remote.signature import Signature

__all__ = ["Coming", "Download", "Downloads"]

_GRACE = 5.0
"""Seconds by which all downloads together may be slower than compilers."""


_PAUSES = (0.2, 0.4, 0.8, 1.6)
"""Seconds to wait for the right signature, or the right entry, if the two do not fit."""


class Download(Transfer):
    """One entry that is on its way."""

    def __init__(self, key: ArtifactKey, signature: Signature, *, patient: bool = False) -> None:
        """Prepare a download.

        Args:
            key: the entry's.
            signature: its checked signature.
            patient: whether it may need more time than compiling.
        """
        super().__init__(signature.entry_size, math.inf if patient else signature.seconds)
        self.key = key
        self.signature = signature
        self.is_patient = patient
        self.entry: Entry | None = None
        """The entry in the local cache; None if it has not arrived."""


class Downloads:
    """Downloads entries of one server into one local cache, some at a time."""

    def __init__(
        self, server: Server, cache: CacheDirectory, ask: Callable[[ArtifactKey], Signature]
    ) -> None:
        """Prepare downloads.

        Args:
            server: where from.
            cache: keeps what is downloaded.
            ask: returns the signature that a key has now.
        """
        self._server = server
        self._cache = cache
        self._ask = ask
        self._lock = threading.Lock()
        """Held while a thread uses the local cache."""
        self._threads = Threads(TRANSFERS)
        self._all: list[Download] = []
        self._files: set[Path] = set()
        """The files that are being written."""

    def begin(self, downloads: Sequence[Download]) -> Coming:
        """Start downloads; those that save the most time come first."""
        coming = Coming(self._server, downloads)
        for download in sorted(downloads, key=lambda one: -one.signature.seconds):
            self._all.append(download)
            self._threads.do(partial(self._run, download, coming))
        return coming

    def close(self) -> None:
        """Drop what is still on its way, and remove its files. The threads end by themselves.

        The process may end before a thread that waits for the server can remove its file.
        """
        with self._lock:
            for download in self._all:
                download.is_dropped = True
            for path in self._files:
                with suppress(OSError):
                    path.unlink()
        self._threads.close()

    def _run(self, download: Download, coming: Coming) -> None:
        """Download an entry, in a thread."""
        server = self._server
        try:
            if not (server.is_given_up or download.is_dropped):
                download.begin()
                download.entry = self._fetch(download)
                download.end()
                server.answered()
        except AbsentError:
            server.answered()  # it has expired, and its signature not yet
        except RemoteError as error:
            server.failed(error)
        except UntrustedError as error:
            key, in_vain = download.key.digest, not download.is_patient
            server.refused(key, str(error), in_a_row=in_vain)
        except TransferDroppedError:
            coming.drop(download)
        except (OSError, BrokenEntryError):
            pass  # this machine's disk; compiling will say it
        finally:
            coming.ended.put(download)

    def _fetch(self, download: Download) -> Entry:
        """Download an entry; again if another machine stores the same key at this moment."""
        has_changed = True
        for pause in _PAUSES:
            try:
                if has_changed:
                    return self._fetch_once(download)
            except (UntrustedError, OtherSizeError):
                if self._server.bazel:  # there, the name of an entry is its digest
                    raise
            download.pause()
            time.sleep(pause)
            has_changed = self._has_changed(download)
        return self._fetch_once(download)

    def _has_changed(self, download: Download) -> bool:
        """Ask for the signature again, and say whether it is another one.

        Raises:
            TransferDroppedError: nobody waits for the entry any more.
        """
        if download.is_dropped or self._server.is_given_up:
            raise TransferDroppedError
        download.begin()
        before = download.signature
        with suppress(AbsentError):
            download.signature = self._ask(download.key)
        download.size = download.signature.entry_size
        return download.signature != before

    def _fetch_once(self, download: Download) -> Entry:
        key, signature = download.key, download.signature
        name = entry_name(key, signature.entry_sha256, bazel=self._server.bazel)
        with self._new_file(download) as (path, file, draft):
            sha256 = self._server.store.download(name, file, download.size, download.watch)
            file.flush()
            check_downloaded(path, signature, sha256)
            with self._lock:
                if download.is_dropped:  # the cache may be closed
                    raise TransferDroppedError
                self._files.discard(path)
                if draft is None and sys.platform == "win32":
                    file.close()  # Windows does not move an open file
                return self._cache.publish(key, path, draft)

    @contextmanager
    def _new_file(self, download: Download) -> Iterator[tuple[Path, IO[bytes], Draft | None]]:
        """Make a file for an entry: a draft, or a temporary file if the cache cannot be written."""
        with self._lock:
            if download.is_dropped:
                raise TransferDroppedError
            draft = self._cache.draft()
            if draft is None:
                path, file = temporary_files.create(temporary_directory())
            else:
                path, file = draft.path, draft.file
            self._files.add(path)
        if draft is not None:
            try:
                yield path, file, draft
            finally:
                draft.discard()
                with self._lock:
                    self._files.discard(path)
            return
        with file:
            try:
                yield path, file, None
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
            finally:
                with self._lock:
                    self._files.discard(path)


class Coming:
    """The entries that are on their way to one build."""

    def __init__(self, server: Server, downloads: Sequence[Download]) -> None:
        self._server = server
        self._began = time.monotonic()
        self._arrived = 0
        """Bytes of the entries that have arrived."""
        self._waiting = {download.key.digest: download for download in downloads}
        self.keys = frozenset(self._waiting)
        """The digests of the keys."""
        self.ended: queue.SimpleQueue[Download] = queue.SimpleQueue()

    def wait(self) -> Iterator[Download]:
        """Yield each download when it has ended; those that have failed have no entry."""
        next_look = self._began
        while self._waiting:
            hopeless: list[Download] = []
            try:
                download = self.ended.get(timeout=POLL)
            except queue.Empty:
                hopeless = [
                    one
                    for one in self._waiting.values()
                    if self._server.is_given_up or one.is_hopeless()
                ]
            else:
                if self._waiting.pop(download.key.digest, None) is not None:
                    self._arrived += download.size if download.entry else 0
                    yield download
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + POLL
                hopeless = self._too_many() or hopeless
            for one in hopeless:
                self.drop(one)
                yield self._waiting.pop(one.key.digest)

    def _too_many(self) -> list[Download]:
        """Return all that are still on their way, if together they cannot win.

        A thousand small ones may each need little more than a compiler, and all of them minutes.
        """
        waiting = [one for one in self._waiting.values() if not one.is_patient]
        elapsed = time.monotonic() - self._began
        if elapsed < _GRACE:
            return []
        saves = sum(one.signature.seconds * (1 - one.share) for one in waiting)
        left = sum(one.size * (1 - one.share) for one in waiting)
        done = self._arrived + sum(one.size * one.share for one in waiting)
        needed = elapsed * left / done if done else elapsed
        return waiting if needed > saves + _GRACE else []

    def drop(self, download: Download) -> None:
        """Give up a download that cannot end before a compiler would have ended."""
        if not download.is_dropped:
            download.is_dropped = True
            if not self._server.is_given_up:
                self._server.failed(RemoteError("it sends so slowly that compiling is faster"))
