"""Values in memory that are made once for each key, whatever the number of threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["OncePerKey"]

Value = TypeVar("Value")


class OncePerKey(Generic[Value]):
    """Values that are made once for each key, also if several threads ask at the same time."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Value] = {}
        self._closed = False
        self.renew_locks()

    def renew_locks(self) -> None:
        """Forget the locks of other threads, which do not exist in a fork."""
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            self.refuse_if_closed()
            return key in self._values

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the key's value, and make it if there is none."""
        with self._lock:
            self.refuse_if_closed()
            if key in self._values:
                return self._values[key]
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                if key in self._values:  # another thread has made it
                    return self._values[key]
            value = make()
            with self._lock:
                self.refuse_if_closed()
                self._values[key] = value
            return value

    def refuse_if_closed(self) -> None:
        """Raise an error if the cache is closed.

        Raises:
            WazcacheError: it is.
        """
        if self._closed:
            raise WazcacheError("this CompilationCache is closed")

    def close(self) -> None:
        """Forget all values, and refuse new ones."""
        with self._lock:
            self._closed = True
            self._values.clear()
