"""Reads and loads the content of wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from installer.sources import WheelFile

from hatch_wazcache.engine.targets import native_target
from tests.support.projects import Built, Project

TARGET = native_target().name
"""The name of this machine's target, which is in the names of artifacts."""


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpack a wheel: its files lie as in an installation."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def ours(package: str, *assets: str) -> set[str]:
    """Return the names of all files of assets in a wheel; the assets are given without suffix."""
    names = {f"{package}/_wazcache.py", f"{package}/_wazcache.json"}
    for asset in assets:
        names |= {f"{package}/{asset}.wasm", f"{package}/{asset}.{TARGET}.cwasm"}
    return names


def engines(manifest: str | bytes) -> list[str]:
    """Return the versions of the engines that compiled the artifacts of a manifest."""
    assets = json.loads(manifest)["assets"].values()
    artifacts = [artifact for asset in assets for artifact in asset["artifacts"]]
    return sorted({artifact["wasmtime"] for artifact in artifacts})


def members(built: Built) -> set[str]:
    """Return the members outside .dist-info, after comparing the wheel with its RECORD."""
    assert built.status == 0, built.output
    assert built.wheel is not None, built.output
    with WheelFile.open(built.wheel) as wheel:
        wheel.validate_record(validate_contents=True)
    assert len(built.names) == len(set(built.names))
    return {name for name in built.names if ".dist-info/" not in name}


def wheel_contents(wheel: Path) -> dict[str, tuple[int, int]]:
    """Return the CRC and the compressed size of each member outside .dist-info."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            info.filename: (info.CRC, info.compress_size)
            for info in archive.infolist()
            if ".dist-info/" not in info.filename
        }


_LOAD_ALL = """
import importlib, json, os, pathlib, sys
root = pathlib.Path(sys.argv[1])
loaded = {}
for manifest in sorted(root.rglob("*.json")):
    folder = manifest.parent
    if not manifest.with_suffix(".py").exists() or "profiles" not in manifest.read_text("utf-8"):
        continue
    name = ".".join([*folder.relative_to(root).parts, manifest.stem])
    loader = importlib.import_module(name)
    for asset in loader.assets():
        about = json.loads(manifest.read_text("utf-8"))["assets"][asset]
        for profile in sorted({artifact["profile"] for artifact in about["artifacts"]}):
            loader.load_module(asset, profile=profile, strict=True)
            path = os.path.normpath(loader.status(asset, profile=profile).artifact)
            place = (folder / asset).relative_to(root).as_posix()
            found = pathlib.Path(path).relative_to(root).as_posix()
            loaded[place if profile == "default" else f"{place}:{profile}"] = found
print(json.dumps(loaded))
"""


def precompiled(folder: Path, python: Path = Path(sys.executable)) -> dict[str, str]:
    """Load every asset below a folder, strictly, and return the artifact of each."""
    done = subprocess.run(
        [python, "-W", "error", "-c", _LOAD_ALL, folder],
        env={**os.environ, "PYTHONPATH": str(folder)}, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def load_editable(built: Built, places: object) -> list[bool]:
    """Load assets by the packages of an editable wheel, as an environment has them."""
    folder = built.wheel.parent.parent / "site"
    unpack(built.wheel, folder)
    code = """
import importlib, json, site, sys
site.addsitedir(sys.argv[1])
for place in json.loads(sys.argv[2]):
    parts = place.split("/")[:-1]
    while True:
        try:
            loader = importlib.import_module(".".join([*parts, "_wazcache"]))
            break
        except ModuleNotFoundError:
            parts.pop()
    name = place[len("/".join(parts)) + 1:]
    loader.load_module(name, strict=True)
    print(json.dumps(loader.status(name).precompiled))
"""
    words = ["-c", code, str(folder), json.dumps(list(places))]
    ran = Project(folder, folder).run_python(*words)
    assert ran.status == 0, ran.output
    return [json.loads(line) for line in ran.output.splitlines()]
