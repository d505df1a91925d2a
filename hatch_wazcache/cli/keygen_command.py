"""The command that makes the two keys of a shared cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.remote.keys import SigningKey, user_keys_file
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.environment import SIGNING_KEY, TRUSTED_KEYS

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["keygen"]


def keygen(options: Namespace) -> Result:
    """Make a private and a public key; write the private one to a file, or show both."""
    key = SigningKey.generate()
    own_file = user_keys_file()
    readers = [
        "public key, for everybody who reads the shared cache:",
        f"  {key.public}",
        f"  Set {TRUSTED_KEYS} to it{f', or add it as a line to {own_file}' if own_file else ''}.",
    ]
    if options.out is not None:
        path = Path(os.path.abspath(options.out))
        _write_private(path, key.text)
        lines = [f"The private key is in {path}. Only you can read this file."]
        advice = (
            f"  Set {SIGNING_KEY} to this path, or to the key in it, as a secret of trusted jobs."
        )
        return Result({"file": str(path), "public": key.public}, [*lines, advice, *readers])
    writers = [
        "private key, for trusted jobs only:",
        f"  {key.text}",
        f"  Set {SIGNING_KEY} to it, as a secret that no pull request can read.",
    ]
    return Result({"private": key.text, "public": key.public}, [*writers, *readers])


def _write_private(path: Path, text: str) -> None:
    """Write a new file that only this user can read.

    Raises:
        WazcacheError: there is such a file.
        OSError: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise WazcacheError(
            f"{path} exists, and may hold a key that is in use; name a new file"
        ) from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise
