"""Globs mean the same for the members of a wheel as for the files of a source tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.find_assets import find_assets
from hatch_wazcache.packing.globs import matching
from hatch_wazcache.project.options import read_config

NAMES = (
    "a.wasm", "demo/a.wasm", "demo/A.wasm", "demo/.hidden.wasm", "demo/[a].wasm", "demo/sub/b.wasm",
    "demo/sub/sub/c.wasm", "demo/.git/d.wasm", "src/demo/e.wasm", "demo/src/f.wasm", "demo/b.bin",
)  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    "glob",
    [
        "**/*.wasm", "*.wasm", "demo/*.wasm", "./demo/*.wasm", "demo/**/*.wasm", "**/sub/*.wasm",
        "**/sub/**/*.wasm", "demo/**/sub/**/c.wasm", "demo/**", "**", "demo/?.wasm",
        "demo/[ab].wasm", "demo/[!a].wasm", "demo/[a].wasm", "demo/.*.wasm", "demo/.git/*", "*/*",
        "*/*/*.wasm", "**/src/*.wasm", "demo/*/*.wasm", "demo/sub/b.wasm", "none",
        "**/**/*.wasm", "DEMO/*.wasm",
    ],
)  # fmt: skip
def test_a_glob_matches_the_same_names(tree: Path, glob: str):
    config = read_config({"assets": [glob]}, "option", {}, tree)
    try:
        found = {file.relative for file in find_assets(config, tree)}
    except WazcacheError:
        found = set()
    assert set(matching(NAMES, glob)) == found


def test_a_glob_with_the_source_folder_fits_the_member_without_it():
    names = ["demo/a.wasm", "demo/[b].wasm", "demo/b.wasm"]
    assert matching(names, "src/demo/*.wasm") == names
    assert matching(names, "src/**/*.wasm") == names
    assert matching(names, "src/demo/[b].wasm") == ["demo/[b].wasm"]
    assert matching(names, "lib/demo/*.wasm") == []
    assert matching(names, "*/*/*.wasm") == []
