"""The files of a project that setuptools builds, and where it puts each of them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.find_assets import find_assets, find_checked_assets
from hatch_wazcache.packing.tree import BuildTree
from hatch_wazcache.packing.unwanted import unwanted_files
from hatch_wazcache.project.packages import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from setuptools import Command

    from hatch_wazcache.project.config import Config

__all__ = ["SetuptoolsFiles"]


class SetuptoolsFiles:
    """The files of a project in the other steps of setuptools' `build`."""

    def __init__(self, step: Command, root: Path) -> None:
        """Prepare; nothing is read yet.

        Args:
            step: our own step of `build`.
            root: the project's root, absolute.
        """
        self._step = step
        self._root = root

    @property
    def _build_lib(self) -> str:
        """The folder that `build` fills. An editable install changes it late."""
        folder: str = self._step.get_finalized_command("build").build_lib
        return folder

    @property
    def _build_base(self) -> Path:
        return Path(self._root, self._step.get_finalized_command("build").build_base)

    @property
    def tree(self) -> BuildTree:
        """The folder that `build` fills, with a record of our files in it."""
        project = self._step.distribution.get_name()
        return BuildTree(Path(os.path.abspath(self._build_lib)), self._build_base, project)

    def layout(self) -> Layout:
        """Ask setuptools where it puts files."""
        folders = self._package_folders()

        def distribution_path(relative: str) -> str:
            path = PurePosixPath(relative)
            for folder in path.parents:
                if folder in folders:
                    return str(folders[folder] / path.relative_to(folder))
            return relative

        return Layout(self._root, self._included(), distribution_path, self._build_base)

    def _included(self) -> dict[str, str]:
        """Ask the other steps for their files: absolute source path to path in the build."""
        files = {}
        for name in self._step.get_finalized_command("build").get_sub_commands():
            step = self._step.get_finalized_command(name)
            if step is not self._step and hasattr(step, "get_output_mapping"):
                for built, source in step.get_output_mapping().items():
                    path = _with_slashes(os.path.relpath(built, self._build_lib))
                    files[os.path.normpath(self._root / source)] = path
        return files

    def _package_folders(self) -> dict[PurePosixPath, PurePosixPath]:
        """Return the place in the wheel of each folder with a package."""
        build_py = self._step.get_finalized_command("build_py")
        places = {"": PurePosixPath()}
        places |= {name: PurePosixPath(*name.split(".")) for name in build_py.packages or ()}
        folders = {}
        for name, place in places.items():
            folder = os.path.relpath(self._root / build_py.get_package_dir(name), self._root)
            folders[PurePosixPath(_with_slashes(folder))] = place
        return folders

    def assets(self, config: Config) -> list[str]:
        """Find the declared files, by their paths relative to the root.

        Raises:
            WazcacheError: a glob matches nothing, or a file outside the root.
        """
        found = find_assets(config, self._root, self._build_base)
        return [asset.relative.replace("/", os.sep) for asset in found]

    def for_sdist(self, names: Iterable[str], config: Config) -> list[str]:
        """Return the files of the sdist: all assets, but no unwanted files.

        Args:
            names: the files that setuptools has chosen, relative to the root.
            config: the options.

        Raises:
            WazcacheError: a glob matches nothing, or an asset is not WebAssembly.
        """
        checked = find_checked_assets(config, self._root, self._build_base)
        assets = [asset.relative.replace("/", os.sep) for asset in checked]
        files = {str(self._root / name): _with_slashes(name) for name in names}
        layout = Layout(self._root, files, str)  # an sdist keeps the paths of the project
        unwanted = unwanted_files(layout, [_with_slashes(asset) for asset in assets], config)
        kept = [name for name in names if _with_slashes(name) not in unwanted]
        return kept + [asset for asset in assets if str(self._root / asset) not in files]

    def prepare_build(self, config: Config) -> None:
        """Keep the assets out of the folder of `build`, and remove files of old builds there.

        setuptools packs every file in that folder. This saves time: assets that are copied there in
        another way are replaced in the wheel, or left out.

        Raises:
            WazcacheError: an old file cannot be removed.
        """
        self.tree.remove_old(self._source_folders(config))
        with suppress(WazcacheError):  # another step may generate them; else our step reports it
            assets = {self._root / asset for asset in self.assets(config)}
            self.filter_data_files(lambda path: path not in assets)

    def filter_data_files(self, keep: Callable[[Path], bool]) -> None:
        """Make `build_py` skip data files.

        Args:
            keep: says whether to copy a file, by its absolute path.
        """
        build_py = self._step.get_finalized_command("build_py")
        build_py.data_files = [
            (package, folder, built, [n for n in names if keep(self._root / folder / n)])
            for package, folder, built, names in build_py.data_files
        ]

    def left_out(self, assets: Collection[str], config: Config) -> set[str]:
        """Return the members of setuptools' wheel to leave out: replaced or unwanted ones.

        Args:
            assets: paths in the distribution.
            config: the options.
        """
        record = os.path.relpath(self.tree.record, self._build_lib)
        return {*assets, *unwanted_files(self.layout(), assets, config), _with_slashes(record)}

    def remove_unwanted(self, assets: Collection[str], config: Config) -> None:
        """Remove the files that this build has copied and that have no place in a distribution.

        Args:
            assets: paths in the distribution.
            config: the options.

        Raises:
            WazcacheError: a file cannot be removed.
        """
        layout = self.layout()
        unwanted = unwanted_files(layout, assets, config)
        copies = {Path(file): path for file, path in layout.files.items() if path in unwanted}
        self.tree.remove_copies(copies, self._source_folders(config))

    def _source_folders(self, config: Config) -> set[Path]:
        """Return the folders with packages, modules and assets, without links in their paths."""
        build_py = self._step.get_finalized_command("build_py")
        packages = [*(build_py.packages or ()), *([""] if build_py.py_modules else [])]
        folders = [self._root / build_py.get_package_dir(name) for name in packages]
        with suppress(WazcacheError):  # another step may generate them
            folders += [(self._root / asset).parent for asset in self.assets(config)]
        return {Path(os.path.realpath(folder)) for folder in folders}


def _with_slashes(path: str) -> str:
    return path.replace(os.sep, "/")
