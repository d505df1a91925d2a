"""Changes artifacts and wheels by hand, and keeps the rest of them intact."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

SECTION = struct.Struct("<IIQQQQIIQQ")


def sections(artifact: bytes) -> dict[str, int]:
    """Return the offset of each section's header in an artifact."""
    (start,) = struct.unpack_from("<Q", artifact, 40)
    count, names = struct.unpack_from("<HH", artifact, 60)
    headers = range(start, start + count * SECTION.size, SECTION.size)
    text = SECTION.unpack_from(artifact, headers[names])[4]
    return {
        artifact[text + SECTION.unpack_from(artifact, at)[0] :].partition(b"\0")[0].decode(): at
        for at in headers
    }


def engine_of(artifact: bytes) -> bytes:
    """Return the section of an artifact that describes its engine."""
    header = SECTION.unpack_from(artifact, sections(artifact)[".wasmtime.engine"])
    return artifact[header[4] : header[4] + header[5]]


def with_engine(artifact: bytes, engine: bytes) -> bytes:
    """Replace the section that describes the engine. The new one is at the end of the file."""
    at = sections(artifact)[".wasmtime.engine"]
    header = list(SECTION.unpack_from(artifact, at))
    header[4:6] = len(artifact), len(engine)
    doctored = bytearray(artifact + engine)
    SECTION.pack_into(doctored, at, *header)
    return bytes(doctored)


def said(text: str) -> bytes:
    """Encode a string as in that section of an artifact."""
    return bytes([len(text)]) + text.encode()


def of_aarch64(artifact: bytes, triple: str = "aarch64-unknown-linux-gnu") -> bytes:
    """Change an artifact of x86_64 Linux so that it claims to be for Arm."""
    doctored = bytearray(
        with_engine(artifact, engine_of(artifact).replace(said(_TRIPLE), said(triple)))
    )
    struct.pack_into("<H", doctored, 18, 183)
    return bytes(doctored)


_TRIPLE = "x86_64-unknown-linux-gnu"


class Wheel:
    """The members of a wheel. They can be changed and written again, with a new RECORD."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        with zipfile.ZipFile(path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.info = next(name for name in self.members if name.endswith("/RECORD")).split("/")[0]
        self.record: Callable[[list[list[str]]], object] | None = None
        """A function that changes the rows of the new RECORD."""

    def manifest(self, change: Callable[[dict], object], name: str = "demo/_wazcache.json") -> None:
        """Change a manifest."""
        manifest = json.loads(self.members[name])
        change(manifest)
        self.members[name] = json.dumps(manifest).encode()

    def claim(self, name: str, manifest: str = "demo/_wazcache.json") -> None:
        """Update the digest and the size of an artifact or asset in the manifest."""
        data = self.members[name]
        about = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}

        def change(manifest: dict) -> None:
            for asset, claims in manifest["assets"].items():
                if name.endswith(f"/{asset}"):
                    claims.update(about)
                for artifact in claims["artifacts"]:
                    if name.endswith(f"/{artifact['file']}"):
                        artifact.update(about)

        self.manifest(change, manifest)

    def write(self, folder: Path) -> Path:
        """Write the wheel with a new RECORD."""
        record = f"{self.info}/RECORD"
        rows = [
            [name, f"sha256={_base64(hashlib.sha256(data).digest())}", str(len(data))]
            for name, data in self.members.items()
            if name != record
        ]
        rows.append([record, "", ""])
        if self.record:
            self.record(rows)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.members.items():
                archive.writestr(name, text.getvalue() if name == record else data)
        return path


def _base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
