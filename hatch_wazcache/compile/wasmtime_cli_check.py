"""Compares the wasmtime CLI with wasmtime-py before it compiles for other systems.

For each profile it must compile a small module to the same bytes as wasmtime-py. Then its artifacts
for other systems are trusted to be those of wasmtime-py.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.entry import read_entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.job import Job
from hatch_wazcache.compile.pool import Pool
from hatch_wazcache.compile.task import Outcome, Task
from hatch_wazcache.compile.wasmtime_cli_version import UnfitError
from hatch_wazcache.engine.settings import SETTINGS, settings_text
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.digests import file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_wazcache.cache.notes import Notes
    from hatch_wazcache.compile.compilers import WasmtimeCli
    from hatch_wazcache.engine.installed import Engine

__all__ = ["Candidate"]

_PATIENCE = 60.0
"""The time limit in seconds. A compilation usually needs a hundredth of one."""

_EXECUTABLE = (
    b"\x7fELF",
    b"MZ",
    *(bytes.fromhex(magic) for magic in ("feedface", "feedfacf", "cefaedfe", "cffaedfe")),
    *(bytes.fromhex(magic) for magic in ("cafebabe", "cafebabf")),  # for several architectures
)
"""The beginnings of programs for Linux, Windows and macOS."""

_COMPILER = b".wasmtime.engine"
"""A section of every artifact, so its name is in every program that makes artifacts."""

_PROBE = bytes.fromhex(
    "0061736d0100000001060160017f017f030403000000040401700002050401010104060d017c014400000000"
    "0000f83f0b070501016600020908010041000b0200010a56030a00200041082d00006a0b1a01017c23002000"
    "b7a39f2101200141002b0310a424002001aa0b2e01017f034020012000200141017111000036024020014104"
    "6a210120012000490d000b410140001a200020016e0b0b0e010041080b0877617a63616368650022046e616d"
    "65010702000161010162030601020100016c040401000175070401000167"
)
"""A module of WebAssembly 1.0, which every profile accepts: memory, a table, loops, floats."""


@dataclass(frozen=True)
class Candidate:
    """A wasmtime CLI, and the engine that it must agree with."""

    wasmtime_cli: WasmtimeCli
    engine: Engine
    timeout: float
    """Seconds that one compilation may need."""

    @property
    def _patience(self) -> float:
        return min(self.timeout, _PATIENCE)

    def check_bytes(self, settings: Mapping[str, bool | int | str], notes: Notes) -> None:
        """Compile the probe with both compilers, unless they are known to agree.

        Args:
            settings: the settings of a profile. Neither compiler gets those that only the CLI has.
            notes: remembers that the two agreed.

        Raises:
            UnfitError: the bytes differ, or the CLI fails.
            WazcacheError: wasmtime-py fails.
        """
        system = native_system()
        assert system is not None  # an engine is installed
        shared = {name: v for name, v in settings.items() if not SETTINGS[name].cli_only}
        probe = hashlib.sha256(_PROBE).hexdigest()
        triple, version = self.engine.triple(system), self.engine.version
        key = ArtifactKey(probe, version, system.name, triple, "baseline", (), shared)
        note = self._note(key)
        if notes.recall(note) == "same":
            return
        by_wasmtime_py, by_wasmtime_cli = self._compile_probe(key)
        if by_wasmtime_py != by_wasmtime_cli:
            raise UnfitError(
                f"{self.wasmtime_cli.path} compiles a small module{settings_text(shared)} to other "
                f"bytes than the installed wasmtime-py {self.engine.distribution_version}: it was "
                "built with other features, or it is a script that changes the options"
            )
        notes.remember(note, "same")

    def _note(self, key: ArtifactKey) -> str:
        """Name the note about this CLI, this library and this profile; empty for no note."""
        library = self.engine.library_id
        program = _program_sha256(self.wasmtime_cli.path) if library else ""
        if not program:
            return ""
        return f"program={hashlib.sha256(f'{program} {library} {key.digest}'.encode()).hexdigest()}"

    def _compile_probe(self, key: ArtifactKey) -> list[str]:
        """Compile the probe with wasmtime-py and the CLI; return the artifacts' digests."""
        folder = Path(tempfile.gettempdir())
        digests: list[str] = []
        with ExitStack() as resources:
            path = resources.enter_context(temporary_files.temporary(folder))
            path.write_bytes(_PROBE)
            wasm = read_wasm(path, "a small module")
            job = Job(key, "a small module", path, wasm, self.engine)
            pool = resources.enter_context(closing(Pool(self._patience)))
            for wasmtime_cli in (None, self.wasmtime_cli):
                out = resources.enter_context(temporary_files.temporary(folder))
                pool.start(Task(job, out, wasmtime_cli))
                outcome = None
                while not isinstance(outcome, Outcome):  # ends within the pool's time limit
                    outcome = pool.wait(_PATIENCE)
                if outcome.written is None:
                    failure = (
                        f"does not compile a small module{settings_text(key.settings)}: "
                        f"{outcome.error}"
                    )
                    if wasmtime_cli is None:
                        version = self.engine.distribution_version
                        raise WazcacheError(f"wasmtime-py {version} {failure}")
                    raise UnfitError(f"{wasmtime_cli.path} {failure}")
                digests.append(read_entry(outcome.written, key.digest).sha256)
        return digests


def _program_sha256(path: str) -> str:
    """Return the digest of the wasmtime CLI; empty if the file is another program that runs it.

    That may be a script, or a program of a version manager, also under the name `wasmtime`. The
    file stays the same when the CLI behind it is replaced.
    """
    with open(path, "rb") as file:
        if not file.read(4).startswith(_EXECUTABLE):
            return ""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data.find(_COMPILER) == -1:
                return ""
        file.seek(0)
        return file_sha256(file)
