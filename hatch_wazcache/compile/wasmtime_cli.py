"""Finds the wasmtime CLI for the jobs that need it, and checks it before it is trusted."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.compilers import WasmtimeCli
from hatch_wazcache.compile.wasmtime_cli_check import Candidate, UnfitError
from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.search_path import find_program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_wazcache.cache.notes import Notes
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.engine.installed import Engine

__all__ = ["find_wasmtime_cli"]


def find_wasmtime_cli(
    path: Path | None,
    jobs: Iterable[Job],
    engine: Engine,
    notes: Notes,
    timeout: float,
) -> WasmtimeCli | None:
    """Find the wasmtime CLI for the jobs that need it, and compare it with wasmtime-py.

    Args:
        path: the wasmtime CLI or a folder that holds it; None to search PATH.
        jobs: the jobs of the build.
        engine: the installed wasmtime.
        notes: remembers which CLI and profile passed.
        timeout: seconds that one compilation may need.

    Returns:
        The CLI; None if no job needs it.

    Raises:
        WazcacheError: it is missing or unfit. The message says which jobs need it and how to get
            it.
    """
    needing = (job.key for job in jobs if job.needs_wasmtime_cli)
    keys = [key for key in needing if isinstance(key, ArtifactKey)]
    if not keys:
        return None
    need = f"the wasmtime CLI is needed for {_reasons(keys)}"
    found = _find(path, need, engine.version)
    try:
        candidate = Candidate(WasmtimeCli.at(found), engine, timeout)
        candidate.check_version()
        for settings in {json.dumps(dict(key.settings), sort_keys=True): None for key in keys}:
            candidate.check_bytes(json.loads(settings), notes)
    except UnfitError as error:
        raise WazcacheError(f"{need}, but {error}; {_how_to_get(engine.version)}") from error
    except OSError as error:
        reason = error.strerror or error
        if error.filename == str(found):
            raise WazcacheError(f"{need}, but {found} cannot be read: {reason}") from error
        place = error.filename or tempfile.tempdir or "no temporary file"
        raise WazcacheError(
            f"{need}, but {found} cannot be checked: {place}: {reason}; see TMPDIR"
        ) from error
    return candidate.wasmtime_cli


def _reasons(keys: list[ArtifactKey]) -> str:
    """Name the targets and settings that need the wasmtime CLI."""
    native = native_system()
    systems = sorted({key.target for key in keys if not native or key.target != native.name})
    settings = {setting for key in keys for setting in key.settings.items()}
    names = sorted({name for name, value in settings if SETTINGS[name].needs_wasmtime_cli(value)})
    words = [f"the target{'s' if len(systems) > 1 else ''} {', '.join(systems)}"] if systems else []
    words += [f"the setting{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
    return " and ".join(words)


def _how_to_get(version: str) -> str:
    return (
        f"get version {version} from https://github.com/bytecodealliance/wasmtime/releases/tag/"
        f"v{version}, or with `cargo install wasmtime-cli --version {version} --locked --features "
        "all-arch`; put it on PATH, or set the option compiler or WAZCACHE_WASMTIME to its path"
    )


def _find(path: Path | None, need: str, version: str) -> Path:
    suffix = ".exe" if sys.platform == "win32" else ""
    names = [f"wasmtime-{version}{suffix}", f"wasmtime{suffix}"]
    if path is None:
        for name in names:
            if found := find_program(name.removesuffix(".exe")):
                return Path(found)
        problem = "it is not on PATH"
    elif os.path.isdir(path):  # Path.is_dir raises for a folder without permission
        for name in names:
            if os.path.isfile(path / name):
                return path / name
        problem = f"{path} holds neither {' nor '.join(names)}"
    elif os.path.exists(path):
        return path
    else:
        problem = f"{path} does not exist"
    raise WazcacheError(f"{need}, but {problem}; {_how_to_get(version)}")
