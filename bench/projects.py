"""The same project, once for each contender."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environments import WORK
from hatch_wazcache.targets import native_target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["SCRIPTS", "TRIPLE", "hand_written", "ours", "stock", "stock_with_artifacts"]

SCRIPTS = Path(__file__).parent / "scripts"
_TARGET = native_target()
assert _TARGET is not None, "wasmtime-py has no wheels for this machine"
TRIPLE = _TARGET.systems[0].triple
_TAG = ".".join(_TARGET.platform_tags)

_PYPROJECT = """\
[build-system]
requires = [{requires}]
build-backend = "hatchling.build"

[project]
name = "package"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["wasmtime>=48,<49"]

[tool.hatch.build.targets.wheel]
packages = ["package"]
{more}
"""


def _make(name: str, files: Mapping[str, Path], requires: str, more: str) -> Path:
    """Write a project with the package `package`; its assets are hard links where that can be."""
    folder = WORK / "projects" / name
    shutil.rmtree(folder, ignore_errors=True)
    package = folder / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A package with assets."""\n')
    for asset, path in files.items():
        try:
            os.link(path, package / asset)
        except OSError:
            shutil.copyfile(path, package / asset)
    (folder / "pyproject.toml").write_text(_PYPROJECT.format(requires=requires, more=more))
    return folder


def ours(name: str, files: Mapping[str, Path], options: str = "") -> Path:
    """Write the project with the hook."""
    more = f'[tool.hatch.build.hooks.wazcache]\nassets = ["package/*.wasm"]\n{options}'
    return _make(f"{name}-ours", files, '"hatchling", "hatch-wazcache"', more)


def stock(name: str, files: Mapping[str, Path]) -> Path:
    """Write the project without a hook: the `.wasm` is packed with the package."""
    return _make(f"{name}-stock", files, '"hatchling"', "")


def stock_with_artifacts(name: str, files: Mapping[str, Path], wheel: Path) -> Path:
    """Write the project without a hook, with all files of a wheel of ours by force-include."""
    folder = _make(f"{name}-stock-with-artifacts", files, '"hatchling"', "")
    lines = ["[tool.hatch.build.targets.wheel.force-include]"]
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.endswith((".cwasm", "/_wazcache.py", "/_wazcache.json")):
                archive.extract(member, folder / "made")
                lines.append(f'"made/{member}" = "{member}"')
    with (folder / "pyproject.toml").open("a") as file:
        file.write("\n".join([*lines, ""]))
    return folder


def hand_written(name: str, files: Mapping[str, Path]) -> Path:
    """Write the project with a hook as people write it."""
    requires = '"hatchling", "wasmtime>=48,<49"'
    folder = _make(f"{name}-hand-written", files, requires, "[tool.hatch.build.hooks.custom]")
    text = (SCRIPTS / "hatch_build.py").read_text()
    text = text.replace("TRIPLE", TRIPLE).replace("TAG", _TAG)
    (folder / "hatch_build.py").write_text(text)
    return folder
