"""The options of a project that has none yet: its assets, and the settings of its engines."""

from __future__ import annotations

import os
import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.engine.settings import code_settings
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.pyproject import HOOK, SHARED
from hatch_wazcache.util.toml_text import toml_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hatch_wazcache.adoption.load_calls import EngineUse, SourceCode
    from hatch_wazcache.adoption.project_files import ProjectFiles, WasmFile
    from hatch_wazcache.engine.settings import SettingValue
    from hatch_wazcache.project.config import Config

__all__ = ["engines_without_profile", "new_options"]


def new_options(project: ProjectFiles, code: SourceCode, by_hand: list[str]) -> tuple[str, Config]:
    """Write the tables of options that fit a project.

    Args:
        project: has no options.
        code: its Python files.
        by_hand: gets what the user must decide.

    Returns:
        The TOML text, and what it says.

    Raises:
        WazcacheError: no package can have assets.
    """
    found = project.wasm_files()
    globs = _globs(project, [file for file in found if file.package])
    outside = [file for file in found if not file.package]
    if not globs and outside:
        raise WazcacheError("\n".join(file.problem for file in outside))
    by_hand += [
        f"{file.relative}: is in no package, so it is no asset; if users need it, move it into one"
        for file in outside
    ]
    globs = globs or [_glob_of_later_files(project, code)]
    location = HOOK if project.kind == "hatchling" else SHARED
    text = f"[{location}]\nassets = [{', '.join(map(toml_value, globs))}]\n"
    if settings := _common_settings(code.engines):
        lines = "".join(f"{name} = {toml_value(value)}\n" for name, value in settings.items())
        text += f"\n[{location}.profiles.default]\n{lines}"
    return text, project.read_table(tomllib.loads(text), location)


def _globs(project: ProjectFiles, files: Iterable[WasmFile]) -> list[str]:
    """Return the patterns for assets: the folder of each, or their package if it has several."""
    folders: dict[str, list[str]] = {}
    for file in files:
        assert file.package is not None
        package = os.path.relpath(file.package.source, project.root).replace(os.sep, "/")
        folder = str(PurePosixPath(file.relative).parent)
        key = package if f"{folder}/".startswith(f"{package}/") else folder
        folders.setdefault(key, [])
        if folder not in folders[key]:
            folders[key].append(folder)
    return [
        f"{inside[0]}/*.wasm" if len(inside) == 1 else f"{key}/**/*.wasm"
        for key, inside in sorted(folders.items())
    ]


def _glob_of_later_files(project: ProjectFiles, code: SourceCode) -> str:
    """Return the pattern for assets that are generated later: the package that loads them.

    Raises:
        WazcacheError: no package can be chosen.
    """
    packages = project.top_packages()
    loading = [
        package
        for package in packages
        if any(call.relative.startswith(f"{package}/") for call in code.calls)
    ]
    candidates = loading or packages
    if len(candidates) != 1:
        names = f"; the packages are {', '.join(candidates)}" if candidates else ""
        raise WazcacheError(
            f"{project.root}: there is no .wasm file, and which package will get one is not "
            f"known{names}. Put the .wasm into its package, and call `hatch-wazcache init` again"
        )
    return f"{candidates[0]}/**/*.wasm"


def _common_settings(engines: Sequence[EngineUse]) -> Mapping[str, SettingValue]:
    """Return the settings that all engines of a package have; none if they differ."""
    first = engines[0].settings if engines else {}
    is_common = all(one.is_known and not one.varying and one.settings == first for one in engines)
    return first if is_common else {}


def engines_without_profile(engines: Iterable[EngineUse], config: Config) -> Iterator[str]:
    """Yield a line for each engine that loads no artifact, since no profile has its settings.

    Args:
        engines: the engines in the code of a package.
        config: has the profiles.
    """
    profiles = [code_settings(profile.settings) for profile in config.profiles.values()]
    for one in engines:
        fits = one.settings in profiles
        if one.varying:  # each of these settings needs two profiles
            fits = all(any(name in profile for profile in profiles) for name in one.varying)
        if (one.settings or one.varying) and not fits:
            words = [f"{name} = {toml_value(value)}" for name, value in one.settings.items()]
            words += [f"{name} varies" for name in one.varying]
            yield (
                f"{one.relative}:{one.line}: this engine has settings of its own "
                f"({', '.join(words)}), so artifacts for it need a profile with the same settings, "
                f"[{config.location}.profiles.NAME]"
            )
