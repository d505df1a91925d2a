"""Keys and signed entries of a shared cache."""

from __future__ import annotations

from pathlib import Path

from hatch_wazcache.cache.entry import Entry, read_entry, write_entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys

ARTIFACT = ArtifactKey(
    wasm="12" * 32,
    engine="48.0.0",
    target="x86_64-linux",
    triple="x86_64-unknown-linux-gnu",
    cpu="baseline",
    cpu_flags=("has_sse3",),
    settings={"opt-level": "speed", "epoch-interruption": True},
)
SIGNER = SigningKey(bytes(range(32)))
STRANGER = SigningKey(bytes(range(1, 33)))


def entry_at(
    path: Path, key: ArtifactKey = ARTIFACT, data: bytes = bytes(range(256)) * 9, seconds: float = 2
) -> Entry:
    """Write an entry of an artifact, and read it."""
    with path.open("wb") as file:
        write_entry(file, key.digest, key.inputs(), "artifact.cwasm", data, seconds)
    return read_entry(path, key.digest)


def trusting(*keys: str) -> TrustedKeys:
    """Return what a machine trusts that has these lines in its variable."""
    return TrustedKeys.read({"WAZCACHE_TRUSTED_KEYS": "\n".join(keys)}, None)
