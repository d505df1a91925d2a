"""Checks whether the installed wasmtime loads an artifact, with the loader that packages use.

A child process does that, because an artifact from a stranger can make wasmtime abort.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.resources import loader_text
from hatch_wazcache.util.child_process import import_path, isolated
from hatch_wazcache.util.environment import without_secrets
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from hatch_wazcache.wheels.manifest import Manifest, ManifestArtifact, ManifestAsset
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["why_not_loaded"]

_PATIENCE = 60.0
"""Seconds that the child may run. It usually needs a tenth of one."""

_ASSET, _ARTIFACT = "asset", "artifact.cwasm"

_CHILD = """\
import json, sys
folder, profile, path = json.loads(sys.argv[1])
sys.path[:] = [folder, *path]
import _wazcache
status = _wazcache.status("asset", profile=profile)
print(json.dumps(None if status.precompiled else status.reason))
"""


def why_not_loaded(
    wheel: WheelReader, manifest: Manifest, asset: ManifestAsset, artifact: ManifestArtifact
) -> str | None:
    """Say why this machine's wasmtime does not load an artifact; None if it does.

    The loader runs in a package that holds only this artifact, under a name of our own.

    Raises:
        BrokenWheelError: the artifact cannot be unpacked.
        OSError: there is no room to unpack it here.
    """
    alone = replace(asset, name=_ASSET, wasm=None, artifacts=(replace(artifact, file=_ARTIFACT),))
    with TemporaryFolder() as name:
        folder = Path(name)
        (folder / "_wazcache.py").write_bytes(loader_text())
        manifest = replace(manifest, assets=(alone,), companion=None)
        (folder / "_wazcache.json").write_bytes(manifest.to_bytes())
        with (folder / _ARTIFACT).open("wb") as file:
            file.writelines(wheel.chunks(manifest.member(artifact.file)))
        reason = _load_in_child(name, artifact.profile)
    return reason and reason.removeprefix(f"{_ARTIFACT}: ")


def _load_in_child(folder: str, profile: str) -> str | None:
    """Run the child in the user's environment, because that affects what wasmtime loads."""
    argument = json.dumps([folder, profile, import_path()])
    try:
        done = subprocess.run(
            [*isolated(sys.executable), "-c", _CHILD, argument],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            env=without_secrets(),
        )
    except subprocess.TimeoutExpired:
        return f"wasmtime does not load it within {_PATIENCE:g} s"
    if done.returncode == 1:  # an exception: this wasmtime does not have one of the settings
        return done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    if done.returncode != 0:
        return f"wasmtime ended the process that loaded it, with status {done.returncode}"
    reason = json.loads(done.stdout)
    return None if reason is None else str(reason)
