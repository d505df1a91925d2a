"""The format of a wheel's SBOM: what hatch-wazcache has put into the wheel, and where it is from.

It is a document of CycloneDX 1.6, at the place that PEP 770 names. cyclonedx-python-lib writes it.
An audit reads it without that library, and without trust. The same content always gives the same
bytes: there is no time stamp, and the serial number is made from the content.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cyclonedx.model.component import Component

    from hatch_wazcache.formats.producers import Producer

__all__ = [
    "REQUIREMENT",
    "Sbom",
    "SbomFile",
    "about_artifact",
    "about_wasm",
    "check_library",
    "check_place",
    "compilers_of",
    "own_version",
    "sbom_path",
    "serial_number",
]

REQUIREMENT = "cyclonedx-python-lib>=11,<12"
"""What writes SBOMs: the extra `sbom`, and a build requirement if the option is set."""

_FILE = "hatch-wazcache.cdx.json"
_OURS = "hatch-wazcache"
_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_NAMESPACE = uuid.UUID("0c2b1b5e-6a55-5c1d-9f0e-2f6a1f0f7d1b")
"""For the serial numbers: a number that no other program uses."""


@dataclass(frozen=True)
class SbomFile:
    """A file in the wheel; or a `.wasm` that a file was compiled from, wherever that is."""

    path: str
    """Its path in the wheel; of a companion's `.wasm`, its path in the wheel of the package."""
    sha256: str
    """Hexadecimal."""
    about: tuple[tuple[str, str], ...] = ()
    """Names and values, sorted: what else is known about it."""
    source: SbomFile | None = None
    """The `.wasm` that an artifact was compiled from."""
    loader_of: str | None = None
    """The version of hatch-wazcache whose loader it is."""


@dataclass(frozen=True)
class Sbom:
    """The content of an SBOM."""

    name: str
    """The name of the distribution, as its METADATA writes it."""
    version: str
    files: tuple[SbomFile, ...]
    """The `.wasm` files, artifacts and loaders of the wheel."""
    compilers: tuple[str, ...]
    """The versions of wasmtime that compiled the artifacts, each once."""
    made_by: str
    """The version of hatch-wazcache that made the wheel."""

    def to_bytes(self) -> bytes:
        """Return the text of the file.

        Raises:
            WazcacheError: the library is missing.
        """
        check_library()
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.model.tool import ToolRepository
        from cyclonedx.output.json import JsonV1Dot6

        root = Component(
            name=self.name,
            version=self.version,
            type=ComponentType.LIBRARY,
            bom_ref="distribution",
            purl=_purl(self.name, self.version),
        )
        bom = Bom()
        bom.metadata.timestamp = None  # type: ignore[assignment]  # the schema requires none
        bom.metadata.component = root
        tools = [(_OURS, self.made_by), *(("wasmtime", version) for version in self.compilers)]
        bom.metadata.tools = ToolRepository(
            components=[
                Component(
                    name=name,
                    version=version,
                    type=ComponentType.APPLICATION,
                    bom_ref=f"tool:{name}@{version}",
                    purl=_purl(name, version) if name == _OURS else None,
                )
                for name, version in tools
            ]
        )
        components = [_component(file, f"file:{file.path}") for file in self.files]
        bom.components.update(components)
        bom.register_dependency(root, components)
        document = json.loads(JsonV1Dot6(bom).output_as_string())
        return _to_bytes(document)


def sbom_path(info: str) -> str:
    """Return the path of our SBOM in a wheel; other tools may have theirs beside it.

    Args:
        info: the .dist-info folder.
    """
    return f"{info}/sboms/{_FILE}"


def about_wasm(kind: str, producers: Iterable[Producer]) -> tuple[tuple[str, str], ...]:
    """Return what is known about a `.wasm`.

    Args:
        kind: `module` or `component`.
        producers: the tools that it names.
    """
    named = ((f"producers:{one.field}", f"{one.name} {one.version}".strip()) for one in producers)
    return tuple(sorted({("kind", kind), *named}))


def about_artifact(
    target: str, cpu: str, profile: str, wasmtime: str
) -> tuple[tuple[str, str], ...]:
    """Return what is known about an artifact, each as in a manifest."""
    return (("cpu", cpu), ("profile", profile), ("target", target), ("wasmtime", wasmtime))


def compilers_of(files: Iterable[SbomFile]) -> tuple[str, ...]:
    """Return the versions of wasmtime that compiled files, each once; sorted."""
    return tuple(sorted({dict(file.about).get("wasmtime", "") for file in files} - {""}))


def own_version() -> str:
    """Return the version of this hatch-wazcache."""
    from importlib.metadata import version

    return version(_OURS)


def check_library() -> None:
    """Check that SBOMs can be written; a build does it before it compiles.

    Raises:
        WazcacheError: the library is missing, or is another release.
    """
    from importlib.metadata import PackageNotFoundError, version

    requirement, found = Requirement(REQUIREMENT), ""
    with suppress(PackageNotFoundError):
        found = version(requirement.name)
        if requirement.specifier.contains(found, prereleases=True):
            return
    raise WazcacheError(
        f"the option sbom needs {REQUIREMENT}{found and f', not {found}'}: install "
        f'hatch-wazcache[sbom]; for a build in isolation, add "{REQUIREMENT}" to '
        "build-system.requires, if your front end does not install what build hooks ask for"
    )


def check_place(path: str, names: Iterable[str]) -> None:
    """Check that an SBOM can be unpacked beside the other files of its wheel.

    Args:
        path: the result of `sbom_path`.
        names: the other members of the wheel.

    Raises:
        WazcacheError: the path of another file is the same on some systems, or is a folder of it.
    """
    ours = path.casefold()
    for name in names:
        other = name.casefold().rstrip("/")
        is_folder = name.endswith("/") and ours.startswith(f"{other}/")
        if name == path or is_folder:
            continue
        if f"{ours}/".startswith(f"{other}/") or f"{other}/".startswith(f"{ours}/"):
            raise WazcacheError(
                f"sbom: the wheel has the file {name}, so it has no place for {path}; rename that "
                "file, or leave the option out"
            )


def serial_number(document: dict[str, Any]) -> str:
    """Return the serial number that belongs to the content of a document."""
    content = {key: value for key, value in document.items() if key != "serialNumber"}
    digest = sha256(_text(content).encode()).hexdigest()
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}"


def _to_bytes(document: dict[str, Any]) -> bytes:
    """Write a document so that its bytes do not depend on the release of the library."""
    document = {**_sorted(document), "$schema": _SCHEMA}
    document["serialNumber"] = serial_number(document)
    return f"{_text(document)}\n".encode()


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True)


def _sorted(value: Any) -> Any:
    """Sort all lists: in a document of ours, none has an order of its own."""
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in value.items()}
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


def _component(file: SbomFile, reference: str) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType, Pedigree

    ancestors = list(_ancestors(file, reference))
    return Component(
        name=file.path,
        type=ComponentType.FILE,
        bom_ref=reference,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        properties=[Property(name=f"{_OURS}:{name}", value=value) for name, value in file.about],
        pedigree=Pedigree(ancestors=ancestors) if ancestors else None,
    )


def _ancestors(file: SbomFile, reference: str) -> Iterator[Component]:
    from cyclonedx.model.component import Component, ComponentType

    if file.source is not None:
        yield _component(file.source, f"source-of:{reference}")
    if file.loader_of is not None:
        yield Component(
            name=_OURS,
            version=file.loader_of,
            type=ComponentType.LIBRARY,
            bom_ref=f"source-of:{reference}",
            purl=_purl(_OURS, file.loader_of),
        )


def _purl(name: str, version: str) -> Any:
    from packageurl import PackageURL

    return PackageURL("pypi", None, canonicalize_name(name), version)
