"""Stops asking a server that does not work: after a few failures, a build goes on without it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_wazcache.cache.remote.stores import RemoteError, RemoteStore

__all__ = ["Server"]

_IN_A_ROW = 3
"""The failures in a row after which a server is not asked again."""


class Server:
    """A server in one build: its store, its layout, and its faults. For several threads."""

    def __init__(self, store: RemoteStore, *, bazel: bool) -> None:
        """Begin without faults.

        Args:
            store: speaks to the server.
            bazel: whether the server has the layout of Bazel's caches.
        """
        self.store = store
        self.bazel = bazel
        self.is_given_up = False
        """Whether it is not asked any more. It stays so until the build ends."""
        self.failures = 0
        self.failure = ""
        """The first failure, for a person; or that for which the server is given up."""
        self.refused_keys: dict[str, str] = {}
        """Why entries were refused, by the digests of their keys. Each is the end of a sentence."""
        self._in_a_row = 0
        self._lock = threading.Lock()

    @property
    def refusals(self) -> int:
        """How many entries were refused."""
        return len(self.refused_keys)

    @property
    def refusal(self) -> str:
        """Why the first entry was refused; empty if none was."""
        return next(iter(self.refused_keys.values()), "")

    def answered(self) -> None:
        """Note an answer; that an object is not there is one, too."""
        with self._lock:
            self._in_a_row = 0

    def failed(self, error: RemoteError) -> None:
        """Note a failure. A few in a row, or a refusal to serve this user, are enough."""
        with self._lock:
            self.failures += 1
            self._in_a_row += 1
            gives_up = error.refuses or self._in_a_row >= _IN_A_ROW
            if not self.failure or (gives_up and not self.is_given_up):
                self.failure = str(error)
            self.is_given_up = self.is_given_up or gives_up

    def refused(self, key: str, reason: str, *, in_a_row: bool = False) -> None:
        """Note that the entry of a key is not trusted.

        Args:
            key: its digest.
            reason: the end of a sentence about the entry.
            in_a_row: whether it was downloaded in vain, which counts like a failure.
        """
        with self._lock:
            self.refused_keys.setdefault(key, reason)
            self._in_a_row += in_a_row
            self.is_given_up = self.is_given_up or self._in_a_row >= _IN_A_ROW
