"""Compiles a wheel's artifacts again, with the engine that its manifests name, and compares."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.audit.checks import Finding, cpu_flags
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.job import DEFAULT_TIMEOUT, Job
from hatch_wazcache.compile.make_entries import make_entries
from hatch_wazcache.compile.wasmtime_cli import find_wasmtime_cli
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.settings import CPU_LEVELS, code_settings
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from hatch_wazcache.audit.checks import Audit
    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.formats.artifact import ArtifactHeader
    from hatch_wazcache.report import Report
    from hatch_wazcache.wheels.manifest_reader import Manifest, ManifestArtifact, ManifestAsset
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["Recompiler"]


class Recompiler:
    """Compiles into a temporary cache, so that nothing comes out of another; equal jobs once."""

    def __init__(self, report: Report, compiler: Path | None) -> None:
        """Prepare.

        Args:
            report: is told what goes on.
            compiler: the `wasmtime` program, or a folder with some; None for what is on PATH.

        Raises:
            WazcacheError: wasmtime is not installed.
        """
        self._report = report
        self._compiler = compiler
        installed = installed_wasmtime()
        self._folder = tempfile.TemporaryDirectory(prefix="wazcache-")
        root = Path(self._folder.name)
        self._cache = CacheDirectory(root / "cache", report.warn)
        self._sources = root / "sources"
        self._sources.mkdir()
        self._engine = installed.engine(self._cache)
        self._entries: dict[str, Entry] = {}
        self.compared = 0
        """The artifacts that were held against what was compiled now."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._cache.close()
        self._folder.cleanup()

    def findings(self, audit: Audit) -> tuple[list[Finding], list[Finding]]:
        """Compare each artifact of a wheel that the audit could read.

        Returns:
            What differs; and what could not be compared, and why.
        """
        jobs: dict[ManifestArtifact, Job] = {}
        untried: list[Finding] = []
        for claims in audit.claims:
            for asset in claims.assets:
                for artifact in asset.artifacts:
                    header = audit.headers.get(artifact.member)
                    if header is None:
                        continue  # the audit has said why
                    try:
                        jobs[artifact] = self._job(audit.wheel, claims, asset, artifact, header)
                    except (BrokenWheelError, WazcacheError) as error:
                        untried.append(Finding(artifact.member, str(error)))
        self._make({job.key.digest: job for job in jobs.values()}.values(), untried)
        differing = []
        for artifact, job in jobs.items():
            entry = self._entries.get(job.key.digest)
            if entry is None:
                continue  # `untried` says why
            self.compared += 1
            if text := _difference(audit.wheel, artifact, entry):
                differing.append(Finding(artifact.member, text))
        return differing, untried

    def _job(
        self,
        wheel: WheelReader,
        claims: Manifest,
        asset: ManifestAsset,
        artifact: ManifestArtifact,
        header: ArtifactHeader,
    ) -> Job:
        """Describe the compilation that the manifest claims.

        The triple is the artifact's: it may be glibc's or musl's. For a `cpu` that was the
        building machine's so are the CPU features; told to the compiler one by one, they make the
        same bytes (tried with wasmtime 36 to 50).

        Raises:
            BrokenWheelError, WazcacheError: it cannot be made here.
        """
        if claims.engine != self._engine.version:
            raise WazcacheError(
                f"is compiled by wasmtime {claims.engine}; installed is the engine "
                f"{self._engine.version}: install that one"
            )
        if asset.member is None or asset.member not in wheel:
            raise WazcacheError("its .wasm is not in the wheel")
        path = self._unpack(wheel, asset.member)
        cpu, flags = artifact.cpu, CPU_LEVELS.get(artifact.cpu, ())
        if cpu == "native":
            cpu, flags = "as the artifact", tuple(sorted(cpu_flags(header)))
        settings = code_settings(claims.settings(artifact))
        wasm = read_wasm(path, asset.member)
        key = ArtifactKey(
            wasm.sha256,
            claims.engine,
            artifact.system,
            header.triple,
            cpu,
            flags,
            settings,
            claims.strip,
        )
        return Job(key, artifact.member, path, wasm)

    def _unpack(self, wheel: WheelReader, member: str) -> Path:
        """Unpack an asset, under a name that is nobody's but ours."""
        path = self._sources / f"{wheel.digest(member).hex()}.wasm"
        if not path.exists():
            with path.open("wb") as file:
                file.writelines(wheel.chunks(member))
        return path

    def _make(self, jobs: Iterable[Job], untried: list[Finding]) -> None:
        """Compile what has not been compiled for another wheel; note what cannot be."""
        missing = [job for job in jobs if job.key.digest not in self._entries]
        try:
            program = find_wasmtime_cli(
                self._compiler,
                missing,
                self._engine,
                self._cache,
                DEFAULT_TIMEOUT,
            )
        except WazcacheError as error:
            untried += [Finding(job.label, str(error)) for job in missing if job.needs_wasmtime_cli]
            program, missing = None, [job for job in missing if not job.needs_wasmtime_cli]
        try:
            make_entries(
                missing,
                self._cache,
                DEFAULT_TIMEOUT,
                self._report,
                self._keep,
                self._keep,
                program=program,
            )
        except WazcacheError as error:  # the others have been made
            untried += [Finding(None, line) for line in str(error).splitlines()]

    def _keep(self, job: Job, entry: Entry) -> None:
        self._entries[job.key.digest] = entry


def _difference(wheel: WheelReader, artifact: ManifestArtifact, entry: Entry) -> str | None:
    """Say where an artifact is unlike what was compiled now."""
    if wheel.digest(artifact.member).hex() == entry.sha256:
        return None
    return (
        f"is not what wasmtime makes of the .wasm with the profile {artifact.profile}: it differs "
        f"from byte {_first_difference(wheel, artifact.member, entry)} on, and has "
        f"{wheel.size_of(artifact.member)} bytes, not {entry.size}"
    )


def _first_difference(wheel: WheelReader, member: str, entry: Entry) -> int:
    at = 0
    with wheel.open(member) as file:
        for there in entry.data():
            here = file.read(len(there))
            if here != there:
                pairs = enumerate(zip(here, there, strict=False))
                return at + next((n for n, (a, b) in pairs if a != b), len(here))
            at += len(there)
    return at
