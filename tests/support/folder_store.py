"""A store of the shared cache that is a folder, for tests that change what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from hatch_wazcache.cache.remote.stores import AbsentError, OtherSizeError, RemoteError


class FolderStore:
    """The objects below a folder. See `RemoteStore`."""

    place = "folder://store"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloaded: list[str] = []
        self.uploaded: list[str] = []
        self.before: Callable[[str], None] = lambda _name: None
        """Called with the name of each object before it is read or downloaded."""

    def read(self, name: str, most: int, deadline: float) -> bytes:  # noqa: ARG002
        data = self._found(name)
        if len(data) > most:
            raise RemoteError("the object is too large")
        return data

    def download(self, name: str, file: IO[bytes], size: int, watch: Callable[[int], None]) -> str:
        self.downloaded.append(name)
        data = self._found(name)
        if len(data) != size:
            raise OtherSizeError(f"the object has {len(data)} bytes, not {size}")
        file.write(data)
        watch(size)
        return hashlib.sha256(data).hexdigest()

    def upload(self, name: str, source: bytes | Path, watch: Callable[[int], None]) -> None:
        self.uploaded.append(name)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
        watch(path.stat().st_size)

    def close(self) -> None:
        pass

    def _found(self, name: str) -> bytes:
        self.before(name)
        path = self.folder / name
        if not path.is_file():
            raise AbsentError(name)
        return path.read_bytes()
