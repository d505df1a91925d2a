"""The Python packages of a wheel that hold assets, and the names of the generated files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.resources import is_loader
from hatch_wazcache.wheels.manifest import DEFAULT_LOADER, is_manifest, manifest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hatch_wazcache.formats.zip_members import DateTime
    from hatch_wazcache.project.config import Config

__all__ = [
    "DeclaredFile",
    "Layout",
    "NotInPackageError",
    "Package",
    "Packages",
]


class NotInPackageError(WazcacheError):
    """An asset is in no Python package."""


class DeclaredFile(NamedTuple):
    """A file that a glob of the option `assets` matches."""

    path: Path
    """Absolute."""
    relative: str
    """The path from the project's root, with forward slashes: its name in messages."""
    profiles: tuple[str, ...]
    """The names of the profiles to compile it for."""
    member: Member | None = None
    """The member of a finished wheel that the file is unpacked from; None for a source."""


class Member(NamedTuple):
    """A member of a finished wheel."""

    path: str
    """Its path in the wheel."""
    date_time: DateTime
    mode: int
    """The Unix mode, with the file's type."""


class Layout(NamedTuple):
    """Where a build system puts the project's files in the wheel."""

    root: Path
    """The project's root, absolute."""
    files: Mapping[str, str]
    """Absolute source path to path in the wheel, of every file that the build system includes."""
    distribution_path: Callable[[str], str]
    """Returns the path in the wheel of any other file, by its path relative to the root."""
    scratch: Path | None = None
    """The build system's folder for copies of sources, absolute."""
    declared: Sequence[DeclaredFile] | None = None
    """The declared files, if they are known: those of a finished wheel. None: search them."""


class Package(NamedTuple):
    """A Python package that holds assets, a manifest, and a loader unless the options say no."""

    distribution: str
    """Its path in the wheel."""
    source: Path
    """Its folder in the project."""
    loader: str | None
    """The loader's file name; None for no loader."""

    @property
    def manifest(self) -> str:
        return manifest_name(self.loader)

    def file(self, name: str) -> str:
        """Return a file's path in the wheel by its path in the package."""
        return f"{self.distribution}/{name}"


class Packages:
    """The Python packages of a wheel. Each asset belongs to one of them."""

    def __init__(self, config: Config, layout: Layout) -> None:
        self._config = config
        self._layout = layout
        self._folders: dict[str, Path] = {}
        self._regular: set[str] = set()
        self._checked: set[Package] = set()
        for source, distribution in layout.files.items():
            path = PurePosixPath(distribution)
            if path.suffix == ".py" and len(path.parts) > 1:
                self._folders.setdefault(str(path.parent), Path(source).parent)
                if path.name == "__init__.py":
                    self._regular.add(str(path.parent))
                    self._folders[str(path.parent)] = Path(source).parent

    def of(self, distribution: str, relative: str) -> Package:
        """Return the package of an asset.

        Args:
            distribution: the asset's path in the wheel.
            relative: its path relative to the project's root, for messages.

        Raises:
            WazcacheError: it is not in a package, or generated files would replace other files.
        """
        if self._config.loader:
            return self._around_loader(self._config.loader, distribution, relative)
        parents = [str(parent) for parent in PurePosixPath(distribution).parents][:-1]
        regular = [parent for parent in parents if parent in self._regular]
        namespace = [parent for parent in parents if parent in self._folders]
        if not (folders := regular or namespace):
            raise NotInPackageError(
                f"{relative}: is not in a Python package: it would be installed as {distribution}; "
                "move it into a package, or (with hatchling) give it a place with force-include"
            )
        loader = None if self._config.loader is None else DEFAULT_LOADER
        return self._check(Package(folders[0], self._folders[folders[0]], loader), relative)

    def of_loader(self, loader: str) -> Package:
        """Return the package of the option `loader`, for a project without assets.

        Raises:
            WazcacheError: it is not in a package, or would replace another file.
        """
        where, path = self._where(loader), self._loader_path(loader)
        if str(path.parent) not in self._folders:
            raise WazcacheError(
                f"{where}: is not in a Python package of the wheel; the packages are "
                f"{', '.join(sorted(self._folders)) or 'none'}"
            )
        return self._check(Package(str(path.parent), self._source(loader), path.name), where)

    def _around_loader(self, loader: str, distribution: str, relative: str) -> Package:
        where, path = self._where(loader), self._loader_path(loader)
        if not PurePosixPath(distribution).is_relative_to(path.parent):
            raise WazcacheError(
                f"{where}: {relative} is not below its folder {path.parent}; name a package that "
                "holds all assets, or remove the option to get a loader in each package"
            )
        return self._check(Package(str(path.parent), self._source(loader), path.name), relative)

    def _loader_path(self, loader: str) -> PurePosixPath:
        """Return the path of the loader in the wheel."""
        where, path = self._where(loader), PurePosixPath(self._layout.distribution_path(loader))
        if len(path.parts) < 2:
            raise WazcacheError(
                f"{where}: must be inside a package: outside, the loaders of two projects would "
                "overwrite each other"
            )
        return path

    def _where(self, loader: str) -> str:
        return f'{self._config.where("loader")} = "{loader}"'

    def _source(self, loader: str) -> Path:
        return self._layout.root / PurePosixPath(loader).parent

    def _check(self, package: Package, relative: str) -> Package:
        """Refuse to replace the project's own files with the loader or the manifest."""
        if package in self._checked or not package.loader:
            return package
        for what, name, is_ours in (
            ("loader", package.loader, is_loader),
            ("manifest", package.manifest, is_manifest),
        ):
            present = package.source / name
            if present.is_file() and not is_ours(present):
                raise WazcacheError(
                    f"{relative}: its {what} would replace {present}, a file that is not from "
                    "hatch-wazcache; rename that file, or choose another name with the option "
                    "loader"
                )
        self._checked.add(package)
        return package
