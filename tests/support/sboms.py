"""Reads the SBOMs of wheels, and validates them against the schema of CycloneDX."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

FILE = "sboms/hatch-wazcache.cdx.json"


def sbom_text(wheel: Path) -> bytes:
    """Return the text of our SBOM in a wheel, which must be valid."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f".dist-info/{FILE}"))
        text = archive.read(name)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode())
    assert problem is None, problem
    return text


def has_sbom(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return any("/sboms/" in name for name in archive.namelist())


def components(wheel: Path) -> dict[str, dict]:
    """Return the components of our SBOM in a wheel, by their names."""
    return {one["name"]: one for one in json.loads(sbom_text(wheel))["components"]}


def properties(component: dict) -> dict[str, str]:
    pairs = {one["name"]: one["value"] for one in component.get("properties", [])}
    return {name.removeprefix("hatch-wazcache:"): value for name, value in pairs.items()}


def sha256(component: dict) -> str:
    (one,) = component["hashes"]
    assert one["alg"] == "SHA-256"
    return one["content"]
