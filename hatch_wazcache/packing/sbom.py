"""The SBOM of a wheel, from the plan of its build and the entries of its artifacts."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.producers import read_producers
from hatch_wazcache.formats.wasm import read_again
from hatch_wazcache.resources import loader_text
from hatch_wazcache.wheels.metadata import fields_of
from hatch_wazcache.wheels.sbom import (
    Sbom,
    SbomFile,
    about_artifact,
    about_wasm,
    compilers_of,
    own_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.formats.producers import Producer
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.packing.plan import Artifact, Asset

__all__ = ["make_sbom", "sbom_of"]


def sbom_of(build: Build, metadata: bytes) -> Sbom:
    """Make the SBOM of the wheel of a build.

    Args:
        build: its entries are made.
        metadata: the METADATA of the wheel.

    Raises:
        WazcacheError: as for `make_sbom`.
    """
    fields, plan = fields_of(metadata), build.plan
    loaders = (package.file(package.loader) for package in plan.packages if package.loader)
    sha256 = hashlib.sha256(loader_text()).hexdigest()
    own = [SbomFile(path, sha256, loader_of=own_version()) for path in loaders]
    if build.project.config.keep_wasm:
        own += [_wasm(asset, asset.distribution) for asset in plan.assets]
    name, version, entries = fields["name"][0], fields["version"][0], build.entries.by_key
    return make_sbom(name, version, own, plan.artifacts, entries, lambda one: one.distribution)


def make_sbom(
    name: str,
    version: str,
    own: Iterable[SbomFile],
    artifacts: Iterable[Artifact],
    entries: Mapping[str, Entry],
    source_path: Callable[[Asset], str],
) -> Sbom:
    """Make the SBOM of a wheel.

    Args:
        name: the name of the distribution.
        version: its version.
        own: the `.wasm` files and loaders of the wheel.
        artifacts: its artifacts.
        entries: the entries of the artifacts, by the digests of their keys.
        source_path: returns the path of an asset in the wheel of the package.

    Raises:
        WazcacheError: an asset has changed since it was compiled, or cannot be read.
    """
    files = [
        *own,
        *(_artifact(one, entries[one.key.digest], source_path(one.asset)) for one in artifacts),
    ]
    return Sbom(name, version, tuple(files), compilers_of(files), own_version())


def _artifact(artifact: Artifact, entry: Entry, source: str) -> SbomFile:
    return SbomFile(
        path=artifact.distribution,
        sha256=entry.sha256,
        about=about_artifact(
            artifact.system.name, artifact.cpu, artifact.profile.name, entry.compiled_by
        ),
        source=_wasm(artifact.asset, source),
    )


def _wasm(asset: Asset, path: str) -> SbomFile:
    try:
        producers = _producers(asset.source, asset.wasm.sha256)
    except WazcacheError as error:
        raise WazcacheError(f"{asset.relative}: {error}") from error
    return SbomFile(path, asset.wasm.sha256, about_wasm(asset.wasm.kind, producers))


@lru_cache(maxsize=64)
def _producers(path: Path, sha256: str) -> tuple[Producer, ...]:
    """Read what a `.wasm` names; once, because it is the source of many artifacts."""
    data = read_again(path, sha256)
    return read_producers(io.BytesIO(data), len(data))
