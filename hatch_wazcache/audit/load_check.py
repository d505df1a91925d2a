"""Asks the installed wasmtime whether it loads an artifact, through the loader itself.

In a child process: what does not come from our own compiler may make wasmtime abort.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.compile.pool import import_path
from hatch_wazcache.resources import loader_text
from hatch_wazcache.wheels.manifest import SCHEMA

if TYPE_CHECKING:
    from hatch_wazcache.wheels.manifest_reader import Manifest, ManifestArtifact, ManifestAsset
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["why_not_loaded"]

_PATIENCE = 60.0
"""Seconds for what takes a tenth of one."""

_ARTIFACT = "artifact.cwasm"

_CHILD = """\
import json, sys
folder, profile, path = json.loads(sys.argv[1])
sys.path[:] = [folder, *path]
import _wazcache
status = _wazcache.status("asset", profile=profile)
print(json.dumps(None if status.precompiled else status.reason))
"""


def why_not_loaded(
    wheel: WheelReader, claims: Manifest, asset: ManifestAsset, artifact: ManifestArtifact
) -> str | None:
    """Say why this machine's wasmtime does not load an artifact; None if it does.

    The loader gets a package with this artifact alone, and no name of the wheel's is used.

    Raises:
        BrokenWheelError: it cannot be unpacked.
        OSError: it cannot be unpacked here.
    """
    manifest = {
        "schema": SCHEMA,
        "wasmtime": claims.engine,
        "profiles": claims.profiles,
        "assets": {
            "asset": {
                "kind": asset.kind,
                "wasm": None,
                "artifacts": [
                    {
                        "file": _ARTIFACT,
                        "target": artifact.system,
                        "profile": artifact.profile,
                        "size": artifact.size,
                    }
                ],
            }
        },
    }
    with tempfile.TemporaryDirectory(prefix="wazcache-") as name:
        folder = Path(name)
        (folder / "_wazcache.py").write_bytes(loader_text())
        (folder / "_wazcache.json").write_text(json.dumps(manifest), "utf-8")
        with (folder / _ARTIFACT).open("wb") as file:
            file.writelines(wheel.chunks(artifact.member))
        reason = _ask(name, artifact.profile)
    return reason and reason.removeprefix(f"{_ARTIFACT}: ")


def _ask(folder: str, profile: str) -> str | None:
    """Run the child; the environment is the user's, which decides what wasmtime loads."""
    about = json.dumps([folder, profile, import_path()])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD, about],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"wasmtime does not load it within {_PATIENCE:g} s"
    if done.returncode == 1:  # an exception, as of a setting that this wasmtime does not have
        return done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    if done.returncode != 0:
        return f"wasmtime ended the process that tried it, with status {done.returncode}"
    reason = json.loads(done.stdout)
    return None if reason is None else str(reason)
