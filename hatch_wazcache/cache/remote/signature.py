"""A signature: a small JSON file beside an entry, which says what the entry is and who made it.

It holds the key's inputs, and the size and digest of everything in the entry. So nothing has to be
downloaded to learn that an entry is not wanted, and nothing of a download is used unchecked. There
is one way to write it: a file in which any byte is different is refused.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry
from hatch_wazcache.cache.key import digest_of
from hatch_wazcache.cache.remote.key_texts import base64_bytes, base64_text
from hatch_wazcache.cache.remote.signature_fields import FIELDS, SCHEMA, canonical, read_fields
from hatch_wazcache.util.digests import file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_wazcache.cache.key import ArtifactKey
    from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys

__all__ = ["LARGEST", "Signature", "UntrustedError", "check_downloaded", "read_signature"]

LARGEST = 1 << 16
"""Bytes of a signature at most."""

_DOMAIN = b"hatch-wazcache signature 1\n"
"""Begins all that is signed, so that no signature of another program's file can be used here."""

_SIGNATURE_BYTES = 64


class UntrustedError(Exception):
    """A remote file that must not be used. The text is the end of a sentence about it."""


class Signature(NamedTuple):
    """What a signature says about an entry."""

    key: str
    inputs: Mapping[str, object]
    size: int
    """Bytes of the artifact."""
    sha256: str
    """Of the artifact, hexadecimal."""
    crc32: int
    """Of the artifact."""
    stream_size: int
    """Bytes of the artifact, deflated."""
    stream_sha256: str
    entry_size: int
    """Bytes of the entry, which is a zip file."""
    entry_sha256: str
    seconds: float
    """How long the artifact took to compile."""
    signed_at: int
    """When it was signed, in seconds since 1970, as the signer says."""
    public: str = ""
    """The key that signed; empty for `trust = "unsigned"`."""
    signature: str = ""
    """64 bytes, as `base64_text` writes them; empty for `trust = "unsigned"`."""

    @classmethod
    def of(cls, entry: Entry, signing_key: SigningKey | None) -> Signature:
        """Describe an entry, and sign the description.

        Reads the whole file once.

        Args:
            entry: an entry that this process has compiled.
            signing_key: the private key; None for `trust = "unsigned"`.

        Raises:
            BrokenEntryError: the file has been changed since it was written.
        """
        entry_size, entry_sha256 = _digest_whole(entry)
        made = cls(
            key=entry.key,
            inputs=entry.inputs,
            size=entry.size,
            sha256=entry.sha256,
            crc32=entry.crc32,
            stream_size=entry.stream_size,
            stream_sha256=entry.stream_sha256,
            entry_size=entry_size,
            entry_sha256=entry_sha256,
            seconds=entry.seconds,
            signed_at=int(time.time()),
            public=signing_key.public if signing_key else "",
        )
        if signing_key is None:
            return made
        return made._replace(signature=base64_text(signing_key.sign(made.message())))

    def message(self) -> bytes:
        """Return the bytes that are signed: every field but the signature."""
        return _DOMAIN + canonical(_fields_of(self._replace(signature="")))

    def to_bytes(self) -> bytes:
        """Return the file."""
        return canonical(_fields_of(self))


def read_signature(data: bytes, key: ArtifactKey, trusted: TrustedKeys | None) -> Signature:
    """Read and check a signature.

    Args:
        data: the whole file, which may come from an attacker.
        key: the key that was asked for.
        trusted: the keys of which one must have signed; None for `trust = "unsigned"`.

    Raises:
        UntrustedError: it is not a signature, is that of another key, or is not trusted.
    """
    if len(data) > LARGEST:
        raise UntrustedError("has a signature that is too long")
    try:
        made = _parse(data)
    except (ValueError, RecursionError) as error:
        raise UntrustedError(f"has a signature that cannot be read: {error}") from None
    if made.key != key.digest:
        raise UntrustedError("has the signature of another key")
    if digest_of(made.inputs) != key.digest:
        raise UntrustedError("has a signature with the inputs of another key")
    if trusted is None:
        return made
    if not made.public or not made.signature:
        raise UntrustedError("is not signed")
    signature = base64_bytes(made.signature, _SIGNATURE_BYTES)
    if signature is None:
        raise UntrustedError("has a signature that cannot be read: it is not 64 bytes in base64")
    if problem := trusted.verify(made.public, made.message(), signature):
        raise UntrustedError(problem)
    return made


def check_downloaded(path: Path, signature: Signature, sha256: str | None = None) -> Entry:
    """Check that a file is exactly the entry of a checked signature, and return the entry.

    Args:
        path: the download, which nobody else can write.
        signature: the result of `read_signature`.
        sha256: that of the whole file, hexadecimal, if it was computed while downloading.

    Raises:
        UntrustedError: it is another file, or not an entry that a build could use.
        OSError: it cannot be read.
    """
    if os.stat(path).st_size != signature.entry_size:
        raise UntrustedError("has another size than its signature says")
    if sha256 is None:
        with path.open("rb", buffering=0) as file:
            sha256 = file_sha256(file)
    if sha256 != signature.entry_sha256:
        raise UntrustedError("has other bytes than its signature says")
    try:
        entry = read_entry(path, signature.key)
        entry.check_directory()
    except BrokenEntryError as error:
        raise UntrustedError(f"is signed, but broken: {error}") from None
    for name in ("size", "sha256", "crc32", "stream_size", "stream_sha256", "seconds"):
        if getattr(entry, name) != getattr(signature, name):
            raise UntrustedError(f"has another {name.replace('_', ' ')} than its signature says")
    return entry


def _digest_whole(entry: Entry) -> tuple[int, str]:
    """Return the size and the SHA-256 of an entry's file, of which nothing has changed.

    Raises:
        BrokenEntryError: it is not the file any more that this process has written.
    """
    whole, stream = hashlib.sha256(), hashlib.sha256()
    try:
        with entry.path.open("rb", buffering=0) as file:
            whole.update(file.read(entry.stream_offset))
            left = entry.stream_size
            while left and (chunk := file.read(min(1 << 20, left))):
                whole.update(chunk)
                stream.update(chunk)
                left -= len(chunk)
            while chunk := file.read(1 << 20):  # the directory of the zip file
                whole.update(chunk)
            size = file.tell()
        is_same = read_entry(entry.path, entry.key) == entry
        entry.check_directory()
    except OSError as error:
        raise BrokenEntryError(f"{entry.path}: {error}") from error
    if left or not is_same or stream.hexdigest() != entry.stream_sha256:
        raise BrokenEntryError(f"{entry.path} has been changed since it was written")
    return size, whole.hexdigest()


def _fields_of(signature: Signature) -> dict[str, object]:
    fields: dict[str, object] = {name: getattr(signature, _attribute(name)) for name in FIELDS}
    if signature.public:
        fields["public-key"] = signature.public
    if signature.signature:
        fields["signature"] = signature.signature
    return {"schema": SCHEMA, **fields}


def _attribute(name: str) -> str:
    return name.replace("-", "_")


def _parse(data: bytes) -> Signature:
    fields = read_fields(data)
    return Signature(
        **{_attribute(name): fields[name] for name in FIELDS},
        public=fields.get("public-key", ""),
        signature=fields.get("signature", ""),
    )
