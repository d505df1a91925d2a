"""Moves the artifacts of an installed package into a companion, as companion wheels hold them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

COMPANION = "demo-wasmtime"
FOLDER = "demo_wasmtime"


def split(site: Path, into: Path | None = None, package: str = "demo") -> Path:
    """Move a package's artifacts into its companion.

    Args:
        site: holds the package.
        into: the folder for the companion; None: beside the package.
        package: the path of the package in its wheel.

    Returns:
        The folder of the companion's manifest.
    """
    path = site / package / "_wazcache.json"
    manifest = json.loads(path.read_text("utf-8"))
    folder = (into or site) / FOLDER / package
    companion = json.loads(json.dumps(manifest))
    for name, asset in companion["assets"].items():
        asset["wasm"] = None
        for artifact in asset["artifacts"]:
            to = folder / artifact["file"]
            to.parent.mkdir(parents=True, exist_ok=True)
            (site / package / artifact["file"]).rename(to)
        manifest["assets"][name]["artifacts"] = []
    companion["package"] = {
        "name": "demo",
        "version": "1.0",
        "path": f"{package}/_wazcache.json",
    }
    manifest["companion"] = {"name": COMPANION, "cpu": ["baseline"]}
    (folder / "_wazcache.json").write_text(json.dumps(companion), "utf-8")
    (folder.parents[package.count("/")] / "__init__.py").write_text('"""Artifacts."""\n')
    path.write_text(json.dumps(manifest), "utf-8")
    return folder


def change_companion(folder: Path, change: Callable[[dict], object]) -> None:
    """Change the manifest in a companion's folder."""
    path = folder / "_wazcache.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def installed(site: Path, version: str) -> None:
    """Leave the metadata of an installed companion."""
    info = site / f"{FOLDER}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {COMPANION}\nVersion: {version}\n"
    )


def pack(folder: Path, archive: Path) -> Path:
    """Pack a folder into a zip file."""
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                opened.write(path, path.relative_to(folder))
    return archive
