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
        self.refusals = 0
        self.refusal = ""
        """Why the first of its entries was refused, as the end of a sentence about it."""
        self._in_a_row = 0
        self._lock = threading.Lock()

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

    def refused(self, reason: str, *, in_a_row: bool = False) -> None:
        """Note that an entry of the server is not trusted.

        Args:
            reason: the end of a sentence about it.
            in_a_row: whether it was downloaded in vain, which counts like a failure.
        """
        with self._lock:
            self.refusals += 1
            self.refusal = self.refusal or reason
            self._in_a_row += in_a_row
            self.is_given_up = self.is_given_up or self._in_a_row >= _IN_A_ROW
