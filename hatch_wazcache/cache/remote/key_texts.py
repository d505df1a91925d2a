"""Keys as text: the form of one key, and of the files and variables that hold several.

A line is `<public key> [revoked=YYYY-MM-DD] [# comment]`. No message shows a word that may be a
part of a private key.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from datetime import date
from pathlib import Path

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.environment import SIGNING_KEY, TRUSTED_KEYS
from hatch_wazcache.util.terminal import printable

__all__ = [
    "KEY_BYTES",
    "PRIVATE",
    "PUBLIC",
    "add_keys",
    "base64_bytes",
    "base64_text",
    "earlier",
    "existing_path",
    "key_bytes",
    "read_text_file",
    "short",
    "text_of_variable",
    "without_comment",
]

PRIVATE, PUBLIC = "wazcache-private-", "wazcache-public-"
KEY_BYTES = 32
_LARGEST_FILE = 1 << 16
_SHOWN = len(PUBLIC) + 6
"""The characters of a wrong public key that a message shows."""

_SEPARATORS = re.compile(r"[ \t\r,]+")
_REVOKED = re.compile(r"revoked=(\d{4}-\d{2}-\d{2})", re.ASCII)
_ALLOWED = f"must be public keys, {PUBLIC}…, each with revoked=YYYY-MM-DD behind it or not"


def base64_text(data: bytes) -> str:
    """Write bytes in the alphabet for URLs, without padding: RFC 4648, section 5."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def base64_bytes(text: str, size: int) -> bytes | None:
    """Read the text of `base64_text`; None if it is not exactly what that writes for this size."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:  # also binascii.Error and UnicodeEncodeError
        return None
    return data if len(data) == size and base64_text(data) == text else None


def key_bytes(text: str, prefix: str) -> bytes | None:
    """Return the 32 bytes of a key; None if it is not one with this prefix."""
    return base64_bytes(text[len(prefix) :], KEY_BYTES) if text.startswith(prefix) else None


def existing_path(text: str) -> Path | None:
    """Return the path that a text is, with `~` for the home; None if nothing is there."""
    try:
        path = os.path.expanduser(text)
        return Path(path) if text and (os.path.exists(path) or os.path.islink(path)) else None
    except ValueError:  # a null character
        return None


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe without waiting for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text_file(path: Path, where: str) -> str:
    """Read a small text file; Windows's programs write a mark (BOM) at its beginning.

    Raises:
        WazcacheError: it is not one. A pipe is refused, because nobody may ever write into it.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                raise WazcacheError(f"{where} cannot be read: it is a pipe")
            data = file.read(_LARGEST_FILE + 1)
        if len(data) <= _LARGEST_FILE:
            return data.decode("utf-8-sig")
    except OSError as error:
        raise WazcacheError(f"{where} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WazcacheError(f"{where} is not a text file in UTF-8") from None
    raise WazcacheError(f"{where} is too large for a file of keys")


def text_of_variable(value: str) -> tuple[str, str]:
    """Return the keys that a variable holds or names, and the place for messages."""
    text = value.strip()
    if "\n" in text or text.startswith(("wazcache-", "#")):
        return text, TRUSTED_KEYS
    path = existing_path(text)
    if path is None:
        raise WazcacheError(
            f"{TRUSTED_KEYS} must be public keys, {PUBLIC}…, or the path of a file with such "
            "lines; its value is neither"
        )
    where = f"{TRUSTED_KEYS}: {path}"
    return read_text_file(path, where), where


def without_comment(line: str) -> str:
    """Return a line of a file of keys without its comment."""
    return line.partition("#")[0].strip()


def add_keys(keys: dict[str, date | None], text: str, where: str) -> None:
    """Add the keys of a text; of several dates for one key, the earliest counts."""
    for number, line in enumerate(text.split("\n"), 1):
        last = None
        for word in filter(None, _SEPARATORS.split(without_comment(line))):
            place = f"{where}, line {number}" if "\n" in text.strip() else where
            revoked = _REVOKED.fullmatch(word)
            if last is not None and revoked:
                keys[last] = earlier(keys[last], _day(revoked[1], place))
                continue
            if PRIVATE in word:
                raise WazcacheError(f"{place} holds a private key, which is for {SIGNING_KEY} only")
            last = word
            if key_bytes(word, PUBLIC) is None:
                raise WazcacheError(f"{place}{_shown(word)}: {_ALLOWED}")
            keys.setdefault(word, None)


def short(public: str) -> str:
    """Return the beginning of a wrong public key for messages: it may be a private one."""
    return printable(public[:_SHOWN]) + ("…" if len(public) > _SHOWN else "")


def _shown(word: str) -> str:
    """Return the beginning of a wrong word for a message; nothing if it may be part of a secret."""
    if re.fullmatch(r"revoked=[0-9-]{0,10}", word):
        return f" = {word}"
    return f" = {short(word)}" if word.startswith(PUBLIC) else ""


def _day(text: str, place: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WazcacheError(f"{place}: revoked={text} is not a day; {_ALLOWED}") from None


def earlier(first: date | None, second: date) -> date:
    """Return the earlier of two days on which a key was revoked; None is never."""
    return second if first is None else min(first, second)
