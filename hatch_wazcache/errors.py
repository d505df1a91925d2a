"""The expected errors: what a person did or met, said in one message, without a traceback."""

from __future__ import annotations

__all__ = ["WazcacheError"]


class WazcacheError(Exception):
    """What stops a build: the text says what is wrong, where, and what to do.

    A front end shows the text and exits with a status that is not 0.
    """
