"""What a build would make, as values: its wheels, and what the cache has of them.

`make_preview` finds it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.wheels import PYPI_LIMIT
from hatch_wazcache.wheels.companion_files import file_prefix

if TYPE_CHECKING:
    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.engine.installed import Engine
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.plan import Artifact, Asset

__all__ = [
    "ArtifactPreview",
    "AssetPreview",
    "EnginePreview",
    "Preview",
    "Release",
    "WheelPreview",
]


class Release(NamedTuple):
    """The names of the wheel that the build system makes, as far as they are known."""

    version: str | None
    """The version of the project. None: only a build knows it."""
    tag: str | None
    """The tag that the build system gives the wheel. None: only a build knows it."""


class EnginePreview(NamedTuple):
    """A wasmtime that artifacts are compiled for."""

    requirement: str
    """The requirement that chooses it."""
    engine: Engine
    """If it is neither installed nor fetched, only its major version is known, if that."""

    @property
    def is_known(self) -> bool:
        """Whether it is installed or fetched."""
        return bool(self.engine.distribution_version)


class ArtifactPreview(NamedTuple):
    """An artifact of a wheel."""

    artifact: Artifact
    path: str
    """The path in the wheel."""
    entry: Entry | None
    """The cache's entry, with its description checked but not its data."""

    @property
    def hit(self) -> bool | None:
        """Whether the cache has it. None: the exact version of its engine is not known."""
        is_known = bool(self.artifact.engine.distribution_version)
        return self.entry is not None if is_known else None

    @property
    def size(self) -> int | None:
        """Bytes in the wheel, compressed; None if they are not known."""
        return None if self.entry is None else self.entry.stream_size


class AssetPreview(NamedTuple):
    """A `.wasm` in a wheel."""

    asset: Asset
    size: int | None
    """Bytes in the wheel, compressed; None if they are not known."""


class WheelPreview(NamedTuple):
    """A wheel that a build would make."""

    name: str
    """The distribution's name."""
    version: str | None
    tag: str | None
    target: Target
    engine: Engine | None
    """The one engine of a companion; None for the package's own wheel, and for version 0."""
    assets: tuple[AssetPreview, ...]
    artifacts: tuple[ArtifactPreview, ...]

    @property
    def file(self) -> str | None:
        """The file name; None if the version or the tag is not known."""
        if self.version is None or self.tag is None:
            return None
        return f"{file_prefix(self.name, self.version)}-{self.tag}.whl"

    @property
    def _sizes(self) -> list[int | None]:
        return [one.size for one in self.assets] + [one.size for one in self.artifacts]

    @property
    def size(self) -> int:
        """The known part of the wheel's size in bytes, without the files that are not ours."""
        return sum(size or 0 for size in self._sizes)

    @property
    def is_size_known(self) -> bool:
        """Whether the size of every asset and artifact is known."""
        return None not in self._sizes

    @property
    def is_too_large(self) -> bool | None:
        """Whether PyPI refuses it, unless it grants more; None if the size is not known."""
        if self.size > PYPI_LIMIT:
            return True
        return False if self.is_size_known else None


class Preview(NamedTuple):
    """All that a build would make."""

    name: str
    """The project's name."""
    version: str | None
    engines: tuple[EnginePreview, ...]
    wheels: tuple[WheelPreview, ...]
    warnings: tuple[str, ...]
    """What a build would warn of, about the users' wasmtime."""
