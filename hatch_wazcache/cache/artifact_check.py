"""Compares the artifact in an entry with the inputs that the entry names.

An artifact's header names its system, engine, CPU features and some settings. It does not name the
`.wasm`, the other settings, or what was stripped: only compiling again can tell these, as
`hatch-wazcache audit --recompile` does for a wheel.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from hatch_wazcache.formats.artifact import BrokenArtifactError, read_artifact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.formats.artifact import ArtifactHeader

__all__ = ["artifact_problem"]


def artifact_problem(entry: Entry) -> str | None:
    """Return the first contradiction between an artifact and its entry's inputs; None if none.

    Args:
        entry: the entry of an artifact. Its data is read.

    Raises:
        BrokenEntryError: the data was changed, or is not as the entry describes it.
        OSError: the temporary directory has no room for the artifact.
    """
    with tempfile.TemporaryFile() as file:
        file.writelines(entry.data())
        try:
            header = read_artifact(file, entry.size)
        except BrokenArtifactError as error:
            return f"{entry.path} does not hold an artifact: {error}"
    try:
        for found, listed in _contradictions(header, entry):
            return f"{entry.path} holds an artifact {found}, but its entry.json says {listed}"
    except (TypeError, AttributeError):  # inputs that no build writes
        return f"{entry.path} has inputs that are not those of an artifact"
    return None


def _contradictions(header: ArtifactHeader, entry: Entry) -> Iterator[tuple[str, object]]:
    inputs: Mapping[str, Any] = entry.inputs
    flags, settings = inputs.get("cpu-flags"), inputs.get("settings")
    if header.target != inputs.get("target"):
        yield f"for {header.target}", inputs.get("target")
    if not header.made_by(str(inputs.get("engine"))):
        yield f"of wasmtime {header.version}", inputs.get("engine")
    if not str(inputs.get("cpu")).startswith("native"):  # there the compiler chooses both
        if header.triple != inputs.get("triple"):
            yield f"for {header.triple}", inputs.get("triple")
        if header.arch == "x86_64" and sorted(header.cpu_flags) != sorted(flags or ()):
            yield f"with the CPU features {sorted(header.cpu_flags)}", flags
    for name, value, listed in header.differing_settings(settings or {}):
        yield f"with {name} = {value!r}", repr(listed)
