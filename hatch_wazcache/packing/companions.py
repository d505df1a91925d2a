"""Makes the companions of a package: wheels of another name, which hold its artifacts.

They are made from the package's finished wheel alone. So a wheel that a build has just made, and a
wheel that was published a year ago, give the same companions.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.settings import Profile
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.manifests import manifest_for_companion
from hatch_wazcache.packing.names import check_name, collisions, long_names
from hatch_wazcache.packing.plan import Asset, Plan, make_artifact
from hatch_wazcache.packing.wheel import leave_room, say_if_too_large
from hatch_wazcache.project.companion import companion_problems, order_note
from hatch_wazcache.project.config import fitting_cpus
from hatch_wazcache.project.engine_requirement import METADATA
from hatch_wazcache.project.packages import Package
from hatch_wazcache.report import MadeWheel
from hatch_wazcache.resources import companion_folder
from hatch_wazcache.util.sizes_and_times import size_text
from hatch_wazcache.wheels.companion_files import (
    companion_metadata,
    companion_version,
    file_prefix,
    version_problem,
    wheel_file,
    write_version_0,
)
from hatch_wazcache.wheels.manifest import CompanionInfo, Manifest, PackageInfo
from hatch_wazcache.wheels.platform_wheel import PlatformWheel
from hatch_wazcache.wheels.sbom import check_library, sbom_path
from hatch_wazcache.wheels.untrusted_manifest import is_path
from hatch_wazcache.wheels.wheel_tag import wheel_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hatch_wazcache.engine.installed import Engine
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.entries import Copy, Entries
    from hatch_wazcache.packing.from_wheel import FinishedWheel
    from hatch_wazcache.report import Report
    from hatch_wazcache.wheels.sbom import Sbom

__all__ = ["companion_of", "make_companions", "say_what_to_publish"]


class _Source(NamedTuple):
    """A package's manifest, and its assets in the places that they have in companions."""

    manifest: Manifest
    package: Package
    assets: tuple[Asset, ...]


class _Companion(NamedTuple):
    """One companion to make."""

    engine: Engine
    target: Target
    plan: Plan


def companion_of(wheel: FinishedWheel) -> CompanionInfo:
    """Return a package's companion, as its manifests name it.

    Raises:
        WazcacheError: the package can have no companions; one line for each reason.
    """
    if wheel.without_manifest:
        raise WazcacheError(
            f"{wheel.path}: {wheel.without_manifest[0]}: is a loader without a manifest; make one "
            "with `hatch-wazcache compile`"
        )
    if not wheel.manifests:
        raise WazcacheError(
            f"{wheel.path}: has no manifest: it was built without hatch-wazcache; make one with "
            "`hatch-wazcache compile`"
        )
    named = dict.fromkeys(manifest.companion for manifest in wheel.manifests)
    if len(named) > 1:
        raise WazcacheError(f"{wheel.path}: its manifests name different companions, or none")
    (companion,) = named
    if package := wheel.manifests[0].package:
        raise WazcacheError(
            f"{wheel.path}: is itself a companion, that of {package.name} {package.version}; give "
            f"the wheel of {package.name}"
        )
    if companion is None:
        raise WazcacheError(
            f"{wheel.path}: names no companion; build it again with the option companion, such as "
            f'companion = "{wheel.name}-wasmtime"'
        )
    lines = wheel.fields.get("requires-dist", [])
    problems = [
        f"the companion {companion.name}: {problem}"
        for problem in companion_problems(companion.name, wheel.name, lines, METADATA.add_to)
    ]
    if problem := version_problem(wheel.version):
        problems.append(problem)
    if problems:
        raise WazcacheError("\n".join(f"{wheel.path}: {problem}" for problem in problems))
    return companion


def make_companions(
    wheel: FinishedWheel,
    engines: Sequence[Engine],
    targets: Sequence[Target],
    directory: Path,
    entries: Entries,
    report: Report,
) -> list[Path]:
    """Make a companion for each engine and each target, and the companion of version 0.

    All artifacts are compiled first, side by side. A wheel is written completely or not at all.

    Args:
        wheel: the package's wheel.
        engines: the engines to compile for.
        targets: the systems to compile for. A target without wasmtime has no companion.
        directory: the folder for the wheels. It is created if it is missing.
        entries: look up and make the artifacts.
        report: shows progress.

    Returns:
        The wheels. The last one is of version 0.

    Raises:
        WazcacheError: the package can have no companions, an asset cannot be compiled, or a wheel
            cannot be written.
    """
    about = companion_of(wheel)
    if wheel.has_sbom:
        check_library()
    _check_engines(wheel, engines, targets)
    if note := order_note(about.name, wheel.fields.get("requires-dist", [])):
        report.say(note)
    sources = [_source(wheel, manifest, about.folder) for manifest in wheel.manifests]
    companions = [
        _Companion(engine, target, _plan(wheel, sources, engine, target, about.cpu))
        for engine in engines
        for target in targets
        if target.systems
    ]
    entries.make([one.job for companion in companions for one in companion.plan.artifacts])
    try:
        with ExitStack() as unfinished:
            begun = [
                PlatformWheel(directory, wheel.date_time, sweep=number == 0)
                for number in range(len(companions))
            ]
            for one in begun:
                unfinished.callback(one.abandon)
            entries.copy_all(
                [
                    copy
                    for one, companion in zip(begun, companions, strict=True)
                    for copy in _begin(one, companion, entries)
                ]
            )
            made = [
                _finish(one, wheel, about.name, sources, companion, directory, entries, report)
                for one, companion in zip(begun, companions, strict=True)
            ]
        directory.mkdir(parents=True, exist_ok=True)
        entries.remote.finish()
        return [*made, write_version_0(about.name, directory)]
    except OSError as error:
        raise WazcacheError(
            f"{error.filename or directory}: cannot be written: {error.strerror or error}"
        ) from error


def _check_engines(
    wheel: FinishedWheel, engines: Sequence[Engine], targets: Sequence[Target]
) -> None:
    """Refuse an engine that no user of the package can have: nothing would install its companion.

    Raises:
        WazcacheError: there is such an engine.
    """
    systems = [system for target in targets for system in target.systems]
    for engine in engines:
        try:
            admitted = wheel.wasmtime.admits(engine.major, systems)
        except ValueError as error:
            raise WazcacheError(
                f"{wheel.path}: has a requirement that cannot be evaluated ({error})"
            ) from error
        if not admitted and systems:
            lines = ", ".join(dict.fromkeys(map(str, wheel.wasmtime.lines)))
            raise WazcacheError(
                f"{wheel.path}: requires {lines}, so no installer would choose its companion for "
                f"wasmtime {engine.major}; leave that version out"
            )


def say_what_to_publish(made: Sequence[Path], report: Report) -> None:
    """Say what was made, and that version 0 must be published before the package.

    Args:
        made: the result of `make_companions`.
        report: shows the lines.
    """
    *companions, version_0 = made
    count = f"{len(companions)} companion{'' if len(companions) == 1 else 's'}"
    report.is_done(f"{count}, and {version_0.name}")
    report.say(
        f"publish {version_0.name} before the package, once: every install of the package takes "
        "the companion from the index, so whoever owns that name there can run code on your users' "
        "machines"
    )


def _source(wheel: FinishedWheel, manifest: Manifest, folder: str) -> _Source:
    """Unpack the assets of a manifest.

    Args:
        wheel: the package's wheel.
        manifest: one of its manifests.
        folder: the folder of the companion's files.
    """
    place = PurePosixPath(manifest.path)
    in_metadata = place.parts[0].endswith((".data", ".dist-info"))
    if len(place.parts) < 2 or in_metadata or not is_path(manifest.path):
        raise WazcacheError(f"{wheel.path}: {place}: is not in a package")
    package = Package(f"{folder}/{place.parent}", wheel.folder, f"{place.stem}.py")
    assets = []
    for about in manifest.assets:
        path, wasm = wheel.unpack(manifest, about)
        member = manifest.member(about.name)
        check_name(package.file(about.name), member)
        names = about.profiles or manifest.profiles
        profiles = tuple(Profile(name, manifest.settings(name)) for name in names)
        assets.append(Asset(path, member, package.file(about.name), package, profiles, wasm))
    return _Source(manifest, package, tuple(assets))


def _plan(
    wheel: FinishedWheel,
    sources: Sequence[_Source],
    engine: Engine,
    target: Target,
    cpus: Sequence[str],
) -> Plan:
    for system in target.systems:
        if not fitting_cpus(cpus, system):
            raise WazcacheError(
                f"{wheel.path}: has no CPU level for {system.name} ({', '.join(cpus)}): leave that "
                'target out, or build the package with "baseline" in its option cpu'
            )
    artifacts = [
        make_artifact(asset, system, profile, cpu, engine, source.manifest.strip, names_engine=True)
        for source in sources
        for asset in source.assets
        for system in target.systems
        for profile in asset.profiles
        for cpu in fitting_cpus(cpus, system)
    ]
    places = [(one.distribution, f"an artifact of {one.job.label}") for one in artifacts]
    manifests = {source.package.file(source.package.manifest): "a manifest" for source in sources}
    problems = [*collisions(places, manifests, wheel.path), *long_names(places, wheel.path)]
    if problems:
        raise WazcacheError("\n".join(f"{wheel.path}: {problem}" for problem in problems))
    return Plan(tuple(asset for source in sources for asset in source.assets), tuple(artifacts))


def _begin(made: PlatformWheel, companion: _Companion, entries: Entries) -> list[Copy]:
    """Begin a companion; return the copies of entries that it needs."""
    artifacts = companion.plan.artifacts
    made.reserve(entries.stream_size(artifact.job for artifact in artifacts))
    return [leave_room(made, artifact, entries) for artifact in artifacts]


def _finish(
    made: PlatformWheel,
    wheel: FinishedWheel,
    name: str,
    sources: Sequence[_Source],
    companion: _Companion,
    directory: Path,
    entries: Entries,
    report: Report,
) -> Path:
    """Complete a companion that has its artifacts, and give it its name."""
    engine, target, plan = companion
    prefix = file_prefix(name, companion_version(engine.major, wheel.version))
    tag = wheel_tag(None, target, "")
    final = directory / f"{prefix}-{tag}.whl"
    for path, data in _files(wheel, name, sources, companion, entries):
        made.add_bytes(path, data)
    info = f"{prefix}.dist-info"
    for path, data in wheel.license_files():
        made.add_bytes(f"{info}/licenses/{path}", data)
    wasmtime = engine.distribution_version
    if wheel.has_sbom:
        made.add_bytes(sbom_path(info), _sbom(wheel, name, companion, entries).to_bytes())
    metadata = companion_metadata(name, wheel.name, wheel.version, wasmtime, wheel.fields)
    made.add_bytes(f"{info}/METADATA", metadata)
    made.add_bytes(f"{info}/WHEEL", wheel_file(tag))
    size = made.finish_alone(info, final)
    report.say(f"{final.name} ({size_text(size)})")
    engines = tuple(artifact.engine.version for artifact in plan.artifacts)
    report.is_made(MadeWheel(final.name, target.name, size, engines))
    smaller = "the option strip, and fewer profiles or CPU levels, make it smaller"
    say_if_too_large(size, smaller, report)
    return final


def _sbom(wheel: FinishedWheel, name: str, companion: _Companion, entries: Entries) -> Sbom:
    """Make the SBOM of a companion. Its `.wasm` files are in the wheel of the package."""
    from hatch_wazcache.packing.sbom import make_sbom

    version = companion_version(companion.engine.major, wheel.version)
    artifacts = companion.plan.artifacts
    return make_sbom(name, version, (), artifacts, entries.by_key, lambda asset: asset.relative)


def _files(
    wheel: FinishedWheel,
    name: str,
    sources: Sequence[_Source],
    companion: _Companion,
    entries: Entries,
) -> Iterator[tuple[str, bytes]]:
    """Yield the small files of the companion's import package."""
    folder = companion_folder(name)
    text = f'"""The WebAssembly of {wheel.name}, compiled: {wheel.name} loads it from here."""\n'
    yield f"{folder}/__init__.py", text.encode()
    for source in sources:
        about = PackageInfo(wheel.name, wheel.version, source.manifest.path)
        strip = source.manifest.strip
        manifest = manifest_for_companion(
            companion.plan, source.package, entries.by_key, strip, about
        )
        yield manifest.path, manifest.to_bytes()
