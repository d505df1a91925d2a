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
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hatch_wazcache.cache.entry import read_entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.compilers import WasmtimeCli
from hatch_wazcache.compile.job import Job
from hatch_wazcache.compile.pool import Pool, Task, clean_environment, kill_tree
from hatch_wazcache.engine.settings import SETTINGS, with_settings
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.engine.installed import Engine

__all__ = ["find_wasmtime_cli"]

_PATIENCE = 60.0
"""Seconds that are enough for what takes a hundredth of one."""

_LONGEST_ANSWER = 200
"""Bytes that are enough for a version."""

_PROBE = bytes.fromhex(
    "0061736d0100000001060160017f017f030403000000040401700002050401010104060d017c014400000000"
    "0000f83f0b070501016600020908010041000b0200010a56030a00200041082d00006a0b1a01017c23002000"
    "b7a39f2101200141002b0310a424002001aa0b2e01017f034020012000200141017111000036024020014104"
    "6a210120012000490d000b410140001a200020016e0b0b0e010041080b0877617a63616368650022046e616d"
    "65010702000161010162030601020100016c040401000175070401000167"
)
"""A module of the first WebAssembly, which every profile takes: memory, a table, loops, floats."""


def find_wasmtime_cli(
    named: Path | None,
    jobs: Iterable[Job],
    engine: Engine,
    cache: CacheDirectory,
    timeout: float,
) -> WasmtimeCli | None:
    """Find the program for the jobs that take it, and hold it against wasmtime-py.

    Args:
        named: a program, or a folder with some; None for what is on PATH.
        jobs: what is to be made.
        engine: the installed wasmtime.
        cache: remembers which programs and profiles agreed.
        timeout: seconds that one compilation may take.

    Returns:
        The program; None if no job takes it.

    Raises:
        WazcacheError: there is none, or it is unfit; says what takes it and how to get it.
    """
    taking = (job.key for job in jobs if job.needs_wasmtime_cli)
    keys = [key for key in taking if isinstance(key, ArtifactKey)]
    if not keys:
        return None
    needs = f"the wasmtime program is needed for {_needs(keys)}"
    path = _find(named, needs, engine.version)
    try:
        trial = _Trial(WasmtimeCli.at(path), engine, min(timeout, _PATIENCE))
        trial.check_version(needs)
        for settings in {json.dumps(dict(key.settings), sort_keys=True): None for key in keys}:
            trial.check_bytes(json.loads(settings), cache)
    except OSError as error:
        reason = error.strerror or error
        if error.filename == str(path):
            raise WazcacheError(f"{needs}, but {path} cannot be read: {reason}") from error
        where = error.filename or tempfile.tempdir or "no temporary file"
        raise WazcacheError(
            f"{needs}, but {path} cannot be tried: {where}: {reason}; see TMPDIR"
        ) from error
    return trial.program


def _needs(keys: list[ArtifactKey]) -> str:
    """Say what takes the program."""
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
    elif os.path.isdir(named):  # Path.is_dir raises where it may not look
        for name in names:
            if os.path.isfile(named / name):
                return named / name
        where = f"is not in {named}, neither as {' nor as '.join(names)}"
    elif os.path.exists(named):
        return named
    else:
        where = f"is not there: {named} does not exist"
    raise WazcacheError(f"{needs}, and {where}; {_how_to_get(version)}")


@dataclass(frozen=True)
class _Trial:
    """A program that is to stand in for the installed wasmtime-py, held against it."""

    program: WasmtimeCli
    engine: Engine
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
            self._refuse(
                f"{needs}, but {self.program.path} is none: it answers {said!r} to --version"
            )
        if found[1] != self.engine.version:
            self._refuse(
                f"{needs}, of version {self.engine.version} as the installed wasmtime-py is, but "
                f"{self.program.path} is of version {found[1]}"
            )

    def _answer(self, needs: str) -> str:
        """Return what it says to --version; of what is too long, the beginning."""
        path = self.program.path
        folder = tempfile.gettempdir()  # as for compiling: a version manager goes by the folder
        try:
            process = subprocess.Popen(
                [path, "--version"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=clean_environment(),
                start_new_session=True,
            )
        except OSError as error:
            self._refuse(f"{needs}, but {path}: {error.strerror or error}")
        late = threading.Event()
        timer = threading.Timer(self.patience, _kill, [process, late])
        try:
            timer.start()
            assert process.stdout is not None
            with process.stdout as output:
                said = output.read(_LONGEST_ANSWER)
            status = process.wait() if len(said) < _LONGEST_ANSWER else 0
        finally:
            timer.cancel()
            kill_tree(process)
            process.wait()
        if late.is_set():
            self._refuse(f"{needs}, but {path} --version does not end within {self.patience:g} s")
        if status != 0:
            self._refuse(f"{needs}, but {path} --version ends with status {status}")
        return said.decode("utf-8", "replace").strip()

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
        known = {name: v for name, v in settings.items() if not SETTINGS[name].cli_only}
        wasm, triple = hashlib.sha256(_PROBE).hexdigest(), self.engine.triple(system)
        key = ArtifactKey(wasm, self.engine.version, system.name, triple, "baseline", (), known)
        library = self.engine.library_id
        pair = f"{_digest_of(Path(self.program.path))} {library} {key.digest}"
        note = f"program={hashlib.sha256(pair.encode()).hexdigest()}" if library else ""
        if cache.notes.recall(note) == "same":
            return
        ours, theirs = self._compile_probe(key)
        if ours != theirs:
            self._refuse(
                f"{self.program.path}, which says that it is wasmtime {self.engine.version}, "
                f"compiles a small module{with_settings(known)} to other bytes than the installed "
                f"wasmtime-py "
                f"{self.engine.distribution_version} does: it was built otherwise"
            )
        cache.notes.remember(note, "same")

    def _compile_probe(self, key: ArtifactKey) -> list[str]:
        """Compile the probe by wasmtime-py and by the program; return the artifacts' digests."""
        folder = Path(tempfile.gettempdir())
        digests: list[str] = []
        with ExitStack() as resources:
            path = resources.enter_context(temporary_files.temporary(folder))
            path.write_bytes(_PROBE)
            job = Job(key, "a small module", path, read_wasm(path, "a small module"))
            pool = resources.enter_context(closing(Pool(self.patience, _silent)))
            for by in (None, self.program):
                out = resources.enter_context(temporary_files.temporary(folder))
                pool.start(Task(job, out, by))
                outcome = pool.wait(2 * _PATIENCE)
                assert outcome is not None  # it takes as long as its time limit at most
                if outcome.written is None:
                    told = with_settings(key.settings)
                    said = f"does not compile a small module{told}: {outcome.error}"
                    if by is None:
                        raise WazcacheError(
                            f"wasmtime-py {self.engine.distribution_version} {said}"
                        )
                    self._refuse(f"{by.path} {said}")
                digests.append(read_entry(outcome.written, key.digest).sha256)
        return digests

    def _refuse(self, problem: str) -> NoReturn:
        raise WazcacheError(f"{problem}; {_how_to_get(self.engine.version)}")


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    kill_tree(process)


def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _silent(_task: Task, _seconds: float) -> None:
    """Say nothing: it is done in a moment."""
