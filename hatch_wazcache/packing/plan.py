"""The plan of a build: which assets there are, and which artifacts go where in the wheel."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.key import ArtifactKey, SourceKey
from hatch_wazcache.compile.job import Job
from hatch_wazcache.engine.settings import CPU_LEVELS, code_settings
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import Wasm, read_again
from hatch_wazcache.project.packages import Packages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_wazcache.engine.installed import Engine
    from hatch_wazcache.engine.settings import Profile
    from hatch_wazcache.engine.targets import System, Target
    from hatch_wazcache.formats.wasm import WasmReader
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Layout, Package

__all__ = [
    "Artifact",
    "Asset",
    "Plan",
    "find_assets",
    "make_plan",
]


@dataclass(frozen=True)
class Asset:
    """A declared `.wasm` file."""

    source: Path
    relative: str
    """To the root, with forward slashes: what messages call it."""
    distribution: str
    """Its path in the wheel."""
    package: Package
    profiles: tuple[Profile, ...]
    wasm: Wasm

    @property
    def name(self) -> str:
        """The path in the package, which the loader is asked for."""
        return self.distribution[len(self.package.distribution) + 1 :]

    def read(self) -> bytes:
        """Return its bytes.

        Raises:
            WazcacheError: they are others than when the plan was made, or cannot be read.
        """
        try:
            return read_again(self.source, self.wasm.sha256)
        except WazcacheError as error:
            raise WazcacheError(f"{self.relative}: {error}") from error

    @cached_property
    def job(self) -> Job:
        """What makes its own compressed stream."""
        return Job(SourceKey(self.wasm.sha256), self.relative, self.source, self.wasm)


@dataclass(frozen=True)
class Artifact:
    """A `.cwasm` that the wheel is to hold."""

    asset: Asset
    system: System
    profile: Profile
    cpu: str
    key: ArtifactKey

    @cached_property
    def name(self) -> str:
        """The path in the package: `<asset>.<system>[.<cpu>][.<profile>].cwasm`."""
        parts = [self.asset.name.removesuffix(".wasm"), self.system.name]
        parts += [self.cpu] if self.cpu != "baseline" else []
        parts += [self.profile.name] if self.profile.name != "default" else []
        return ".".join([*parts, "cwasm"])

    @property
    def distribution(self) -> str:
        return self.asset.package.file(self.name)

    @cached_property
    def job(self) -> Job:
        """What makes it."""
        about = [self.cpu] if self.cpu != "baseline" else []
        about += [f"profile {self.profile.name}"] if len(self.asset.profiles) > 1 else []
        label = self.asset.relative + (f" ({', '.join(about)})" if about else "")
        return Job(self.key, label, self.asset.source, self.asset.wasm)


class Plan(NamedTuple):
    """All that goes into one wheel besides what the build system puts there."""

    assets: tuple[Asset, ...]
    artifacts: tuple[Artifact, ...]

    @property
    def packages(self) -> tuple[Package, ...]:
        return tuple(dict.fromkeys(asset.package for asset in self.assets))


def find_assets(
    config: Config, root: Path, without: Path | None = None
) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Find the declared files.

    Args:
        config: the options.
        root: the project's root.
        without: a folder of the build system's own, which may hold copies of them.

    Yields:
        Absolute path, path relative to the root, names of the profiles: each file once, sorted.

    Raises:
        WazcacheError: a glob matches nothing, or a file outside of the root.
    """
    found: dict[str, tuple[str, ...]] = {}
    problems = []
    inside = os.path.join(os.path.realpath(root), "")
    real_folder = cache(os.path.realpath)
    for pattern in config.assets:
        matches = [
            relative
            for relative in _matches(root, pattern.glob)
            if without is None or not (root / relative).is_relative_to(without)
        ]
        if not matches:
            problems.append(f'{config.location}.assets: "{pattern.glob}" matches no file in {root}')
        for relative in matches:
            path = os.path.join(root, relative)
            if os.path.islink(path):
                real = os.path.realpath(path)  # Path.resolve raises where links go round
            else:
                folder, name = os.path.split(path)
                real = os.path.join(real_folder(folder), name)
            if not real.startswith(inside):
                problems.append(
                    f"{relative}: leads out of the project's root, to {real}; "
                    "copy the file into the project"
                )
            found[relative] = tuple(dict.fromkeys((*found.get(relative, ()), *pattern.profiles)))
    if problems:
        raise WazcacheError("\n".join(problems))
    for relative in sorted(found):
        yield root / relative, relative, found[relative]


def _matches(root: Path, glob: str) -> list[str]:
    """Return the relative paths that a glob matches; `*` matches no hidden name, as in a shell."""
    if os.path.lexists(root / glob):  # a name that looks like a pattern
        return [str(PurePosixPath(glob))]
    hidden = any(part.startswith(".") for part in PurePosixPath(glob).parts)
    matches = []
    if glob.endswith("**"):
        glob += "/*"  # before 3.13 it would match folders only
    try:
        paths = list(root.glob(glob))
    except (ValueError, NotImplementedError, OSError, RecursionError):
        return []  # no pattern, as "**x", or one that is too long for the system
    beginning = os.path.join(root, "")
    for path in paths:
        relative = str(path).removeprefix(beginning).replace(os.sep, "/")
        if not hidden and (relative.startswith(".") or "/." in relative):
            continue
        if path.suffix != ".wasm" and path.is_dir():
            continue
        matches.append(relative)
    return matches


def make_plan(
    config: Config,
    target: Target,
    layout: Layout,
    engine: Engine,
    reader: WasmReader,
) -> Plan:
    """Decide what goes into the wheel.

    Args:
        config: the options.
        target: what the wheel is for.
        layout: where the build system puts files.
        engine: the installed wasmtime.
        reader: reads the assets.

    Raises:
        WazcacheError: all that is wrong with the assets, one line each.
    """
    packages = Packages(config, layout)
    assets, problems = [], []
    for source, relative, profiles in find_assets(config, layout.root, layout.scratch):
        try:
            wasm = reader.read(source, relative)
            distribution = layout.files.get(str(source)) or layout.distribution_path(relative)
            _check_name(distribution, relative)
            assets.append(
                Asset(
                    source=source,
                    relative=relative,
                    distribution=distribution,
                    package=packages.of(distribution, relative),
                    profiles=tuple(config.profiles[name] for name in profiles),
                    wasm=wasm,
                )
            )
        except WazcacheError as error:
            problems.append(str(error))
    key = partial(_key, engine=engine, strip=config.strip)
    artifacts = [
        Artifact(asset, system, profile, cpu, key(asset, system, profile, cpu))
        for asset in assets
        for system in target.systems
        for profile in asset.profiles
        for cpu in config.cpus_for(system)
    ]
    problems += _collisions(assets, artifacts, layout)
    if problems:
        raise WazcacheError("\n".join(dict.fromkeys(problems)))
    return Plan(tuple(assets), tuple(artifacts))


def _check_name(distribution: str, relative: str) -> None:
    """Refuse a name that a wheel cannot hold."""
    if not distribution.isprintable() and any(ord(letter) < 32 for letter in distribution):
        raise WazcacheError(
            f"{relative!r}: a name with a control character is not read alike by all installers; "
            "rename it"
        )
    try:
        distribution.encode()
    except UnicodeEncodeError as error:
        raise WazcacheError(
            f"{relative}: its name is not UTF-8, as names in a wheel are; rename it (or set "
            "PYTHONUTF8=1, if it is UTF-8 and this locale is not)"
        ) from error


def _key(
    asset: Asset,
    system: System,
    profile: Profile,
    cpu: str,
    engine: Engine,
    strip: tuple[str, ...],
) -> ArtifactKey:
    triple = engine.triple(system)
    flags = CPU_LEVELS.get(cpu, ())
    cpu = f"native {_this_cpu()}" if cpu == "native" else cpu
    settings = code_settings(profile.settings)
    return ArtifactKey(
        asset.wasm.sha256, engine.version, system.name, triple, cpu, flags, settings, strip
    )


def _this_cpu() -> str:
    """Name what this machine's CPU can do, as far as the system says."""
    about = [platform.machine(), platform.processor()]
    try:
        if sys.platform == "darwin":
            sysctl = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            about.append(subprocess.check_output(sysctl, text=True))
        else:
            lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
            told = ("flags", "Features", "model name")
            about += [line for line in lines if line.startswith(told)][:2]
    except (OSError, subprocess.SubprocessError):
        pass  # Windows has told all it tells
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


def _collisions(assets: list[Asset], artifacts: list[Artifact], layout: Layout) -> Iterator[str]:
    places_of_assets = {asset.distribution for asset in assets}
    owners = {
        distribution: source
        for source, distribution in layout.files.items()
        if distribution in places_of_assets
    }
    for package in {asset.package for asset in assets}:
        owners[package.file(package.manifest)] = "the manifest"
        if package.loader:
            owners[package.file(package.loader)] = "the loader"
    places = [(asset.distribution, str(asset.source)) for asset in assets]
    places += [
        (artifact.distribution, f"an artifact of {artifact.job.label}") for artifact in artifacts
    ]
    for distribution, owner in places:
        other = owners.setdefault(distribution, owner)
        if other == owner:
            continue
        one, another = _shown(owner, layout.root), _shown(other, layout.root)
        if one != another:
            yield f"{one} and {another} would both be {distribution} in the wheel; rename one"


def _shown(owner: str, root: Path) -> str:
    """Shorten the path of a file in the project; what else owns a place has no path."""
    path = Path(owner)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else owner
