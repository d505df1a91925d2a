"""Manifests as a later release of hatch-wazcache may write them."""

from __future__ import annotations

__all__ = ["with_new_fields"]


def with_new_fields(manifest: dict) -> dict:
    """Add a field that no release knows to a manifest, and to each table whose fields are fixed."""
    assets = manifest["assets"].values()
    tables = [manifest, *assets, *(one for asset in assets for one in asset["artifacts"])]
    tables += [manifest[name] for name in ("companion", "package") if name in manifest]
    for table in tables:
        table["new"] = {"wasmtime": [1]}
    return manifest
