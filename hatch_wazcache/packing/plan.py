"""The plan of a build: its assets, its artifacts, and the place of each in the wheel."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.key import ArtifactKey, SourceKey
from hatch_wazcache.compile.job import Job
from hatch_wazcache.engine.settings import CPU_LEVELS, code_settings
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import Wasm, read_again
from hatch_wazcache.packing.find_assets import find_assets
from hatch_wazcache.packing.names import (
    alike_names,
    check_name,
    collisions,
    impossible_on_windows,
    long_names,
)
from hatch_wazcache.project.companion import shared_folder
from hatch_wazcache.project.packages import Packages
from hatch_wazcache.util.environment import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_wazcache.engine.installed import Engine
    from hatch_wazcache.engine.settings import Profile
    from hatch_wazcache.engine.targets import System, Target
    from hatch_wazcache.formats.wasm import WasmReader
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Layout, Member, Package

__all__ = [
    "Artifact",
    "Asset",
    "Plan",
    "make_artifact",
    "make_plan",
]


@dataclass(frozen=True)
class Asset:
    """A declared `.wasm` file."""

    source: Path
    relative: str
    """The path from the project's root, with forward slashes: the asset's name in messages."""
    distribution: str
    """The path in the wheel."""
    package: Package
    profiles: tuple[Profile, ...]
    wasm: Wasm
    member: Member | None = None
    """As for `DeclaredFile`."""

    @property
    def name(self) -> str:
        """The path in the package, by which users load the asset."""
        return self.distribution[len(self.package.distribution) + 1 :]

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            WazcacheError: they have changed since the plan was made, or cannot be read.
        """
        try:
            return read_again(self.source, self.wasm.sha256)
        except WazcacheError as error:
            raise WazcacheError(f"{self.relative}: {error}") from error

    @cached_property
    def job(self) -> Job:
        """The job that compresses the asset."""
        key = SourceKey(self.wasm.sha256)
        return Job(key, self.relative, self.source, self.wasm, asset=self.relative)


@dataclass(frozen=True)
class Artifact:
    """A `.cwasm` of the wheel."""

    asset: Asset
    system: System
    profile: Profile
    cpu: str
    engine: Engine
    key: ArtifactKey
    names_engine: bool
    """Whether its name and its messages say the engine: there may be others beside it."""

    @cached_property
    def _suffix(self) -> str:
        parts = ["", self.system.name]
        parts += [self.cpu] if self.cpu != "baseline" else []
        parts += [self.profile.name] if self.profile.name != "default" else []
        parts += [f"wasmtime{self.engine.major}"] if self.names_engine else []
        return ".".join([*parts, "cwasm"])

    @property
    def name(self) -> str:
        """The path in the package: `<asset>.<system>[.<cpu>][.<profile>][.wasmtime<n>].cwasm`."""
        return self.asset.name.removesuffix(".wasm") + self._suffix

    @property
    def editable_path(self) -> Path:
        """The path in the source tree, for an editable install: beside the `.wasm`."""
        source = self.asset.source
        return source.with_name(source.name.removesuffix(".wasm") + self._suffix)

    @property
    def distribution(self) -> str:
        return self.asset.package.file(self.name)

    @cached_property
    def job(self) -> Job:
        """The job that compiles it."""
        details = [f"wasmtime {self.engine.version}"] if self.names_engine else []
        details += [self.cpu] if self.cpu != "baseline" else []
        details += [f"profile {self.profile.name}"] if len(self.asset.profiles) > 1 else []
        label = self.asset.relative + (f" ({', '.join(details)})" if details else "")
        asset = self.asset
        return Job(self.key, label, asset.source, asset.wasm, self.engine, asset.relative)


class Plan(NamedTuple):
    """The content of one wheel, without the files that the build system puts there."""

    assets: tuple[Asset, ...]
    artifacts: tuple[Artifact, ...]
    runtime: Package | None = None
    """The package that has the loader, if there are no assets."""

    @property
    def packages(self) -> tuple[Package, ...]:
        packages = dict.fromkeys(asset.package for asset in self.assets)
        return tuple(packages) if self.runtime is None else (self.runtime,)


def make_plan(
    config: Config,
    target: Target,
    layout: Layout,
    engines: Sequence[Engine],
    reader: WasmReader,
) -> Plan:
    """Decide what goes into the wheel.

    Args:
        config: the options.
        target: the system that the wheel is for.
        layout: where the build system puts files.
        engines: the engines to compile for; empty for a target without artifacts.
        reader: reads the assets.

    Raises:
        WazcacheError: assets are not fit to build; one line for each problem.
    """
    packages = Packages(config, layout)
    assets, problems = [], []
    files = layout.declared
    if files is None:
        files = list(find_assets(config, layout.root, layout.scratch))
    for file in files:
        try:
            wasm = reader.read(file.path, file.relative)
            known = file.member.path if file.member else layout.files.get(str(file.path))
            distribution = known or layout.distribution_path(file.relative)
            check_name(distribution, file.relative)
            assets.append(
                Asset(
                    source=file.path,
                    relative=file.relative,
                    distribution=distribution,
                    package=packages.of(distribution, file.relative),
                    profiles=tuple(config.profiles[name] for name in file.profiles),
                    wasm=wasm,
                    member=file.member,
                )
            )
        except WazcacheError as error:
            problems.append(str(error))
    runtime = None if config.assets else packages.of_loader(config.loader or "")
    named = bool(config.wheel_engines)
    artifacts = [
        make_artifact(asset, system, profile, cpu, engine, config.strip, names_engine=named)
        for asset in assets
        for system in target.systems
        for engine in engines
        for profile in asset.profiles
        for cpu in config.cpus_for(system)
    ]
    problems += _name_problems(assets, artifacts, target, layout)
    paths = chain(layout.files.values(), (asset.distribution for asset in assets))
    problems += shared_folder(config, paths)
    if problems:
        raise WazcacheError("\n".join(dict.fromkeys(problems)))
    return Plan(tuple(assets), tuple(artifacts), runtime)


def make_artifact(
    asset: Asset,
    system: System,
    profile: Profile,
    cpu: str,
    engine: Engine,
    strip: tuple[str, ...],
    *,
    names_engine: bool,
) -> Artifact:
    """Describe an artifact, with its key.

    Args:
        asset: its asset.
        system: the system to compile for.
        profile: one of the asset's profiles.
        cpu: a CPU level that the system has.
        engine: the engine to compile for.
        strip: the sections that are removed before compiling, in the order of `STRIP`.
        names_engine: whether its name says the engine.
    """
    key = ArtifactKey(
        asset.wasm.sha256,
        engine.version,
        system.name,
        engine.triple(system),
        f"native {_this_cpu()}" if cpu == "native" else cpu,
        CPU_LEVELS.get(cpu, ()),
        code_settings(profile.settings),
        strip,
    )
    return Artifact(asset, system, profile, cpu, engine, key, names_engine)


def _this_cpu() -> str:
    """Return a name for the features of this machine's CPU, as far as the system tells them."""
    features = [platform.machine(), platform.processor()]
    try:
        if sys.platform == "darwin":
            sysctl = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            features.append(subprocess.check_output(sysctl, text=True, env=without_secrets()))
        else:
            lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
            fields = ("flags", "Features", "model name")
            features += [line for line in lines if line.startswith(fields)][:2]
    except (OSError, subprocess.SubprocessError):
        pass  # Windows: its processor() has the model already
    return hashlib.sha256("\n".join(features).encode()).hexdigest()[:16]


def _name_problems(
    assets: list[Asset], artifacts: list[Artifact], target: Target, layout: Layout
) -> Iterator[str]:
    """Yield a problem for each path in the wheel that is not possible, or belongs to two files."""
    places = [(asset.distribution, asset.relative) for asset in assets]
    in_wheel = {asset.distribution for asset in assets}
    names = {str(asset.source): asset.relative for asset in assets}
    owners = {
        path: names.get(source, source) for source, path in layout.files.items() if path in in_wheel
    }
    for package in {asset.package for asset in assets}:
        owners[package.file(package.manifest)] = "the manifest"
        if package.loader:
            owners[package.file(package.loader)] = "the loader"
    made = [(a.distribution, f"an artifact of {a.job.label}") for a in artifacts]
    yield from collisions([*places, *made], owners, layout.root)
    yield from long_names([*places, *made], layout.root)
    systems = [system.name.partition("-")[2] for system in target.systems]
    if set(systems) != {"linux"}:  # also without systems: then the wheel is for all of them
        yield from alike_names(places, layout.root)
    if not systems or "windows" in systems:
        yield from impossible_on_windows(places, layout.root)
