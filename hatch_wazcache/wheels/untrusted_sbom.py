"""Reads an SBOM of ours in a stranger's wheel, without trust and without a library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from hatch_wazcache.wheels.sbom import Sbom, SbomFile, serial_number

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BrokenSbomError", "read_sbom"]

_MOST_FILES = 10_000
_PREFIX = "hatch-wazcache:"


class BrokenSbomError(Exception):
    """The document is not an SBOM of ours. The text says why, after the file's name."""


def read_sbom(data: bytes) -> Sbom:
    """Read an SBOM. What a later release may add to it is ignored.

    Args:
        data: the text of the file.

    Raises:
        BrokenSbomError: it is not one that hatch-wazcache has made, or was changed.
    """
    try:
        document = json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BrokenSbomError("is not valid JSON") from error
    document = _table(document, "the document")
    if (document.get("bomFormat"), document.get("specVersion")) != ("CycloneDX", "1.6"):
        raise BrokenSbomError("is not a document of CycloneDX 1.6")
    try:
        number = serial_number(document)
    except RecursionError as error:
        raise BrokenSbomError("is not valid JSON") from error
    if document.get("serialNumber") != number:
        raise BrokenSbomError("was changed: its serial number does not belong to its content")
    metadata = _table(document.get("metadata"), "metadata")
    root = _table(metadata.get("component"), "metadata.component")
    tools = _table(metadata.get("tools"), "metadata.tools").get("components")
    versions: dict[str, list[str]] = {}
    for tool in _tables(tools, "metadata.tools.components"):
        versions.setdefault(_text(tool, "name"), []).append(_text(tool, "version"))
    return Sbom(
        name=_text(root, "name"),
        version=_text(root, "version"),
        files=tuple(map(_file, _tables(document.get("components", []), "components"))),
        compilers=tuple(sorted(versions.get("wasmtime", ()))),
        made_by=versions.get("hatch-wazcache", [""])[0],
    )


def _refuse(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


def _file(component: dict[str, Any]) -> SbomFile:
    hashes = {
        _text(one, "alg"): _text(one, "content")
        for one in _tables(component.get("hashes", []), "hashes")
    }
    properties = _tables(component.get("properties", []), "properties")
    pairs = [(_text(one, "name"), _text(one, "value")) for one in properties]
    about = [(name[len(_PREFIX) :], value) for name, value in pairs if name.startswith(_PREFIX)]
    source, loader_of = None, None
    pedigree = _table(component.get("pedigree", {}), "pedigree")
    for one in _tables(pedigree.get("ancestors", []), "ancestors"):
        if one.get("type") == "file" and "pedigree" not in one:
            source = _file(one)
        elif one.get("name") == "hatch-wazcache":
            loader_of = _text(one, "version")
    return SbomFile(
        path=_text(component, "name"),
        sha256=hashes.get("SHA-256", ""),
        about=tuple(sorted(about)),
        source=source,
        loader_of=loader_of,
    )


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BrokenSbomError(f"{name} is not an object")
    return value


def _tables(value: Any, name: str) -> Iterator[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > _MOST_FILES:
        raise BrokenSbomError(f"{name} is not a list of at most {_MOST_FILES} objects")
    return (_table(one, f"an item of {name}") for one in value)


def _text(table: dict[str, Any], name: str) -> str:
    if not isinstance(value := table.get(name), str):
        raise BrokenSbomError(f"a field {name} is not a text")
    return value
