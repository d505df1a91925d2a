"""The header of an artifact is compared with the manifest and the tags of its wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.audits import (
    ARTIFACT,
    MANIFEST,
    TAGS,
    artifact,
    findings,
    on_x86_64_linux,
    only_finding,
    with_artifact,
)
from tests.support.doctored import Wheel, engine_of, of_aarch64, said, with_engine
from tests.support.projects import Project
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET


@on_x86_64_linux
def test_an_artifact_of_another_architecture_is_found(wheel: Wheel, tmp_path: Path):
    path = with_artifact(wheel, of_aarch64(wheel.members[ARTIFACT]), tmp_path)
    assert findings(path)[0] == (
        ARTIFACT,
        "holds code for aarch64-linux (aarch64-unknown-linux-gnu); the manifest says x86_64-linux",
    )


@on_x86_64_linux
def test_an_artifact_of_another_system_is_found(wheel: Wheel, tmp_path: Path):
    engine = engine_of(wheel.members[ARTIFACT])
    engine = engine.replace(said("x86_64-unknown-linux-gnu"), said("x86_64-apple-darwin"))
    path = with_artifact(wheel, with_engine(wheel.members[ARTIFACT], engine), tmp_path)
    tags = ", ".join(sorted(TAGS.split(".")))
    tag = min(TAGS.split("."))
    says = "holds code for x86_64-macos (x86_64-apple-darwin); the manifest says x86_64-linux"
    assert findings(path) == [
        (ARTIFACT, says),
        (ARTIFACT, f"is for x86_64-macos, but the wheel's tags ({tags}) are not"),
        (
            MANIFEST,
            f"a.wasm has no artifact for x86_64-linux, but the wheel's tag {tag} is for it",
        ),
    ]


def test_the_artifact_of_another_engine_is_found(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: artifact(m).update(wasmtime="47.0.1"))
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        "is compiled by wasmtime 48; the manifest says 47.0.1",
    )


def test_what_is_no_artifact_is_found(wheel: Wheel, tmp_path: Path):
    member, text = only_finding(with_artifact(wheel, ANSWER, tmp_path))
    assert member == ARTIFACT
    assert text.startswith("is not an artifact: it is ")


def test_a_cut_artifact_is_found(wheel: Wheel, tmp_path: Path):
    path = with_artifact(wheel, wheel.members[ARTIFACT][:-100], tmp_path)
    member, text = only_finding(path)
    assert member == ARTIFACT
    assert text.startswith("is not an artifact: it is cut short")


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("cranelift-opt-level", "none", '"speed"'),
        ("cranelift-nan-canonicalization", True, "false"),
        ("native-unwind-info", False, "true"),
        ("cranelift-debug-verifier", True, "false"),
    ],
)
def test_a_setting_that_the_artifact_was_not_compiled_with_is_found(
    wheel: Wheel, tmp_path: Path, setting: str, value: object, found: str
):
    wheel.manifest(lambda m: m["profiles"]["default"].update({setting: value}))
    claimed = f"the manifest says {json.dumps(value)} (profile default)"
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        f"is compiled with {setting} = {found}; {claimed}",
    )


def test_a_setting_that_only_a_compiler_knows_is_told_by_the_artifact_too(
    wheel: Wheel, tmp_path: Path
):
    wheel.manifest(lambda m: m.update(compiler={"default": {"address-map": False}}))
    assert only_finding(wheel.write(tmp_path)) == (
        ARTIFACT,
        "is compiled with address-map = true; the manifest says false (profile default)",
    )


@pytest.mark.skipif("x86_64" not in TARGET, reason="a level of x86_64")
def test_cpu_features_that_are_not_claimed_are_found(project: Project, tmp_path: Path):
    project.options('assets = ["demo/*.wasm"]\ncpu = "x86-64-v2"')
    wheel = Wheel(project.build().wheel)
    wheel.manifest(lambda m: artifact(m).update(cpu="baseline"))
    member, text = only_finding(wheel.write(tmp_path))
    assert member == f"demo/a.{TARGET}.x86-64-v2.cwasm"
    assert text == (
        "uses cmpxchg16b, popcnt, sse3, sse41, sse42, ssse3; the manifest says cpu baseline, which "
        "uses no CPU features beyond the baseline"
    )
