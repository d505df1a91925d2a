"""The second compiler, as the parent sees it: finds the `wasmtime` program, and trusts it late.

It has to be of the engine's version, and to make the same bytes as wasmtime-py for a small module,
once for each profile; what it makes for other systems is then taken for what wasmtime-py would make
there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hatch_wazcache.cache.entry import read_entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.pool import Pool, Task, clean_environment, kill_tree
from hatch_wazcache.engine import SETTINGS
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.job import Job
from hatch_wazcache.targets import native_system
from hatch_wazcache.wasm import read_wasm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.engine import InstalledEngine

__all__ = ["find_program"]

_PATIENCE = 60.0
"""Seconds that are enough for what takes a hundredth of one."""

_PROBE = bytes.fromhex(
    "0061736d0100000001060160017f017f030403000000040401700002050401010104060d017c014400000000"
    "0000f83f0b070501016600020908010041000b0200010a56030a00200041082d00006a0b1a01017c23002000"
    "b7a39f2101200141002b0310a424002001aa0b2e01017f034020012000200141017111000036024020014104"
    "6a210120012000490d000b410140001a200020016e0b0b0e010041080b0877617a63616368650022046e616d"
    "65010702000161010162030601020100016c040401000175070401000167"
)
"""A module of the first WebAssembly, which every profile takes: memory, a table, loops, floats."""


def find_program(
    named: Path | None,
    jobs: Iterable[Job],
    engine: InstalledEngine,
    version: str,
    cache: CacheDirectory,
    timeout: float,
) -> Path:
    """Find the program that compiles the jobs, and hold it against wasmtime-py.

    Args:
        named: a program, or a folder with some; None for what is on PATH.
        jobs: that take it.
        engine: the installed wasmtime.
        version: the engine's own.
        cache: remembers which programs and profiles agreed.
        timeout: seconds that one compilation may take.

    Raises:
        WazcacheError: there is none, or it is unfit; says what takes it and how to get it.
    """
    keys = [job.key for job in jobs if isinstance(job.key, ArtifactKey)]
    needs = f"the wasmtime program is needed for {_needs(keys)}"
    program = _Program(_find(named, needs, version), engine, version, min(timeout, _PATIENCE))
    program.check_version(needs)
    for settings in {json.dumps(dict(key.settings), sort_keys=True): None for key in keys}:
        program.check_bytes(json.loads(settings), cache)
    return program.path


def _needs(keys: list[ArtifactKey]) -> str:
    """Say what takes the program."""
    native = native_system()
    systems = sorted({key.target for key in keys if not native or key.target != native.name})
    settings = {setting for key in keys for setting in key.settings.items()}
    names = sorted({name for name, value in settings if SETTINGS[name].takes_program(value)})
    words = [f"the target{'s' if len(systems) > 1 else ''} {', '.join(systems)}"] if systems else []
    words += [f"the setting{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
    return " and ".join(words)


def _how_to_get(version: str) -> str:
    return (
        f"get version {version} from https://github.com/bytecodealliance/wasmtime/releases/tag/"
        f"v{version}, or by `cargo install wasmtime-cli --version {version} --locked --features "
        "all-arch`, and have it on PATH, or name it with the option compiler or WAZCACHE_WASMTIME"
    )


def _find(named: Path | None, needs: str, version: str) -> Path:
    suffix = ".exe" if sys.platform == "win32" else ""
    names = [f"wasmtime-{version}{suffix}", f"wasmtime{suffix}"]
    if named is None:
        for name in names:
            if found := shutil.which(name):
                return Path(os.path.abspath(found))
        where = "is not on PATH"
    elif named.is_dir():
        for name in names:
            if (named / name).is_file():
                return named / name
        where = f"is not in {named}, neither as {' nor as '.join(names)}"
    elif named.exists():
        return named
    else:
        where = f"is not there: {named} does not exist"
    raise WazcacheError(f"{needs}, and {where}; {_how_to_get(version)}")


@dataclass(frozen=True)
class _Program:
    """A program that is to stand in for the installed wasmtime-py."""

    path: Path
    engine: InstalledEngine
    version: str
    """The engine's, and so the one that the program must be of."""
    patience: float
    """Seconds to wait for what takes a hundredth of one."""

    def check_version(self, needs: str) -> None:
        """Ask the program for its version.

        Args:
            needs: the beginning of the message.

        Raises:
            WazcacheError: it is of another, or none that works.
        """
        said = self._answer(needs)
        found = re.fullmatch(r"wasmtime(?:-cli)? (\d+\.\d+\.\d+)\b.*", said)
        if found is None:
            self._refuse(f"{needs}, but {self.path} is none: it answers {said!r} to --version")
        if found[1] != self.version:
            self._refuse(
                f"{needs}, of version {self.version} as the installed wasmtime-py is, but "
                f"{self.path} is of version {found[1]}"
            )

    def _answer(self, needs: str) -> str:
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    [self.path, "--version"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.DEVNULL,
                    env=clean_environment(),
                    start_new_session=True,
                )
                status = process.wait(self.patience)
            except OSError as error:
                self._refuse(f"{needs}, but {self.path}: {error.strerror or error}")
            except subprocess.TimeoutExpired:
                kill_tree(process)
                process.wait()
                self._refuse(
                    f"{needs}, but {self.path} --version does not end within {self.patience:g} s"
                )
            if status != 0:
                self._refuse(f"{needs}, but {self.path} --version ends with status {status}")
            output.seek(0)
            return output.read(200).decode("utf-8", "replace").strip()

    def check_bytes(self, settings: Mapping[str, bool | int | str], cache: CacheDirectory) -> None:
        """Compile the probe by both compilers, unless they are known to agree.

        Args:
            settings: of a profile; what wasmtime-py does not know is left out for both.
            cache: remembers that they agreed.

        Raises:
            WazcacheError: they do not, or one of them fails.
        """
        system = native_system()
        assert system is not None  # an engine is installed
        known = {name: v for name, v in settings.items() if not SETTINGS[name].program_only}
        wasm, triple = hashlib.sha256(_PROBE).hexdigest(), self.engine.triple(system)
        key = ArtifactKey(wasm, self.version, system.name, triple, "baseline", (), known)
        library = self.engine.library_id
        pair = f"{_digest_of(self.path)} {library} {key.digest}"
        note = f"program={hashlib.sha256(pair.encode()).hexdigest()}" if library else ""
        if cache.recall(note) == "same":
            return
        with tempfile.TemporaryDirectory(prefix="wazcache-") as folder:
            ours, theirs = self._compile_probe(key, Path(folder))
        if ours != theirs:
            self._refuse(
                f"{self.path}, which says that it is wasmtime {self.version}, compiles a small "
                f"module{_with(known)} to other bytes than the installed wasmtime-py "
                f"{self.engine.distribution_version} does: it was built otherwise"
            )
        cache.remember(note, "same")

    def _compile_probe(self, key: ArtifactKey, folder: Path) -> list[str]:
        """Compile the probe by wasmtime-py and by the program; return the artifacts' digests."""
        path = folder / "probe.wasm"
        path.write_bytes(_PROBE)
        job = Job(key, "a small module", path, read_wasm(path, "a small module"))
        digests: list[str] = []
        pool = Pool(self.patience, _silent)
        try:
            for by in (None, self.path):
                out = folder / f"{len(digests)}.zip"
                out.touch()
                pool.start(Task(job, out, by))
                outcome = pool.wait(2 * _PATIENCE)
                assert outcome is not None  # it takes as long as its time limit at most
                if outcome.written is None:
                    who = by or f"wasmtime-py {self.engine.distribution_version}"
                    self._refuse(
                        f"{who} does not compile a small module{_with(key.settings)}: "
                        f"{outcome.error}"
                    )
                digests.append(read_entry(outcome.written, key.digest).sha256)
        finally:
            pool.close()
        return digests

    def _refuse(self, problem: str) -> NoReturn:
        raise WazcacheError(f"{problem}; {_how_to_get(self.version)}")


def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _with(settings: Mapping[str, object]) -> str:
    values = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    return f" with {values}" if values else ""


def _silent(_task: Task, _seconds: float) -> None:
    """Say nothing: it is done in a moment."""
