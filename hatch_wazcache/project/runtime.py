"""The runtime of a project: the package that loads its `.wasm`, as the option `runtime` names it.

Its wheel says which profiles there are, and which wasmtime users get. Nothing of it is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.settings import Profile
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.installed_requirements import parse, required_by, valid
from hatch_wazcache.resources import is_loader
from hatch_wazcache.wheels.manifest import is_manifest
from hatch_wazcache.wheels.untrusted_manifest import check_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

    from hatch_wazcache.wheels.manifest import Manifest

__all__ = ["Runtime", "is_at_hand", "read_runtime"]


class Runtime(NamedTuple):
    """A runtime package, as its wheel describes it."""

    name: str
    version: str
    wasmtime: tuple[str, ...]
    """Its requirements on wasmtime; else those of its dependencies, if they are installed."""
    profiles: Mapping[str, Profile]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def is_at_hand(requirement: str) -> bool:
    """Say whether a runtime is installed in this environment."""
    return _installed(parse(requirement)) is not None


def read_runtime(
    requirement: str, where: str, fetched: Callable[[Requirement], Path | None]
) -> Runtime:
    """Read the wheel of a runtime: the installed one if it fits, or else a fetched one.

    Args:
        requirement: on the runtime.
        where: the TOML path of the option, for messages.
        fetched: returns the folder of a fetched wheel; None if there is none.

    Raises:
        WazcacheError: there is none, or it is not the wheel of a runtime package.
    """
    parsed = parse(requirement)
    found = _installed(parsed)
    if found is None:
        folder = fetched(parsed)
        found = None if folder is None else _find(parsed, [str(folder)])
    if found is None:
        raise WazcacheError(
            f'{where} = "{requirement}": is neither installed here nor fetched; a build fetches '
            "it, and so does `hatch-wazcache warm`"
        )
    manifest = _manifest(found, f'{where} = "{requirement}": {parsed.name} {found.version}')
    profiles = {name: Profile(name, manifest.settings(name)) for name in manifest.profiles}
    return Runtime(parsed.name, found.version, _wasmtime(found, parsed), profiles)


def _installed(requirement: Requirement) -> Distribution | None:
    """Return the installed distribution, if its version fits."""
    from packaging.version import InvalidVersion, Version

    found = _find(requirement)
    try:
        fits = found is not None and requirement.specifier.contains(
            Version(found.version), prereleases=True
        )
    except (InvalidVersion, TypeError):  # METADATA that no installer accepts today
        return None
    return found if fits else None


def _find(requirement: Requirement, path: list[str] | None = None) -> Distribution | None:
    from importlib.metadata import distributions

    name = requirement.name
    found = distributions(name=name) if path is None else distributions(name=name, path=path)
    return next(iter(found), None)


def _manifest(distribution: Distribution, who: str) -> Manifest:
    """Read the one manifest of a distribution, which has a loader beside it."""
    if _is_editable(distribution):
        raise WazcacheError(
            f"{who} is an editable install; a build needs its wheel, which it installs itself if "
            "it is isolated"
        )
    found = dict(_manifests(distribution))
    if not found:
        raise WazcacheError(
            f"{who} has no manifest of hatch-wazcache; a runtime package is built with the option "
            "loader"
        )
    if len(found) > 1:
        raise WazcacheError(
            f"{who} has {len(found)} manifests ({', '.join(found)}), but a runtime has one; with "
            "the option loader, it has one loader"
        )
    ((path, file),) = found.items()
    if not is_loader(file.with_suffix(".py")):
        raise WazcacheError(f"{who} has no loader beside {path}; a runtime package has one")
    try:
        manifest, problems = check_manifest(file.read_bytes(), path)
    except OSError as error:
        raise WazcacheError(f"{who}: {path}: {error.strerror or error}") from error
    if manifest is None or problems:
        raise WazcacheError("\n".join(f"{who}: {path} {problem}" for problem in problems))
    return manifest


def _is_editable(distribution: Distribution) -> bool:
    import json

    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(origin["dir_info"]["editable"])
    except (ValueError, KeyError, TypeError):
        return False


def _manifests(distribution: Distribution) -> Iterator[tuple[str, Path]]:
    """Yield the manifests that RECORD names, and their files."""
    for record in distribution.files or ():
        path = Path(str(distribution.locate_file(record)))
        if record.suffix == ".json" and path.is_file() and is_manifest(path):
            yield record.as_posix(), path


def _wasmtime(distribution: Distribution, requirement: Requirement) -> tuple[str, ...]:
    """Return the requirements on wasmtime that users of the runtime have."""
    lines = tuple(_lines(valid(distribution.requires or ()), requirement))
    if lines or _installed(requirement) is None:
        return lines
    found, _unknown = required_by([str(requirement)])
    return tuple(f"wasmtime{line.specifier}" for _name, line in found)


def _lines(own: Iterable[Requirement], requirement: Requirement) -> Iterator[str]:
    """Yield the lines on wasmtime, without those of extras that nobody asks for."""
    for line in own:
        if line.name.lower() != "wasmtime":
            continue
        if line.marker is not None and "extra" in str(line.marker):
            if not any(line.marker.evaluate({"extra": extra}) for extra in requirement.extras):
                continue
            line.marker = None
        yield str(line)
