"""What a store is: the code that speaks to one server. `open_store.py` makes one.

A store moves bytes and nothing else. It does not know keys, entries or signatures, and it trusts
nothing that the server says: its callers check what they get.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "CHUNK",
    "CONNECT_TIMEOUT",
    "SILENCE_TIMEOUT",
    "SMALL_OBJECT_TIMEOUT",
    "AbsentError",
    "OtherSizeError",
    "RemoteError",
    "RemoteStore",
    "TransferDroppedError",
]

CHUNK = 1 << 20
"""The bytes that a transfer holds in memory."""

CONNECT_TIMEOUT = 5.0
"""Seconds until a server must accept a connection."""

SILENCE_TIMEOUT = 10.0
"""Seconds in which a server must send or take at least one byte."""

SMALL_OBJECT_TIMEOUT = 5.0
"""Seconds for a small object as a whole, such as a signature."""


class AbsentError(Exception):
    """The server says that it does not have the object."""


class RemoteError(Exception):
    """The server did not do what it was asked for. The text says what happened, for a person.

    It names no credentials, and holds no control characters.
    """

    def __init__(self, text: str, *, refuses: bool = False) -> None:
        """Make the error.

        Args:
            text: what happened.
            refuses: whether asking again is useless, because the server refuses this user; or
                costs too much, because it has cost a timeout.
        """
        super().__init__(text)
        self.refuses = refuses


class OtherSizeError(RemoteError):
    """The object has another size than it must have."""


class TransferDroppedError(Exception):
    """A `watch` raises it to end a transfer that is not worth its time."""


class RemoteStore(Protocol):
    """Objects on one server. All methods may be called from several threads.

    A method raises only `AbsentError`, `RemoteError`, and what its `watch` raises.
    """

    @property
    def place(self) -> str:
        """The URL for messages, without credentials."""

    def read(self, name: str, most: int, deadline: float) -> bytes:
        """Return a small object.

        Args:
            name: the name below the store's URL, with `/` between folders.
            most: the bytes that it may have.
            deadline: until when, by `time.monotonic`.

        Raises:
            AbsentError: there is no such object.
            RemoteError: anything else, and an object that is too large.
        """

    def download(self, name: str, file: IO[bytes], size: int, watch: Callable[[int], None]) -> str:
        """Write an object to a file, and return its SHA-256, hexadecimal.

        Args:
            name: the name below the store's URL.
            file: where to write; after an error it holds a part.
            size: the bytes that the object must have.
            watch: called with the number of bytes so far, after each piece. It may raise.

        Raises:
            AbsentError: there is no such object.
            OtherSizeError: it has another size.
            RemoteError: anything else.
        """

    def upload(self, name: str, source: bytes | Path, watch: Callable[[int], None]) -> None:
        """Store an object.

        Args:
            name: the name below the store's URL.
            source: its bytes, or the file that holds them.
            watch: called with the number of bytes so far, after each piece. It may raise.

        Raises:
            RemoteError: the server did not take it.
        """

    def close(self) -> None:
        """Close the connections that no other thread uses now."""
